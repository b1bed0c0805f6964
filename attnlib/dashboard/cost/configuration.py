"""One choice of everything that a cost depends on, as the controls and links hold it."""

from __future__ import annotations

import dataclasses
import re
import shlex
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import parse_qsl, urlencode

from torch import nn

from attnlib.complexity import Architecture, ArchitectureError, Cost, Problem, cost
from attnlib.complexity.build import spelled_out
from attnlib.complexity.memory import BYTES, Dtype

Source = Literal["loaded", "timm", "free"]
SOURCES: tuple[Source, ...] = get_args(Source)


@dataclass(frozen=True)
class Configuration:
    """What is asked for.

    Attributes:
        source: the loaded model, a timm name, or a free architecture.
        model: the timm name.
        height, width, patch: in pixels; None is the model's own.
        dim, depth, heads, mlp_ratio, prefix, classes: of a free architecture. With prefix
            tokens the first is a class token and is read out; without, patches are averaged.
        batch, dtype, training, materialised: of the pass.
    """

    source: Source = "loaded"
    model: str = "vit_base_patch16_224"
    height: int | None = None
    width: int | None = None
    patch: int | None = None
    dim: int = 768
    depth: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0
    prefix: int = 1
    classes: int = 1000
    batch: int = 1
    dtype: Dtype = "float32"
    training: bool = False
    materialised: bool = False


FREE_SIZE, FREE_PATCH = 224, 16


@dataclass(frozen=True)
class Resolved:
    """A configuration with what it comes to.

    Attributes:
        title: in a few words.
        cost: None where something is impossible.
        problems: what is impossible, field by field.
    """

    configuration: Configuration
    title: str
    cost: Cost | None
    problems: tuple[Problem, ...] = ()


def base(wanted: Configuration, loaded: nn.Module) -> Architecture:
    """The architecture with its own image and patch size.

    Raises:
        ArchitectureError: something is impossible, or the formulas do not cover the model.
    """
    if wanted.source == "timm":
        return Architecture.from_timm(wanted.model)
    if wanted.source == "loaded":
        return Architecture.from_module(loaded)
    if wanted.prefix < 0:
        raise ArchitectureError([Problem("prefix", "There cannot be fewer than 0 prefix tokens.")])
    return Architecture.vit(
        size(wanted, (FREE_SIZE, FREE_SIZE)),
        FREE_PATCH if wanted.patch is None else wanted.patch,
        wanted.dim,
        wanted.depth,
        wanted.heads,
        wanted.mlp_ratio,
        wanted.classes,
        registers=max(0, wanted.prefix - 1),
        class_token=wanted.prefix > 0,
        pool="token" if wanted.prefix > 0 else "avg",
    )


def architecture(wanted: Configuration, loaded: nn.Module) -> Architecture:
    """The architecture with the image and patch size that are asked for.

    Raises:
        ArchitectureError: as :func:`base`.
    """
    found = base(wanted, loaded)
    if wanted.source == "free":
        return found
    image = size(wanted, found.image)
    if wanted.patch is not None and (wanted.patch, wanted.patch) != found.patch:
        return dataclasses.replace(
            found, image=image, patch=(wanted.patch, wanted.patch), name=""
        )  # fmt: skip
    if image == found.image:
        return found
    if wanted.source == "timm":
        # timm itself says whether the model can have this size.
        return Architecture.from_timm(wanted.model, image)
    return found.with_image(image)


def size(wanted: Configuration, own: tuple[int, int]) -> tuple[int, int]:
    """Height and width; a width that is not given follows the height, in the shape of ``own``."""
    height = own[0] if wanted.height is None else wanted.height
    width = round(height * own[1] / own[0]) if wanted.width is None else wanted.width
    return height, width


def resolve(wanted: Configuration, loaded: nn.Module, loaded_title: str) -> Resolved:
    """Never raises what is the visitor's mistake: it becomes problems."""
    title = {"loaded": loaded_title, "timm": wanted.model, "free": "Free architecture"}
    try:
        found = cost(
            architecture(wanted, loaded),
            wanted.batch,
            wanted.dtype,
            wanted.training,
            wanted.materialised,
        )
    except ArchitectureError as error:
        return Resolved(wanted, title[wanted.source], None, error.problems)
    return Resolved(wanted, title[wanted.source], found)


