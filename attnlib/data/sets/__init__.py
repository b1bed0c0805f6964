"""Sets of images that need not fit into memory: folder, zip, tar, Parquet, table of paths."""

from __future__ import annotations

from attnlib.data.sets.entry import Entry, ImageSet
from attnlib.data.sets.folder import Folder
from attnlib.data.sets.listed import Listed
from attnlib.data.sets.parquet import Tables
from attnlib.data.sets.places import resolved
from attnlib.data.sets.tars import Tars
from attnlib.data.sets.zips import Zips
from attnlib.errors import AttnlibError

__all__ = ["Entry", "ImageSet", "open_set"]


def open_set(text: str) -> ImageSet:
    """The set at a path or URL (any fsspec file system; ``{000..999}`` and ``*`` are written out).

    ========================  ==========================================================
    source                    label of an image
    ========================  ==========================================================
    a folder                  its folder's name, or what a table at the top says
    ``*.zip``                 its folder's name
    ``*.tar``                 ``key.cls``, ``key.txt`` or ``key.json`` beside it, or its folder
    ``*.parquet``             the column “label”, with names from the schema
    ``*.csv``, ``*.tsv``      the column “label”; “path” says where the images are
    ========================  ==========================================================

    Raises:
        AttnlibError: nothing is there, or it is of none of these kinds.
    """
    places = resolved(text)
    first = places[0]
    if len(places) == 1 and first.is_folder:
        return Folder(first)
    endings = {place.path.rsplit(".", 1)[-1].lower() for place in places}
    many = tuple(places)
    if endings == {"zip"}:
        return Zips(many)
    if endings == {"tar"}:
        return Tars(many)
    if endings == {"parquet"}:
        return Tables(many)
    if len(places) == 1 and endings <= {"csv", "tsv"}:
        return Listed(first)
    raise AttnlibError(
        f"{text} is no set of images: give a folder, zip, tar or Parquet files (several by "
        "{000..999} or *), or a CSV of paths."
    )
