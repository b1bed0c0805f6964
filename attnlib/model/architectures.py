"""Which of timm's architectures a file of weights may be of, best first."""

from __future__ import annotations

import json
import lzma
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from attnlib.errors import ModelError
from attnlib.model.checkpoint import Weights
from attnlib.model.checkpoint.options import classifier
from attnlib.model.restore import plan

INDEX = Path(__file__).with_name("architectures.json.xz")
# How much of an architecture's shapes must be in the file for a closer look at it.
_ENOUGH = 0.8
_LOOKS = 16

Signature = Counter[str]


@dataclass(frozen=True)
class Candidate:
    """An architecture that a file of weights may be of.

    Attributes:
        name: in timm.
        fits: whether all its weights are in the file, with the options that shapes reveal.
        options: those options, beside the number of classes.
        differs: what does not fit, in words; "" if it fits.
        share: share of its weights' shapes that the file has, 0 to 1.
    """

    name: str
    fits: bool
    options: Mapping[str, Any]
    differs: str
    share: float


def signature(module: nn.Module) -> Signature:
    """How often each shape (``"192x768"``) is among the weights of an architecture.

    Left out is what an option changes without another architecture: the classifier, the
    embedding of positions and of patches. Shapes need no names, so other libraries' files count.
    """
    head = classifier(module)
    free = (f"{head}." if head else "\0", "pos_embed", "patch_embed.proj.weight")
    return Counter(
        _word(tensor)
        for name, tensor in module.named_parameters()
        if not name.startswith(free) and not name.endswith("relative_position_bias_table")
    )


def _word(tensor: Tensor) -> str:
    return "x".join(str(side) for side in tensor.shape)


@lru_cache(maxsize=1)
def index() -> Mapping[str, Signature]:
    """The signature of every architecture of timm, as shipped."""
    content = json.loads(lzma.decompress(INDEX.read_bytes()))
    shapes = content["shapes"]
    return {
        name: Counter({shapes[i]: count for i, count in zip(pairs[::2], pairs[1::2], strict=True)})
        for name, pairs in content["architectures"].items()
    }


def pack(signatures: Mapping[str, Signature]) -> bytes:
    """The index as it is shipped: compressed JSON; see ``training/index_architectures.py``."""
    shapes = sorted({shape for counts in signatures.values() for shape in counts})
    number = {shape: i for i, shape in enumerate(shapes)}
    architectures = {
        name: [n for shape in sorted(counts) for n in (number[shape], counts[shape])]
        for name, counts in sorted(signatures.items())
    }
    content = {"shapes": shapes, "architectures": architectures}
    return lzma.compress(json.dumps(content, separators=(",", ":")).encode(), preset=9)


def candidates(
    weights: Weights, said: Mapping[str, Any] | None = None, most: int = _LOOKS
) -> list[Candidate]:
    """The architectures that a file may be of: those that fit first, then the nearest.

    Args:
        said: options that were given, as for ``timm.create_model``.
        most: how many to build (on the meta device) for a closer look.
    """
    present = Counter(_word(tensor) for tensor in weights.tensors.values())
    near = []
    for name, wanted in index().items():
        total = wanted.total()
        matched = (wanted & present).total()
        if total and matched >= _ENOUGH * total:
            near.append((-matched, -matched / total, len(name), name))
    looked: list[Candidate] = []
    for _, share, _, name in sorted(near):
        # Beyond the first few only what could still make the only choice one of two.
        if len(looked) >= most and (share > -1 or len(likeliest(looked)) != 1):
            continue
        try:
            made = plan(name, weights, said or {})
        except ModelError:
            continue
        options = {key: value for key, value in made.found.items() if key != "num_classes"}
        fits = not made.misfits
        looked.append(Candidate(name, fits, options, "; ".join(made.misfits), -share))
    # An architecture that needs no other options than the number of classes is likelier.
    return sorted(looked, key=lambda found: (not found.fits, len(found.options), -found.share))


def likeliest(found: list[Candidate]) -> list[Candidate]:
    """Of those that fit, the ones that need the fewest options beside the number of classes."""
    fitting = [candidate for candidate in found if candidate.fits]
    fewest = min((len(candidate.options) for candidate in fitting), default=0)
    return [candidate for candidate in fitting if len(candidate.options) == fewest]


def named(found: list[Candidate], most: int = 6) -> str:
    """The likeliest that fit, with their options, for a sentence; "" if none does."""
    fitting = likeliest(found)
    words = []
    for candidate in fitting[:most]:
        options = ", ".join(f"{key}={value}" for key, value in candidate.options.items())
        words.append(candidate.name + (f" ({options})" if options else ""))
    more = f" and {len(fitting) - most} more" if len(fitting) > most else ""
    return ", ".join(words) + more
