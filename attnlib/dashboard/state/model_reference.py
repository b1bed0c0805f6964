"""A model as a workspace names it: what it is, and all that is needed to have it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from attnlib.capture.outputs import KINDS
from attnlib.capture.passes import PRECISIONS
from attnlib.dashboard.state import models
from attnlib.dashboard.state.models import ModelChoice
from attnlib.data.image import DECODINGS
from attnlib.errors import StoreError
from attnlib.model.build import AUTO
from attnlib.model.classes import ClassNames
from attnlib.model.vit import Vit

_PLAIN = (str, int, float, bool, type(None))


def written(choice: ModelChoice, vit: Vit) -> dict[str, Any]:
    """A choice and what it led to as JSON: title, source, options, preprocessing, class names."""
    preparation = {name: _json(value) for name, value in choice.preprocessing}
    return {
        **{name: _json(value) for name, value in asdict(choice).items()},
        "preprocessing": preparation,
        "model_args": dict(choice.model_args),
        "names": None if choice.names is None else _json(asdict(choice.names)),
        "title": choice.title,
        "classes": list(vit.class_names),
        "weights_sha256": "",
    }


def read(said: Mapping[str, Any]) -> ModelChoice:
    """The choice again. It may come from a file that anybody wrote: every part is judged.

    Raises:
        StoreError: it is no such choice, or names a place that this server does not open.
    """
    try:
        choice = _choice(said)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            "The workspace names its model in a way that this version does not read."
        ) from error
    if choice.checkpoint and not models.local_files_allowed():
        raise StoreError(
            "The workspace's model is a file of the machine that it was made on, and this "
            "dashboard opens no files of its own machine. Upload the weights."
        )
    return choice


def _choice(said: Mapping[str, Any]) -> ModelChoice:
    parts = {one.name: said[one.name] for one in fields(ModelChoice)}
    size, names = parts["img_size"], parts["names"]
    parts["img_size"] = None if size is None else (_side(size[0]), _side(size[1]))
    parts["class_names"] = tuple(map(_text, parts["class_names"]))
    parts["model_args"] = tuple((_text(k), _scalar(v)) for k, v in parts["model_args"].items())
    parts["preprocessing"] = tuple(
        sorted((_text(k), _plain(v)) for k, v in parts["preprocessing"].items())
    )
    parts["names"] = None if names is None else _names(names)
    for name in ("source", "checkpoint", "digest", "taken", "device", "file"):
        _text(parts[name])
    if parts["precision"] not in PRECISIONS or parts["decoding"] not in DECODINGS:
        raise ValueError("precision or decoding")
    if parts["outputs"] not in (None, *KINDS) or not isinstance(parts["random"], bool):
        raise ValueError("outputs")
    if parts["digest"] and parts["source"] not in (AUTO, *models.architectures()):
        # The architecture of an uploaded file is one of timm's, never a place.
        raise ValueError("source")
    return ModelChoice(**parts)


def _names(said: Mapping[str, Any]) -> ClassNames:
    return ClassNames(
        tuple(map(_text, said["names"])),
        _text(said["source"]),
        _text(said["question"]),
        bool(said["numbered"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _side(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 10_000:
        raise ValueError("no side")
    return value


def _scalar(value: object) -> Any:
    if not isinstance(value, _PLAIN):
        raise TypeError("no plain value")
    return value


def _plain(value: object) -> Any:
    return tuple(map(_plain, value)) if isinstance(value, list) else _scalar(value)


def _json(value: Any) -> Any:
    return [_json(one) for one in value] if isinstance(value, tuple | list) else value
