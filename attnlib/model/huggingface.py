"""Models of transformers: a folder, or an id on the Hugging Face Hub, with its processor.

Nothing of a repository is ever run: no remote code, no pickles but by PyTorch's own safe reader.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import timm
import torch
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from torch import Tensor, nn

from attnlib.errors import ModelError
from attnlib.model import network
from attnlib.model.built import Built

PREFIXES = ("hf-hub:", "hf_hub:", "local-dir:")
CONFIG, ADAPTER = "config.json", "adapter_config.json"
_MISSING = "pip install 'attnlib[transformers]'"


@dataclass(frozen=True)
class Repository:
    """A model's folder or hub id.

    Attributes:
        place: path of the folder, or the id.
        revision: of a hub id; None for the newest.
        config: what its ``config.json`` says, or ``adapter_config.json`` where it is an adapter.
        adapter: whether it holds an adapter to other weights.
        local: whether it is a folder on this machine.
    """

    place: str
    revision: str | None
    config: Mapping[str, Any]
    adapter: bool
    local: bool

    @property
    def of_timm(self) -> bool:
        """Whether timm wrote it (``save_for_hf``)."""
        return "architecture" in self.config and "model_type" not in self.config


def repository(source: str) -> Repository | None:
    """The folder or hub id that a source names; None where it is neither.

    Raises:
        ModelError: a folder without a configuration, or an id that cannot be had.
    """
    if timm.is_model(source):
        return None
    name = next((source[len(p) :] for p in PREFIXES if source.startswith(p)), source)
    folder = Path(name).expanduser()
    of_hub = source.startswith(PREFIXES[:2])
    if source.startswith("local-dir:") or (not of_hub and folder.is_dir()):
        return _folder(folder)
    if not of_hub and name.count("/") != 1:
        return None
    place, _, revision = name.partition("@")
    for file in (CONFIG, ADAPTER):
        config = _fetched(place, file, revision or None)
        if config is not None:
            return Repository(place, revision or None, config, file == ADAPTER, False)
    raise ModelError(f"{place} has no {CONFIG}, so nothing says what model it is.")


def built(repo: Repository) -> Built:
    """The model of a repository of transformers, ready for images.

    Raises:
        ModelError: transformers is not installed, has no image classification for this kind of
            model, or cannot read the files; the message says why.
    """
    transformers = _transformers()
    options: dict[str, Any] = {
        "revision": repo.revision,
        "local_files_only": repo.local or not network.online(),
        "trust_remote_code": False,
    }
    try:
        if repo.adapter:
            module, notes = _adapted(transformers, repo, options)
        else:
            module, notes = _whole(transformers, repo.place, options)
        processor, source, more = _processor(transformers, repo, module, options)
    except ModelError:
        raise
    except Exception as error:
        # Anything may be wrong with a stranger's files, and every reader says it its own way.
        words = str(error).strip().splitlines() or [""]
        raise ModelError(
            f"transformers cannot open {repo.place} ({type(error).__name__}: {words[0][:300]})."
        ) from error
    return Built(
        Path(repo.place).name if repo.local else repo.place,
        module,
        data_source=source,
        processor=processor,
        notes=(*notes, *more),
    )


def _folder(folder: Path) -> Repository:
    for file in (CONFIG, ADAPTER):
        if (folder / file).is_file():
            config = _read(folder / file)
            return Repository(str(folder), None, config, file == ADAPTER, True)
    held = sorted(path.name for path in folder.iterdir())[:6] if folder.is_dir() else []
    raise ModelError(
        f"The folder {str(folder)!r} has no {CONFIG}, so nothing says what model it is"
        + (f" (it holds {', '.join(held)})." if held else ".")
        + " Give a checkpoint file with its architecture instead, or save the model with "
        "save_pretrained."
    )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not readable JSON: save the model again.") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} does not hold a configuration: save the model again.")
    return found


def _fetched(place: str, file: str, revision: str | None) -> Mapping[str, Any] | None:
    """A configuration from the hub or its local cache; None where the id has no such file."""
    try:
        path = huggingface_hub.hf_hub_download(
            place, file, revision=revision, local_files_only=not network.online()
        )
    except LocalEntryNotFoundError as error:
        if file == CONFIG:
            cached = huggingface_hub.try_to_load_from_cache(place, ADAPTER, revision=revision)
            if isinstance(cached, str):
                return None
        raise network.unreachable(place) from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status == 404 and "EntryNotFound" in type(error).__name__:
            return None
        raise ModelError(
            f"The hub has no model {place!r} that can be read here ({type(error).__name__}). Check "
            "the id, or sign in with `hf auth login` where it is private."
        ) from error
    except Exception as error:
        raise ModelError(f"{place!r} is no id on the hub: {error}") from error
    return _read(Path(path))


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ModelError(
            f"This model is one of transformers, which is not installed: {_MISSING}."
        ) from error
    return transformers


def _whole(
    transformers: Any, place: str, options: Mapping[str, Any]
) -> tuple[nn.Module, list[str]]:
    """The model with its classifier; without one where the files have none."""
    kind = transformers.AutoConfig.from_pretrained(place, **options)
    known = transformers.models.auto.modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING
    if type(kind) not in known:
        return _features(transformers, place, kind, options)
    auto = transformers.AutoModelForImageClassification
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
    return module, notes


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


def _adapted(
    transformers: Any, repo: Repository, options: Mapping[str, Any]
) -> tuple[nn.Module, list[str]]:
    """The adapter merged into the weights that it was trained on."""
    try:
        import peft
    except ImportError as error:
        raise ModelError(
            "This is an adapter (PEFT), and the package that merges it is not installed: "
            "pip install peft. Or merge it where it was trained: "
            "model.merge_and_unload().save_pretrained('merged')."
        ) from error
    base = str(repo.config.get("base_model_name_or_path") or "")
    beside = Path(repo.place) / base
    place = str(beside) if base and repo.local and beside.is_dir() else base
    if not place:
        raise ModelError(
            f"The adapter in {repo.place} does not say which model it belongs to "
            "(base_model_name_or_path). Merge it where it was trained: "
            "model.merge_and_unload().save_pretrained('merged')."
        )
    tensors = peft.utils.load_peft_weights(repo.place, device="cpu")
    heads = [t.shape[0] for name, t in tensors.items() if _of_head(name) and t.ndim == 2]
    more = {"num_labels": int(heads[-1]), "ignore_mismatched_sizes": True} if heads else {}
    auto = transformers.AutoModelForImageClassification
    module, info = auto.from_pretrained(
        place, dtype=torch.float32, output_loading_info=True, **options, **more
    )
    lacking = sorted(name for name in info["missing_keys"] if not (heads and _of_head(name)))
    if lacking:
        raise ModelError(
            f"Neither {place} nor the adapter has weights for {_some(lacking)}: save the adapter "
            "with its classifier (modules_to_save=['classifier'])."
        )
    merged = peft.PeftModel.from_pretrained(module, repo.place).merge_and_unload()
    return merged, [f"An adapter ({repo.config.get('peft_type')}) was merged into {place}."]


def _processor(
    transformers: Any, repo: Repository, module: nn.Module, options: Mapping[str, Any]
) -> tuple[Any, str, list[str]]:
    """The image processor, what says so, and what a person should know of it."""
    auto = transformers.AutoImageProcessor
    try:
        return auto.from_pretrained(repo.place, **options), "preprocessor_config.json", []
    except (OSError, ValueError):
        pass
    config: Any = module.config
    vision = getattr(config, "vision_config", config)
    side = getattr(vision, "image_size", 224)
    height, width = side if isinstance(side, list | tuple) else (side, side)
    mapping = transformers.models.auto.image_processing_auto.IMAGE_PROCESSOR_MAPPING
    try:
        kinds = mapping[type(config)]
    except KeyError as error:
        raise ModelError(
            f"{repo.place} has no preprocessor_config.json, and transformers has no processor for "
            f"{config.model_type}: give a transform."
        ) from error
    kinds = list(kinds.values()) if isinstance(kinds, dict) else list(kinds)
    kind = next(k for k in kinds if k is not None)
    size = {"height": int(height), "width": int(width)}
    made = kind(size=size, crop_size=size) if hasattr(kind, "crop_size") else kind(size=size)
    note = (
        f"No preprocessor_config.json came with it: images are prepared as transformers does for "
        f"{config.model_type} by default. Compare with your training."
    )
    return made, f"transformers' default for {config.model_type}", [note]


def _of_head(name: str) -> bool:
    """Whether a weight belongs to the classifier."""
    return any(part in ("classifier", "head", "cls_classifier", "distillation_classifier")
               for part in name.split("."))  # fmt: skip


def _some(names: list[str], limit: int = 4) -> str:
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
