"""Does a map depend on what the model has learned? Cascading randomisation of its weights.

Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018, section 3.1: the weights are
destroyed from the last layer down to the first, and after each stage the map is drawn again. A
map that stays as it was shows the image, or the architecture, and not why the model decided.

The weights of a stage are destroyed by shuffling the entries of each tensor. The paper draws them
anew from the initialiser, which a loaded model no longer knows. Shuffling keeps each tensor's
distribution exactly, so activations stay in their usual range and a stage differs in what was
learned alone, not in scale. A tensor whose entries are all equal (a scale of 1, a bias of 0)
stays as it is, as it would when initialised. Buffers, such as running means, are left alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from attnlib.capture import passes
from attnlib.evaluation import agreement
from attnlib.methods import Heat, Subject
from attnlib.model.vit import Vit

# A map that moves by less than this share of its largest value has not moved: the same pass
# gives slightly different numbers on some accelerators.
UNCHANGED = 1e-5


@dataclass(frozen=True)
class Stage:
    """The map after one more part of the model has lost its weights.

    Attributes:
        name: ``"head"``, the module of a layer (``"blocks.11"``), or ``"embedding"``; all stages
            before it are randomised too.
        heat: the map of the randomised model, for the class of the original map.
        spearman: rank correlation with the original map, −1 to 1; NaN if either is constant.
        overlap: share of the top patches in common, 0 to 1 (:func:`.agreement.overlap`).
    """

    name: str
    heat: Heat
    spearman: float
    overlap: float


def stages(vit: Vit) -> dict[str, tuple[str, ...]]:
    """Which parameters each stage randomises, in the order of the cascade: a partition of all.

    The head first, then each layer of attention from the last to the first, then the embedding
    of patches and positions. A layer is the part of the model around one attention call that no
    other call shares. What lies between two layers (a norm, downsampling) goes with the lower.
    """
    layers = _layers(vit.support.names)
    parameters = [name for name, _ in vit.module.named_parameters()]
    owners = [_owner(name, layers) for name in parameters]
    inside = [i for i, owner in enumerate(owners) if owner is not None]
    groups: dict[str, list[str]] = {name: [] for name in ("head", *reversed(layers), "embedding")}
    classifier = _classifier_name(vit)
    current = "embedding"
    for i, (name, owner) in enumerate(zip(parameters, owners, strict=True)):
        if owner is None and ((inside and i > inside[-1]) or name.startswith(classifier)):
            groups["head"].append(name)
        else:
            current = owner or current
            groups[current].append(name)
    return {stage: tuple(names) for stage, names in groups.items() if names}


def cascade(
    vit: Vit,
    image: Image.Image,
    original: Heat,
    *,
    seed: int = 0,
    fraction: float = agreement.TOP,
) -> Iterator[Stage]:
    """The map ``original`` of ``image`` again, after each stage of the cascade.

    Works on a copy of the module, which lives as long as the iteration; the model that others
    use is never touched. Memory: the weights a second time.

    Args:
        original: made by ``vit.attribute`` or ``vit.explain``; its method, class and options are
            used again.
        seed: of the shuffling.
        fraction: share of the patches that counts as the top of a map.

    Raises:
        OutOfMemory: there is no room for a second copy of the weights.
        AttnlibError: a map has values that are not finite.
    """
    pixels = vit.pixels(image)
    vit = vit.fitting(pixels)
    with passes.admitted():
        module = copy.deepcopy(vit.module)
    shuffled = vit.around(module)
    parameters = dict(module.named_parameters())
    generator = torch.Generator().manual_seed(seed)
    for name, group in stages(vit).items():
        for parameter in group:
            shuffle(parameters[parameter], generator)
        heat = shuffled.explain(
            Subject(shuffled, pixels), original.method, original.target, **original.options
        )
        pair = [original.values, heat.values]
        yield Stage(
            name,
            heat,
            float(agreement.spearman(pair)[0, 1]),
            float(agreement.overlap(pair, fraction)[0, 1]),
        )


def depends(original: Heat, cascaded: Sequence[Stage]) -> bool:
    """Whether the map changed at any stage by more than 1e-5 of its largest value.

    False means that the map cannot tell a trained model from a random one. True means only that
    it moved; how far is what the stages say.
    """
    room = UNCHANGED * float(np.abs(original.values).max())
    return any(
        not np.allclose(stage.heat.values, original.values, rtol=0, atol=room) for stage in cascaded
    )


@torch.no_grad()
def shuffle(parameter: Tensor, generator: torch.Generator) -> None:
    """Put the entries of a tensor into a random order, in place."""
    order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
    parameter.copy_(parameter.flatten()[order].reshape(parameter.shape))


def _layers(calls: Sequence[str]) -> tuple[str, ...]:
    """For each attention module the shortest path that no other shares, in order of the calls."""
    names = [name for name in dict.fromkeys(calls) if name]
    if len(names) == 1:
        return (_block(names[0]),)
    found = []
    for name in names:
        parts = name.split(".")
        paths = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
        others = [f"{other}." for other in names if other != name]
        alone = [p for p in paths if not any(other.startswith(f"{p}.") for other in others)]
        found.append(alone[0] if alone else name)
    return tuple(found)


def _block(name: str) -> str:
    """The block of the only attention module: up to its number, else the module around it."""
    parts = name.split(".")
    numbers = [i for i, part in enumerate(parts) if part.isascii() and part.isdecimal()]
    return ".".join(parts[: numbers[-1] + 1] if numbers else parts[:-1]) or name


def _owner(parameter: str, layers: Sequence[str]) -> str | None:
    owners = [layer for layer in layers if parameter.startswith(f"{layer}.")]
    return max(owners, key=len, default=None)


def _classifier_name(vit: Vit) -> str:
    """Path of the last linear layer that maps to the classes, with a dot; else ``"head."``."""
    found = "head."
    for name, child in vit.module.named_modules():
        if isinstance(child, nn.Linear) and child.out_features == len(vit.class_names):
            found = f"{name}."
    return found
