"""The files of a training run: uploaded or in a folder of this machine, each with its epoch."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from attnlib.dashboard.parts import controls
from attnlib.dashboard.parts.checkpoint_form import WEIGHT_TYPES
from attnlib.dashboard.state import models
from attnlib.dashboard.state.training import Checkpoint, Run
from attnlib.errors import AttnlibError
from attnlib.model.checkpoint.moment import moment

# As many checkpoints of one folder are taken, the first by name.
MOST = 100


def choose(run: Run) -> None:
    """Take the files that are there into the run, and let go of those that are not measured."""
    files = st.file_uploader(
        "Checkpoints of one training run",
        type=WEIGHT_TYPES,
        accept_multiple_files=True,
        key="versus_files",
        help="Several files of one architecture, one for each epoch or so. No code of them is run.",
    )
    found = [_uploaded(run, file) for file in files or []]
    if models.local_files_allowed():
        folder = controls.text(
            "versus_folder",
            "or a folder on this machine",
            placeholder="runs/2024-05-01",
            linked=False,
            help="Every file of weights that lies in it, not in its sub-folders.",
        ).strip()
        if folder:
            found += _local(run, Path(folder))
    measured = {key for key, _ in run.measured}
    before = {key: one for key, one in run.checkpoints.items() if key in measured}
    # What was measured stays without its weights; what was not needs its file.
    gone = {key: Checkpoint(key, one.name, one.moment) for key, one in before.items()}
    run.checkpoints = {**gone, **{one.key: one for one in found}}


def _uploaded(run: Run, file: UploadedFile) -> Checkpoint:
    key = f"upload:{file.file_id}"
    known = run.checkpoints.get(key)
    when = known.moment if known is not None else moment(file.name, file.getvalue())
    return Checkpoint(key, file.name, when, file.getvalue)


def _local(run: Run, folder: Path) -> list[Checkpoint]:
    """The checkpoints of a folder.

    Raises:
        AttnlibError: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise AttnlibError(f"There is no folder {str(folder)!r} on this machine.")
    endings = {f".{ending}" for ending in WEIGHT_TYPES}
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in endings)
    if not paths:
        raise AttnlibError(
            f"There is no file of weights in {str(folder)!r}: their names end in "
            f"{', '.join(sorted(endings))}."
        )
    found = []
    for path in paths[:MOST]:
        key = models.local_digest(str(path))
        known = run.checkpoints.get(key)
        when = known.moment if known is not None else moment(path.name, path)
        found.append(Checkpoint(key, path.name, when, path))
    if len(paths) > MOST:
        st.caption(f"The folder holds {len(paths)} files; the first {MOST} by name are taken.")
    return found


def table(run: Run) -> None:
    """Each file with its epoch, what says so, and a cell to say it oneself."""
    listed = sorted(
        run.checkpoints.values(),
        key=lambda one: (run.number(one) is None, run.number(one) or 0.0, one.name),
    )
    rows = [
        {"file": one.name, "epoch": run.number(one), "source": _source(run, one)} for one in listed
    ]
    edited = st.data_editor(
        rows,
        hide_index=True,
        disabled=["file", "source"],
        column_config={
            "file": st.column_config.TextColumn("checkpoint"),
            "epoch": st.column_config.NumberColumn("epoch or step", min_value=0),
            "source": st.column_config.TextColumn("said by"),
        },
        # Rows are sorted by what is edited: after each change it is another table.
        key=f"versus_epochs_{abs(hash(tuple((r['file'], r['epoch']) for r in rows)))}",
    )
    changed = False
    for one, before, after in zip(listed, rows, edited, strict=True):
        if after["epoch"] == before["epoch"]:
            continue
        changed = True
        if after["epoch"] is None:
            run.said.pop(one.key, None)
        else:
            run.said[one.key] = float(after["epoch"])
    if changed:
        st.rerun()


def _source(run: Run, one: Checkpoint) -> str:
    if one.key in run.said:
        return "you"
    return one.moment.source if one.moment is not None else "nothing: say it"
