"""A training run as lines over its epochs: accuracy, each class, and how patterns form."""

from __future__ import annotations

import numpy as np
import streamlit as st

from attnlib import audit
from attnlib.dashboard.parts import charts, controls, downloads
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import tasks, training, workspace
from attnlib.dashboard.state.training import Checkpoint, Measured, Run
from attnlib.dashboard.state.workspace import Workspace, short_name
from attnlib.dashboard.versus import files, run_charts
from attnlib.data.collection import Sample

FEW, MANY = 10, 200
CLASSES = 6
HEIGHT = 230
Done = list[tuple[float, Checkpoint, Measured]]


def show(space: Workspace) -> None:
    """The files, the button, then the lines."""
    run = space.session.training
    st.caption(
        "How a training went, on your images: each checkpoint is loaded as the model in the "
        "sidebar was, if that is one of them (load one there first where options or class names "
        "have to be said), else as its file says. One after the other is in memory."
    )
    files.choose(run)
    if not run.checkpoints:
        st.info(
            "Add the checkpoints that a training wrote: at least two, one for each epoch or so."
        )
        return
    files.table(run)
    samples = _samples(space)
    asked = training.asked(samples, space.choice, space.threshold)
    ordered = run.ordered()
    without = len(run.checkpoints) - len(ordered)
    if without:
        st.warning(
            f"{without} checkpoint{'s have' if without > 1 else ' has'} no epoch: neither the file "
            "nor its name says one. Type it into the table."
        )
    waiting = [one for one in ordered if (one.key, asked) not in run.measured]
    _measure(space, run, [one for one in waiting if one.source is not None], samples, asked)
    lost = [one.name for one in waiting if one.source is None]
    if lost:
        st.caption(
            f"Of {len(lost)} checkpoint{'s' * (len(lost) > 1)} the file is needed again, since "
            "the images or the settings have changed."
        )
    done: Done = []
    for one in ordered:
        found, number = run.measured.get((one.key, asked)), run.number(one)
        if found is not None and found.problem:
            st.warning(literal(found.problem), title=f"{literal(one.name)} could not be used")
        elif found is not None and number is not None:
            done.append((number, one, found))
    if done:
        _lines(space, done)


def _samples(space: Workspace) -> list[Sample]:
    """The images that are looked at: all of a few, or some of many."""
    count = len(space.samples)
    if count > FEW:
        count = controls.slider(
            "versus_run_images",
            "Images",
            FEW,
            count,
            min(count, MANY),
            of=count,
            width=260,
            help="Fewer are drawn at random, always the same ones.",
        )
    chosen = sorted(np.random.default_rng(0).permutation(len(space.samples))[:count].tolist())
    return [space.samples[index] for index in chosen]


def _measure(
    space: Workspace,
    run: Run,
    waiting: list[Checkpoint],
    samples: list[Sample],
    asked: str,
) -> None:
    if not waiting:
        return
    choice, threshold = space.choice, space.threshold

    def keep(one: Checkpoint, found: Measured) -> None:
        run.keep((one.key, asked), found)

    measured = tasks.run(
        "versus_run",
        (asked, tuple(one.key for one in waiting)),
        lambda progress: training.measure(waiting, samples, choice, threshold, keep, progress),
        button=f"Measure {len(waiting)} checkpoint{'s' * (len(waiting) > 1)}",
        help=f"Each looks at {len(samples)} images. It can be stopped; what is done stays.",
    )
    if measured is not None:
        # They wait no longer: the page is drawn without them.
        st.rerun()


def _lines(space: Workspace, done: Done) -> None:
    unit = _unit(done)
    rows = scores(space, done)
    if rows:
        _scores(space, done, rows, unit)
    else:
        st.info(
            "No image has a label that these checkpoints know: there is no accuracy to draw. "
            "Add labels, or load one of the checkpoints in the sidebar with its class names."
        )
    layers = by_layer(done)
    if layers:
        _layers(layers, unit)
    else:
        st.caption("These checkpoints have no attention of a readout: no patterns to follow.")


def _unit(done: Done) -> str:
    units = {one.moment.unit for _, one, _ in done if one.moment is not None}
    return units.pop() if len(units) == 1 else "epoch"


def scores(space: Workspace, done: Done) -> list[dict[str, object]]:
    """Accuracy of each checkpoint: ``epoch``, ``checkpoint``, ``images``, ``right``,
    ``accuracy`` with its Wilson 95 % interval ``low``, ``high``."""
    rows: list[dict[str, object]] = []
    for number, one, found in done:
        true = _true(space, found)
        judged = [said == true[name] for name, said in found.said.items() if name in true]
        if not judged:
            continue
        low, high = audit.wilson(sum(judged), len(judged))
        rows.append(
            {
                "epoch": number,
                "checkpoint": one.name,
                "images": len(judged),
                "right": sum(judged),
                "accuracy": sum(judged) / len(judged),
                "low": low,
                "high": high,
            }
        )
    return rows


