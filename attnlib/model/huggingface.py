"""Models of transformers: a folder, or an id on the Hugging Face Hub, with its processor.

Nothing of a repository is ever run: no remote code, no pickles but by PyTorch's own safe reader.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import timm
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from attnlib.errors import ModelError, brief
from attnlib.model import network
from attnlib.model.asked import refuse_deep
from attnlib.model.built import Built
from attnlib.model.pretrained import adapted, whole
from attnlib.model.processors import processor_of

PREFIXES = ("hf-hub:", "hf_hub:", "local-dir:")
# As the hub writes its ids; anything else might be a path, or an address.
_ID = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?(@[\w./-]{1,96})?", re.ASCII)
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
        cached: of a hub id that cannot be asked now, the folder in the local cache.
    """

    place: str
    revision: str | None
    config: Mapping[str, Any]
    adapter: bool
    local: bool
    cached: str = ""

    @property
    def reads(self) -> str:
        """What transformers is given: without a network it would ask for an id again and again."""
        return self.cached or self.place

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
    if not is_id(name):
        raise ModelError(f"{name[:80]!r} is no id on the hub: an id looks like org/name.")
    place, _, revision = name.partition("@")
    for file in (CONFIG, ADAPTER):
        path = _fetched(place, file, revision or None)
        if path is not None:
            cached = "" if network.online() else str(path.parent)
            return Repository(place, revision or None, _read(path), file == ADAPTER, False, cached)
    raise ModelError(f"{place} has no {CONFIG}, so nothing says what model it is.")


def is_id(name: str) -> bool:
    """Whether a text has the form of a hub id: ``org/name`` or ``name``, with ``@revision``."""
    return _ID.fullmatch(name) is not None and ".." not in name and not name.startswith("/")


def built(repo: Repository) -> Built:
    """The model of a repository of transformers, ready for images.

    Raises:
        ModelError: transformers is not installed, has no image classification for this kind of
            model, or cannot read the files; the message says why.
    """
    refuse_deep(repo.config)
    transformers = _transformers()
    options: dict[str, Any] = {
        "revision": None if repo.cached else repo.revision,
        "local_files_only": repo.local or bool(repo.cached),
        "trust_remote_code": False,
    }
    try:
        if repo.adapter:
            module, notes = adapted(transformers, repo.reads, repo.config, repo.local, options)
        else:
            module, notes = whole(transformers, repo.reads, options)
        processor, source, more = processor_of(transformers, repo.reads, module, options)
    except ModelError:
        raise
    except Exception as error:
        # Anything may be wrong with a stranger's files, and every reader says it its own way.
        raise ModelError(
            f"transformers cannot open {repo.place} ({type(error).__name__}: {brief(error)})."
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


def _fetched(place: str, file: str, revision: str | None) -> Path | None:
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
        raise ModelError(f"{place!r} is no id on the hub: {brief(error)}") from error
    return Path(path)


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ModelError(
            f"This model is one of transformers, which is not installed: {_MISSING}."
        ) from error
    return transformers
