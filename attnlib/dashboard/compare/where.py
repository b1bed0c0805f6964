"""The controls that say where the object is: files, or a box drawn on the patch grid."""

from __future__ import annotations

from collections.abc import Hashable

import streamlit as st
from PIL import Image, ImageDraw

from attnlib.dashboard.compare import objects
from attnlib.dashboard.parts import controls
from attnlib.dashboard.parts.cells import Cell, cells
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.pictures import plain
from attnlib.dashboard.state import tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data import annotation, masks
from attnlib.data.annotation import Mask
from attnlib.data.collection import Sample
from attnlib.data.image import sha256

SIDE = 300
SIDES = ("left", "top", "right", "bottom")
KEYS = [f"compare_box_{side}" for side in SIDES]
BOX, MASK, COCO = "Box", "Mask", "COCO file"


def uploader(space: Workspace, sample: Sample) -> None:
    """Take masks and annotations into the session."""
    kept = space.session.objects
    with st.expander("Masks and annotations", icon=":material/upload_file:"):
        files = st.file_uploader(
            "PNG masks, or one COCO-style JSON",
            type=["png", "json"],
            accept_multiple_files=True,
            key=f"compare_masks_{space.session.uploader}",
            help=(
                "A mask is a PNG as large as its image, and belongs to the image of its name "
                "(cat.png or cat_mask.png for cat.jpg); a single mask of another name belongs to "
                "the chosen image."
            ),
        )
        seen: frozenset[str] = st.session_state.get("masks_seen", frozenset())
        new = [file for file in files or [] if file.file_id not in seen]
        if new:
            given = [(file.name, file.getvalue()) for file in new]
            found = tasks.run(
                "compare_masks",
                (tuple(sha256(data) for _, data in given), sample.sha256),
                lambda progress: masks.read(given, space.samples, sample, kept),
                button="Reading",
                help="Read the files.",
                eager=True,
            )
            if found is not None:
                space.session.objects = kept = found
                st.session_state["masks_seen"] = seen | {file.file_id for file in new}
        for problem in kept.problems:
            st.warning(literal(f"{problem.name}: {problem.reason}"))
        count = len(kept.masks) + (len(kept.coco[1].sizes) if kept.coco else 0)
        st.caption(f"Annotated images: {count}.")


def mask(space: Workspace, sample: Sample) -> tuple[str, Mask | None]:
    """Where the mask comes from, and the mask ``(h, w)`` of the crop; None until there is one.

    Raises:
        AttnlibError: the annotation does not fit this image.
    """
    kept = space.session.objects
    sources = []
    if sample.sha256 in kept.masks:
        sources.append(MASK)
    if kept.coco is not None:
        sources.append(COCO)
    sources.append(BOX)
    source = controls.segments(
        "compare_object",
        "Where the object is",
        sources,
        of=(sample.sha256, *sources),
        help="A mask, an annotation, or a box that you draw.",
    )
    choice, vit = space.choice, space.vit
    if source == MASK:
        return source, objects.crop_of_png(choice, vit, sample, kept.masks[sample.sha256])
    if source == COCO and kept.coco is not None:
        wanted = _categories(sample, kept.coco[1])
        return source, objects.crop_of_coco(choice, vit, sample, kept.coco, wanted)
    return BOX, _box(space, sample)


def _categories(sample: Sample, coco: annotation.Coco) -> tuple[str, ...]:
    name = sample.name if sample.name in coco.objects else sample.name.rsplit("/", 1)[-1]
    known = sorted({entry.category for entry in coco.objects.get(name, ())})
    if len(known) < 2:
        return ()
    return tuple(
        controls.several(
            "compare_categories",
            "Categories",
            known,
            of=sample.sha256,
            placeholder="all",
            help="Which annotated objects count; empty is all of them.",
        )
    )


def _box(space: Workspace, sample: Sample) -> Mask | None:
    """A box in pixels of the crop: two clicks on patches, or four numbers."""
    crop = space.inspected(sample.name).picture
    rows, cols = space.vit.layout.grid
    of = (sample.sha256, crop.size)
    half = f"compare_corner_{sample.sha256[:12]}_{crop.width}x{crop.height}"
    corner: Cell | None = st.session_state.get(half)

    def pick(cell: Cell) -> None:
        if corner is None:
            st.session_state[half] = cell
            for key in KEYS:
                st.session_state[key] = None
            return
        st.session_state[half] = None
        box = patch_box(corner, cell, (rows, cols), crop.size, space.vit.covers)
        for key, value in zip(KEYS, box, strict=True):
            st.session_state[key] = value

    with st.container(horizontal=True, gap="medium"):
        place = st.container(width=SIDE, gap=None)
        with st.container(width=220):
            numbers = _numbers(crop.size, of)
            st.button(
                "Clear",
                icon=":material/close:",
                on_click=_clear,
                args=([*KEYS, half],),
                help="Forget the box.",
            )
        with place:
            st.caption(
                "Click the opposite corner."
                if corner is not None
                else "Click two patches, opposite corners of the object."
            )
            cells(
                framed(crop, numbers),
                (rows, cols),
                key="compare_box_cells",
                alt="The image as the model saw it; click two patches to draw a box",
                width=SIDE,
                selected=[] if corner is None else [corner],
                on_pick=pick,
                covers=space.vit.covers,
            )
    return None if numbers is None else annotation.box_mask(numbers, crop.size)


def _numbers(size: tuple[int, int], of: Hashable) -> tuple[int, int, int, int] | None:
    found = [
        controls.number(
            key,
            f"{side.capitalize()}, pixels",
            None,
            0,
            size[place % 2],
            of=of,
            help=f"The {side} edge of the box, in pixels of what the model saw.",
        )
        for place, (side, key) in enumerate(zip(SIDES, KEYS, strict=True))
    ]
    left, top, right, bottom = found
    if left is None or top is None or right is None or bottom is None:
        return None
    return left, top, right, bottom


def _clear(keys: list[str]) -> None:
    for key in keys:
        st.session_state[key] = None


def patch_box(
    first: Cell,
    second: Cell,
    grid: tuple[int, int],
    size: tuple[int, int],
    covers: tuple[float, float] = (1.0, 1.0),
) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) in pixels of two patches and all between them.

    Args:
        first, second: the patches, (row, column).
        grid: rows and columns of patches.
        size: width and height of the picture in pixels; the box stays within.
        covers: how far the patches reach, in shares of the picture's height and width.
    """
    (rows, cols), (down, across) = grid, covers
    width, height = size[0] * across, size[1] * down
    top, bottom = min(first[0], second[0]), max(first[0], second[0]) + 1
    left, right = min(first[1], second[1]), max(first[1], second[1]) + 1
    return (
        round(left * width / cols),
        round(top * height / rows),
        min(size[0], round(right * width / cols)),
        min(size[1], round(bottom * height / rows)),
    )


def framed(crop: Image.Image, box: tuple[int, int, int, int] | None) -> Image.Image:
    """The crop, enlarged, with the box drawn if it has an extent."""
    picture = plain(crop, 2 * SIDE)
    if box is not None and box[0] < box[2] and box[1] < box[3]:
        across, down = picture.width / crop.width, picture.height / crop.height
        edges = (box[0] * across, box[1] * down, box[2] * across - 1, box[3] * down - 1)
        pen = ImageDraw.Draw(picture)
        pen.rectangle(edges, outline="black", width=8)
        pen.rectangle(edges, outline="#e69f00", width=4)
    return picture
