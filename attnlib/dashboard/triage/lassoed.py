"""The line drawn on the map of images, as a link keeps it, and which images it encloses.

The link holds the line and a check of the names that it enclosed: whoever opens it gets the same
images, or is told that they are not the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from attnlib.audit import lasso
from attnlib.audit.projection import METHODS, Method
from attnlib.dashboard.parts import address
from attnlib.dashboard.parts.codecs import Text
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import projected
from attnlib.dashboard.triage.projected import Cloud
from attnlib.errors import AttnlibError

KEY = "gallery_lasso"
# Corners are whole multiples of this, in units of the longer side of the map.
GRAIN = 1e-4
_CORNER = r"-?\d{1,5}\.-?\d{1,5}"
_WRITTEN = re.compile(
    rf"({'|'.join(METHODS)})_([0-9a-f]{{8}})((?:_{_CORNER}){{3,{lasso.CORNERS}}})", re.ASCII
)


@dataclass(frozen=True)
class Lasso:
    """A line on one of the projections.

    Attributes:
        check: of the names that it encloses.
        polygon: ``(k, 2)`` in the units of a `Cloud`.
    """

    method: Method
    check: str
    polygon: NDArray[np.float64]

    def __str__(self) -> str:
        corners = np.round(self.polygon / GRAIN).astype(int)
        return "_".join([self.method, self.check, *(f"{x}.{y}" for x, y in corners)])

    @classmethod
    def read(cls, text: str) -> Lasso:
        """The line of a text.

        Raises:
            ValueError: it is none.
        """
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise ValueError("a line as the map of images draws it")
        corners = [corner.split(".") for corner in found[3].split("_")[1:]]
        return cls(found[1], found[2], np.array(corners, np.float64) * GRAIN)  # type: ignore[arg-type]


def _fits(text: str) -> None:
    if text:
        Lasso.read(text)


def current() -> Lasso | None:
    """The line of this visitor, or of the link; it stays in the address."""
    text = address.value(KEY, "", Text(_fits), label="Lasso")
    return Lasso.read(text) if text else None


def draw(cloud: Cloud, method: Method, line: NDArray[np.float64]) -> None:
    """Take a line ``(k, 2)`` that was drawn by hand; without corners, forget the one there is."""
    if len(line) < 3:
        st.session_state[KEY] = ""
        return
    polygon = np.round(lasso.simplified(line) / GRAIN) * GRAIN
    st.session_state[KEY] = str(Lasso(method, check(enclosed(cloud, polygon)), polygon))


def enclosed(cloud: Cloud, polygon: NDArray[np.float64]) -> frozenset[str]:
    """Names of the images inside a line ``(k, 2)``."""
    found = lasso.inside(cloud.points, polygon)
    return frozenset(name for name, is_in in zip(cloud.names, found, strict=True) if is_in)


def check(names: Iterable[str]) -> str:
    """Eight digits that tell these names from others."""
    return hashlib.sha256("\0".join(sorted(names)).encode("utf-8", "replace")).hexdigest()[:8]


def judged(space: Workspace) -> tuple[frozenset[str] | None, str]:
    """Names inside the line, None where there is none to follow, and then why in a sentence."""
    line = current()
    if line is None:
        return None, ""
    if not projected.finished(space):
        return None, "The lasso is applied as soon as all images are inspected."
    try:
        cloud = projected.cloud(space, line.method)
    except AttnlibError as error:
        return None, str(error)
    if cloud is None:
        title = METHODS[line.method]
        return None, (
            f"The lasso was drawn on {title}, which is not computed here yet, so all images are "
            f"shown. Choose {title} in the map of images and compute it, or clear the lasso."
        )
    names = enclosed(cloud, line.polygon)
    if check(names) != line.check:
        return None, (
            "The lasso was drawn among other images, with another model or on another machine: "
            "here it would enclose others, so all images are shown. Draw it anew, or clear it."
        )
    return names, ""
