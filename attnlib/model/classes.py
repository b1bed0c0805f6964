"""Class names of models trained on ImageNet, from timm's own tables."""

from __future__ import annotations

from functools import lru_cache

from timm.data import ImageNetInfo, infer_imagenet_subset


@lru_cache(maxsize=8)
def imagenet_names(num_classes: int) -> tuple[str, ...] | None:
    """Names for a classifier over an ImageNet label set, told by its size; None if none fits."""
    subset = infer_imagenet_subset({"num_classes": num_classes})
    if subset is None:
        return None
    info = ImageNetInfo(subset)
    return tuple(info.index_to_description(i) for i in range(num_classes))


def default_names(num_classes: int) -> tuple[str, ...]:
    """``class 0``, ``class 1``, … for a model that comes without names."""
    return tuple(f"class {i}" for i in range(num_classes))
