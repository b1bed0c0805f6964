"""What every attribution method has in common: its description and its options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

from torch import Tensor

from attnlib import settings
from attnlib.capture.tokens import TokenLayout
from attnlib.errors import AttnlibError


@dataclass(frozen=True)
class Option:
    """One option of a method.

    Attributes:
        default: value when nothing is said; its type is the option's type.
        description: one sentence for a tooltip.
        choices: the allowed values, where they are few.
        low, high: bounds of a number, inclusive.
        shown: whether pages offer it; not where something else on the page sets it.
    """

    default: Any
    description: str
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    shown: bool = True

    def check(self, name: str, value: Any) -> Any:
        """The value, if it is allowed.

        Raises:
            AttnlibError: it is not.
        """
        number = self.low is not None or isinstance(self.default, int | float)
        if number and not (value is None and self.default is None):
            whole = not isinstance(self.default, float)
            if not isinstance(value, Integral if whole else Real):
                kind = "whole number" if whole else "number"
                raise AttnlibError(f"{name} must be a {kind}, not {value!r}.")
        if self.choices and value not in self.choices:
            allowed = ", ".join(map(str, self.choices))
            raise AttnlibError(f"{name} must be one of {allowed}, not {value!r}.")
        if self.low is not None and value is not None and not self.low <= value:
            raise AttnlibError(f"{name} must be at least {self.low}, not {value!r}.")
        if self.high is not None and value is not None and not value <= self.high:
            raise AttnlibError(f"{name} must be at most {self.high}, not {value!r}.")
        return value


# A method turns a subject and a target class into one value per patch, (N,).
Compute = Callable[..., Tensor]
# Called with (steps done, steps) as a long computation goes on; what it raises ends it.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Method:
    """An entry of the registry.

    Attributes:
        name: what code calls it.
        title: what it is called on screen.
        description: what the map means, in a sentence or two.
        source: paper and equation.
        unit: what a value means; ``{quantity}`` in it is "probability", or "output" of a model
            without classes.
        class_specific: whether it explains a chosen class.
        signed, share: as in :class:`Heat`.
        needs: kind of map that the model must support (see ``Support`` in capture).
        options: name -> option.
        short: a name that fits along the side of a matrix; "" is the title.
        abbreviation: one that fits above a narrow column; "" is the start of ``short``.
        compared: whether it stands beside the others where methods are compared.
        slow: whether it takes many passes, or seconds. Its ``compute`` then takes ``progress``
            too, by which it can be followed and stopped, and asks for its places among the
            forward passes itself, piece by piece, rather than hold one all the time. A page
            computes it beside itself, and unbidden only with a small model.
        baseline: whether it knows nothing of the image, so that others have to beat it.
        caution: what was measured against it, and what does better, in a sentence; "" for nothing.
        patented: whether it is of a family under patent, which the setting ``lrp`` takes out.
        passes: what it costs, in forward passes ("back": a backward pass, about two of these).
    """

    name: str
    title: str
    description: str
    source: str
    unit: str
    compute: Compute
    class_specific: bool = False
    signed: bool = False
    share: bool = False
    needs: str = "rollout"
    options: Mapping[str, Option] = field(default_factory=dict)
    short: str = ""
    abbreviation: str = ""
    compared: bool = True
    slow: bool = False
    baseline: bool = False
    caution: str = ""
    patented: bool = False
    passes: str = "1"

    def __post_init__(self) -> None:
        object.__setattr__(self, "short", self.short or self.title)
        object.__setattr__(self, "abbreviation", self.abbreviation or self.short[:5])

    def checked(self, given: Mapping[str, Any], ignore_unknown: bool = False) -> dict[str, Any]:
        """All options: those given, checked, and the defaults of the others.

        Raises:
            AttnlibError: an option is unknown or its value not allowed.
        """
        unknown = sorted(given.keys() - self.options.keys())
        if unknown and not ignore_unknown:
            known = ", ".join(self.options) or "none"
            raise AttnlibError(
                f"The method {self.name!r} has no option {unknown[0]!r}. Its options: {known}."
            )
        return {
            name: option.check(name, given.get(name, option.default))
            for name, option in self.options.items()
        }


FUSIONS = ("mean", "max", "min")
HEAD_FUSION = Option("mean", "How the heads of a layer become one map.", FUSIONS)


def fuse(parts: Tensor, head_fusion: str) -> Tensor:
    """Fuse over the first dimension, the heads."""
    if head_fusion == "mean":
        return parts.mean(dim=0)
    return parts.amax(dim=0) if head_fusion == "max" else parts.amin(dim=0)


def asked(target: int | None) -> int:
    """The class that is to be explained.

    Raises:
        AttnlibError: there is none.
    """
    if target is None:
        raise AttnlibError("This method explains a class: give a target.")
    return target


def patches_of(vector: Tensor, layout: TokenLayout) -> Tensor:
    """The patch part ``(N,)`` of a vector over all tokens ``(T,)``."""
    return vector[vector.shape[0] - layout.patches :]


class Registry(MutableMapping[str, Method]):
    """Name -> method, in their order: those that whoever runs this lets be used."""

    def __init__(self, methods: Sequence[Method]) -> None:
        self._all = {method.name: method for method in methods}

    def __getitem__(self, name: str) -> Method:
        method = self._all[name]
        if not _allowed(method):
            raise KeyError(name)
        return method

    def __setitem__(self, name: str, method: Method) -> None:
        self._all[name] = method

    def __delitem__(self, name: str) -> None:
        del self._all[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name, method in self._all.items() if _allowed(method))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def taken_out(self, name: str) -> str:
        """Why a method is not among them, as a sentence; "" if there is no such method."""
        if name not in self._all or _allowed(self._all[name]):
            return ""
        variable = settings.variable("lrp")
        return f"{self._all[name].title} is switched off where this runs ({variable})."


def _allowed(method: Method) -> bool:
    return not method.patented or settings.current().lrp
