"""The module in a folder or repository of transformers, whole, without a head, or adapted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from attnlib.errors import ModelError
from attnlib.model import memory
from attnlib.model.naflex import NaFlex


def whole(transformers: Any, place: str, options: Mapping[str, Any]) -> tuple[nn.Module, list[str]]:
    """The model with its classifier; without one where the files have none."""
    kind = transformers.AutoConfig.from_pretrained(place, **options)
    known = transformers.models.auto.modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING
    if type(kind) not in known:
        return _features(transformers, place, kind, options)
    auto = transformers.AutoModelForImageClassification
    _check(auto, kind, place)
    loaded = {"dtype": torch.float32, "output_loading_info": True, **options}
    module, info = auto.from_pretrained(place, **loaded)
    missing = sorted(info["missing_keys"])
    notes = []
    if missing and all(_of_head(name) for name in missing):
        # Its classifier would be random: what is there are features.
        module, info = auto.from_pretrained(place, num_labels=0, **loaded)
        if not info["missing_keys"]:
            notes.append(
                "The files hold no classifier, so the outputs are features. Fine-tune one, or "
                "choose a checkpoint that has been fine-tuned."
            )
            missing = []
    if missing:
        raise ModelError(
            f"The files of {place} have no weights for {_some(missing)}: transformers would fill "
            "them with random numbers. Choose a checkpoint of the whole model."
        )
    if info.get("mismatched_keys"):
        names = sorted(str(key[0]) for key in info["mismatched_keys"])
        raise ModelError(f"The files of {place} have other shapes for {_some(names)}.")
    unused = sorted(info["unexpected_keys"])
    if unused:
        notes.append(f"Left out, as the model has no use for it: {_some(unused, 12)}.")
    return NaFlex(module) if kind.model_type == "siglip2" else module, notes


class Pooled(nn.Module):
    """A model of transformers without a classifier, giving its pooled features ``(B, D)``."""

    num_classes = 0

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.config = model.config

    def forward(self, pixel_values: Tensor) -> Tensor:
        features = getattr(self.model(pixel_values=pixel_values), "pooler_output", None)
        if not isinstance(features, Tensor):
            raise ModelError(
                f"{type(self.model).__name__} gives neither logits nor pooled features, so there "
                "is no prediction to explain. Choose a checkpoint fine-tuned for classification."
            )
        return features


def _features(
    transformers: Any, place: str, config: Any, options: Mapping[str, Any]
) -> tuple[nn.Module, list[str]]:
    """A kind of model that transformers has no classifier for."""
    _check(transformers.AutoModel, config, place)
    model, info = transformers.AutoModel.from_pretrained(
        place, dtype=torch.float32, output_loading_info=True, **options
    )
    if info["missing_keys"]:
        raise ModelError(
            f"The files of {place} have no weights for {_some(sorted(info['missing_keys']))}: "
            "transformers would fill them with random numbers."
        )
    return Pooled(model), [
        f"transformers has no image classifier for {config.model_type}, so the outputs are its "
        "pooled features."
    ]


def adapted(
    transformers: Any,
    folder: str,
    adapter: Mapping[str, Any],
    local: bool,
    options: Mapping[str, Any],
) -> tuple[nn.Module, list[str]]:
    """The adapter merged into the weights that it was trained on."""
    try:
        import peft
    except ImportError as error:
        raise ModelError(
            "This is an adapter (PEFT), and the package that merges it is not installed: "
            "pip install 'attnlib[adapters]'. Or merge it where it was trained: "
            "model.merge_and_unload().save_pretrained('merged')."
        ) from error
    base = str(adapter.get("base_model_name_or_path") or "")
    beside = Path(folder) / base
    place = str(beside) if base and local and beside.is_dir() else base
    # By its form, whether or not it exists here: the difference would tell what this machine holds.
    if place and not local and (not _is_hub_id(place) or Path(place).exists()):
        raise ModelError(
            f"The adapter {folder} names a folder of the machine it was trained on ({place}), not "
            "a model on the hub. Merge it where it was trained: "
            "model.merge_and_unload().save_pretrained('merged')."
        )
    if not place:
        raise ModelError(
            f"The adapter in {folder} does not say which model it belongs to "
            "(base_model_name_or_path). Merge it where it was trained: "
            "model.merge_and_unload().save_pretrained('merged')."
        )
    tensors = peft.utils.load_peft_weights(folder, device="cpu")
    heads = [t.shape[0] for name, t in tensors.items() if _of_head(name) and t.ndim == 2]
    more = {"num_labels": int(heads[-1]), "ignore_mismatched_sizes": True} if heads else {}
    auto = transformers.AutoModelForImageClassification
    _check(auto, transformers.AutoConfig.from_pretrained(place, **options, **more), place)
    module, info = auto.from_pretrained(
        place, dtype=torch.float32, output_loading_info=True, **options, **more
    )
    lacking = sorted(name for name in info["missing_keys"] if not (heads and _of_head(name)))
    if lacking:
        raise ModelError(
            f"Neither {place} nor the adapter has weights for {_some(lacking)}: save the adapter "
            "with its classifier (modules_to_save=['classifier'])."
        )
    merged = peft.PeftModel.from_pretrained(module, folder).merge_and_unload()
    return merged, [f"An adapter ({adapter.get('peft_type')}) was merged into {place}."]


def _check(auto: Any, config: Any, place: str) -> None:
    """Refuse a model that takes more memory than there is, before any of it is built.

    Raises:
        TooLarge: it would.
    """
    vision = getattr(config, "vision_config", config)
    side = getattr(vision, "image_size", None) or 224
    height, width = side if isinstance(side, list | tuple) else (side, side)
    try:
        with torch.device("meta"):
            skeleton = auto.from_config(config)
    except Exception:
        # What cannot be built says so, in its own words, where it is.
        return
    channels = int(getattr(vision, "num_channels", None) or 3)
    memory.check(place, memory.needed(skeleton, channels, (int(height), int(width))))


def _is_hub_id(place: str) -> bool:
    return re.fullmatch(r"[\w.-]+/[\w.-]+", place, re.ASCII) is not None and ".." not in place


def _of_head(name: str) -> bool:
    """Whether a weight belongs to the classifier."""
    return any(part in ("classifier", "head", "cls_classifier", "distillation_classifier")
               for part in name.split("."))  # fmt: skip


def _some(names: list[str], limit: int = 4) -> str:
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