def by_class(space: Workspace, done: Done) -> list[dict[str, object]]:
    """Of each true class, the share that each checkpoint finds: ``epoch``, ``class``,
    ``images``, ``share``."""
    rows: list[dict[str, object]] = []
    for number, _, found in done:
        true = _true(space, found)
        for index, name in enumerate(found.class_names):
            has = [image for image in found.said if index in true.get(image, ())]
            if has:
                hits = sum(index in found.said[image] for image in has)
                rows.append(
                    {
                        "epoch": number,
                        "class": short_name(name),
                        "images": len(has),
                        "share": hits / len(has),
                    }
                )
    return rows


def by_layer(done: Done) -> list[dict[str, object]]:
    """``epoch``, ``layer``, ``entropy`` and ``diversity`` of each checkpoint and layer."""
    return [
        {
            "epoch": number,
            "layer": layer,
            "entropy": float(entropy),
            "diversity": None if np.isnan(apart) else float(apart),
        }
        for number, _, found in done
        for layer, (entropy, apart) in enumerate(zip(found.entropy, found.diversity, strict=True))
    ]


def _true(space: Workspace, found: Measured) -> dict[str, frozenset[int]]:
    """The labels of the images, by the checkpoint's own classes."""
    if found.kind not in ("classes", "labels", "binary"):
        return {}
    several = found.kind == "labels"
    names, ours = found.class_names, space.vit
    if names == tuple(ours.class_names) and several == (ours.outputs.kind == "labels"):
        match = space.labels
    else:
        match = workspace.matched(space.session, names, several)
    if several:
        return dict(match.sets)
    return {name: frozenset({index}) for name, index in match.labels.items()}


def _scores(space: Workspace, done: Done, rows: list[dict[str, object]], unit: str) -> None:
    charts.draw(
        run_charts.accuracy,
        rows,
        words=f"Accuracy over {unit}s with its 95 % interval",
        width=620,
        height=HEIGHT,
        unit=unit,
    )
    st.caption(
        "Share of images predicted right; the band is its 95 % interval (Wilson): two points "
        "whose bands overlap much may differ by chance."
    )
    downloads.table(rows, "training-accuracy")
    single = by_class(space, done)
    names = list(dict.fromkeys(str(row["class"]) for row in single))
    shown = controls.several(
        "versus_run_classes",
        "Classes",
        names,
        default=_moving(single, names),
        of=tuple(names),
        wrap=True,
        help="Those that change most at first.",
    )
    if shown:
        charts.draw(
            run_charts.classes,
            [row for row in single if row["class"] in shown],
            words=f"Share of each class that is found, over {unit}s",
            width=620,
            height=HEIGHT + 40,
            unit=unit,
            names=tuple(shown),
        )
        st.caption("Of the images that have the class, the share that is predicted as it.")
    downloads.table(single, "training-classes")


def _moving(rows: list[dict[str, object]], names: list[str]) -> list[str]:
    """The classes whose share changes most."""
    shares: dict[str, list[float]] = {name: [] for name in names}
    for row in rows:
        shares[str(row["class"])].append(float(str(row["share"])))
    span = {name: max(values) - min(values) for name, values in shares.items()}
    most = sorted(names, key=lambda name: -span[name])[:CLASSES]
    return [name for name in names if name in most]


def _layers(rows: list[dict[str, object]], unit: str) -> None:
    st.subheader("How patterns form")
    for field, title, words in (
        (
            "entropy",
            "attention entropy",
            "How evenly the readout looks at the patches, mean over heads and images: 1 is the "
            "same everywhere (nothing learned yet), 0 is one patch alone.",
        ),
        (
            "diversity",
            "head diversity",
            "How different the heads of a layer look: 1 minus the mean correlation of two heads' "
            "maps. 0 is that all look at the same patches, 1 that they have nothing in common, "
            "more that one looks where another does not.",
        ),
    ):
        known = [{**row, "value": row[field]} for row in rows if row[field] is not None]
        if not known:
            continue
        charts.draw(
            run_charts.layers,
            known,
            words=f"{title} of every layer over {unit}s",
            width=620,
            height=HEIGHT,
            unit=unit,
            title=title,
        )
        st.caption(words)
    downloads.table(rows, "training-layers")
