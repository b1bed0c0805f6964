"""All maps of one image: the quick ones at once, the slow ones beside the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import streamlit as st
from numpy.typing import ArrayLike, NDArray

from attnlib.audit import Prediction
from attnlib.dashboard.compare.settings import COMPARED, Settings, light, unsupported
from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.collection import Sample
from attnlib.data.text import within
from attnlib.errors import AttnlibError
from attnlib.methods import METHODS, Heat
from attnlib.methods.flow import flow_details
from attnlib.methods.maxflow import LayeredFlow
from attnlib.model.vit import Vit

T = TypeVar("T")


@dataclass
class Compared:
    """The maps of one image that there are, in the order of ``COMPARED``.

    Attributes:
        target: the class that class-specific maps explain.
        heats: by method.
        flow: how attention flow was solved.
        reasons: by method, why there is no map.
        waiting: methods that are computed now or were not asked for.
    """

    target: int
    heats: dict[str, Heat] = field(default_factory=dict)
    flow: LayeredFlow | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)

    def shares(self) -> dict[str, NDArray[np.float64]]:
        """The maps that have a share, in multiples of uniform."""
        found = {name: times_uniform(heat.values) for name, heat in self.heats.items()}
        return {name: values for name, values in found.items() if values is not None}


def times_uniform(values: ArrayLike) -> NDArray[np.float64] | None:
    """A map's positive part as a share of its total, times the number of patches ``(rows, cols)``.

    Each map is so measured in its own total, which makes different units comparable: 1 is what
    each patch gets if all get the same. None for a map without a positive value.
    """
    positive: NDArray[np.float64] = np.maximum(np.asarray(values, np.float64), 0)
    total = positive.sum()
    return positive / total * positive.size if total > 0 else None


def maps(
    space: Workspace, prediction: Prediction, target: int, settings: Settings
) -> Compared | None:
    """The maps of one image; None while not even the quick ones are there."""
    sample = space.by_name[prediction.name]
    choice, vit = space.choice, space.vit
    found = Compared(target)
    for name in COMPARED:
        if reason := unsupported(vit, name):
            found.reasons[name] = reason
    key = (choice, sample.sha256, target, settings)
    quick = tasks.run(
        "compare_quick",
        key,
        lambda progress: _quick(choice, vit, sample, target, settings, progress),
        button="Maps",
        help="Compute the maps.",
        eager=True,
    )
    if quick is None:
        return None
    heats, failed = quick
    found.heats |= heats
    found.reasons |= failed
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for name in COMPARED:
            if name == "flow":
                _add_flow(found, space, sample, settings)
            elif METHODS[name].slow:
                _add_slow(found, space, sample, name, settings)
    found.heats = {name: found.heats[name] for name in COMPARED if name in found.heats}
    return found


def _quick(
    choice: ModelChoice,
    vit: Vit,
    sample: Sample,
    target: int,
    settings: Settings,
    progress: tasks.Progress,
) -> tuple[dict[str, Heat], dict[str, str]]:
    """Maps that take a pass or two, and for the others of that kind why there is none."""
    heats: dict[str, Heat] = {}
    failed: dict[str, str] = {}
    names = [name for name in COMPARED if not METHODS[name].slow and not unsupported(vit, name)]
    for done, name in enumerate(names):
        progress(done, len(names))
        method = METHODS[name]
        wanted = target if method.class_specific else None
        try:
            heats[name] = results.heat(
                choice, vit, sample, name, wanted, **settings.options(method)
            )
        except AttnlibError as error:
            failed[name] = str(error)
    return heats, failed


def _add_flow(found: Compared, space: Workspace, sample: Sample, settings: Settings) -> None:
    choice, vit = space.choice, space.vit
    options = settings.options(METHODS["flow"])
    # Eager with every model: its passes are one. How it was solved stands on the page.
    details = _slow(
        found,
        "flow",
        (choice, sample.sha256, tuple(options.items())),
        lambda progress: flow_of(choice, vit, sample, options),
        eager=True,
    )
    if details is not None:
        found.heats["flow"] = _heat(vit, "flow", details.values, None, options)
        found.flow = details


def flow_of(choice: ModelChoice, vit: Vit, sample: Sample, options: dict[str, Any]) -> LayeredFlow:
    """Attention flow with its details, from memory if it was solved before.

    Raises:
        AttnlibError: it is not defined.
    """
    return results.numbers(
        choice,
        sample,
        ("flow", *sorted(options.items())),
        lambda: flow_details(results.subject(choice, vit, sample), **options),
    )


def _add_slow(
    found: Compared, space: Workspace, sample: Sample, name: str, settings: Settings
) -> None:
    choice, vit, method = space.choice, space.vit, METHODS[name]
    target = found.target if method.class_specific else None
    options = settings.options(method)
    heat = _slow(
        found,
        name,
        (choice, sample.sha256, target, tuple(options.items())),
        lambda progress: results.heat(choice, vit, sample, name, target, progress, **options),
        eager=light(vit),
    )
    if heat is not None:
        found.heats[name] = heat


def _slow(
    found: Compared,
    name: str,
    key: tuple[object, ...],
    work: Callable[[tasks.Progress], T],
    eager: bool,
) -> T | None:
    """The result of a method that may take seconds; what it lacks is noted in ``found``."""
    if name in found.reasons:
        return None

    def caught(progress: tasks.Progress) -> T | AttnlibError:
        try:
            return work(progress)
        except AttnlibError as error:
            return error

    title = METHODS[name].title
    made = tasks.run(
        f"compare_{name}",
        key,
        caught,
        button=title if eager else f"Compute {within(title)}",
        help="It takes a while with this model; the other methods are there already.",
        eager=eager,
    )
    if isinstance(made, AttnlibError):
        found.reasons[name] = str(made)
        return None
    if made is None:
        found.waiting.append(name)
    return made


def _heat(
    vit: Vit, name: str, values: NDArray[Any], target: int | None, options: dict[str, Any]
) -> Heat:
    method = METHODS[name]
    return Heat(
        values=np.ascontiguousarray(values, np.float32).reshape(vit.layout.grid),
        unit=method.unit.format(quantity=vit.outputs.quantity),
        query=vit.layout.query,
        method=name,
        target=target,
        signed=method.signed,
        share=method.share,
        options=method.checked(options),
        covers=vit.covers,
    )