def portable(found: Resolved, loaded: nn.Module, source: str) -> Resolved:
    """The same without the loaded model, where timm or a free architecture can say it too.

    Args:
        source: the name under which the model was loaded.
    """
    wanted = found.configuration
    if found.cost is None or wanted.source != "loaded":
        return found
    a = found.cost.architecture
    known = dataclasses.replace(wanted, height=a.image[0], width=a.image[1])
    for other in (
        dataclasses.replace(known, source="timm", model=source),
        dataclasses.replace(
            known,
            source="free",
            patch=a.patch[0],
            dim=a.dim,
            depth=a.depth,
            heads=a.heads,
            mlp_ratio=a.mlp_hidden / a.dim,
            prefix=a.prefix_tokens,
            classes=a.classes,
        ),
    ):
        same = resolve(other, loaded, found.title)
        if same.cost is not None and spelled_out(same.cost.architecture) == spelled_out(a):
            return same
    return found


def encode(wanted: Configuration) -> str:
    """What differs from the defaults, as one text for a link."""
    plain = Configuration()
    return urlencode(
        {
            field.name: value
            for field in dataclasses.fields(wanted)
            if (value := getattr(wanted, field.name)) != getattr(plain, field.name)
        }
    )


# As many digits as a size of anything has: int() takes “१२” too, and fails on thousands.
_WHOLE = re.compile(r"[0-9]{1,9}", re.ASCII)
_RATIO = re.compile(r"[0-9]{1,9}(\.[0-9]{1,17})?(e-?[0-9]{1,2})?", re.ASCII)


def decode(text: str) -> Configuration:
    """The configuration of a link; what cannot be read is left at its default."""
    found: dict[str, object] = {}
    plain = Configuration()
    for name, value in parse_qsl(text[:1000]):
        known = {"source": SOURCES, "dtype": tuple(BYTES)}.get(name)
        if name == "model" or (known is not None and value in known):
            found[name] = value
        elif name in ("training", "materialised"):
            found[name] = value == "True"
        elif known is None and hasattr(plain, name):
            known_number = _RATIO if name == "mlp_ratio" else _WHOLE
            if known_number.fullmatch(value):
                found[name] = float(value) if name == "mlp_ratio" else int(value)
    return Configuration(**found)  # type: ignore[arg-type]


def command(wanted: Cost) -> str:
    """A line for the shell that prints the same numbers."""
    a = wanted.architecture
    if a.name:
        parts = ["python", "-m", "attnlib", "cost", a.name]
        own = Architecture.from_timm(a.name).image
        parts += [] if a.image == own else ["--img-size", *map(str, a.image)]
        parts += [] if wanted.batch == 1 else ["--batch", str(wanted.batch)]
        parts += [] if wanted.dtype == "float32" else ["--dtype", wanted.dtype]
        parts += ["--training"] if wanted.training else []
        parts += ["--materialised"] if wanted.materialised else []
        return shlex.join(parts)
    # The command knows models by name only; what was changed or made up needs the library.
    switches = {"training": wanted.training, "materialised": wanted.materialised}
    options = "".join(f", {name}=True" for name, on in switches.items() if on)
    code = (
        "from attnlib.complexity.cost import Architecture, cost, rows; "
        f"print(*rows(cost({_call(a)}, {wanted.batch}, {wanted.dtype!r}{options})), sep='\\n')"
    )
    return "python -c " + shlex.quote(code.replace("'", '"'))


def _call(a: Architecture) -> str:
    """The expression that makes it; fields at their defaults are left out."""
    fields = [
        f"{field.name}={getattr(a, field.name)!r}"
        for field in dataclasses.fields(a)
        if field.default is dataclasses.MISSING or getattr(a, field.name) != field.default
    ]
    return f"Architecture({', '.join(fields)})"
