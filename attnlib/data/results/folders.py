"""ImageNet-style folders: the folder that an image lies in is its label."""

from __future__ import annotations

import posixpath

import pandas as pd

from attnlib.data.paths import IMAGE_ENDINGS
from attnlib.data.results.files import Files
from attnlib.data.results.raw import Raw


def fits(files: Files) -> bool:
    """Whether there are images."""
    return bool(files.ending(*IMAGE_ENDINGS))


def read(files: Files) -> Raw:
    """The paths of the images, and their folders; what holds all of them is no label."""
    images = sorted(files.ending(*IMAGE_ENDINGS))
    folders = {posixpath.dirname(path) for path in images}
    root = posixpath.commonpath(folders) if folders else ""
    labels = [
        posixpath.basename(folder) if (folder := posixpath.dirname(path)) != root else None
        for path in images
    ]
    frame = pd.DataFrame({"path": images, "label": pd.Series(labels, dtype=object)})
    return Raw(frame, "folders of images")
