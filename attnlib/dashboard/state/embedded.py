"""The images and masks of the embedded demos: what is shown while nobody has added others."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from attnlib.data.collection import Sample
from attnlib.data.image import sha256
from attnlib.model import demo, objects

PHOTOGRAPHS = "demo"


def of(source: str) -> str:
    """The set that belongs to a model: its own for an embedded demo, else the photographs."""
    return source if source in _SAMPLES else PHOTOGRAPHS


@st.cache_resource(max_entries=2, show_spinner=False)
def samples(name: str) -> tuple[Sample, ...]:
    """The images of a set; their labels stand where an upload has its folder's name."""
    return _SAMPLES[name]()


@st.cache_resource(max_entries=2, show_spinner=False)
def masks(name: str) -> dict[str, bytes]:
    """The masks of a set: PNG bytes by the SHA-256 of the image; none for photographs."""
    if name != objects.NAME:
        return {}
    return {sha256(image.data): image.mask for image in objects.images()}


def _photographs() -> tuple[Sample, ...]:
    return tuple(
        Sample(image.name, image.data, sha256(image.data), image.label, image.chosen)
        for image in demo.images()
    )


def _objects() -> tuple[Sample, ...]:
    return tuple(
        Sample(image.name, image.data, sha256(image.data), image.label)
        for image in objects.images()
    )


_SAMPLES: dict[str, Callable[[], tuple[Sample, ...]]] = {
    PHOTOGRAPHS: _photographs,
    objects.NAME: _objects,
}
