"""Common problems of attention with their remedies, and whether this model has them."""

from __future__ import annotations

import numpy as np
import streamlit as st

from attnlib.audit import Prediction
from attnlib.complexity import Architecture, ArchitectureError, cost
from attnlib.dashboard.heads import images, names, reasons
from attnlib.dashboard.parts import address, downloads
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.collection import Sample
from attnlib.errors import AttnlibError, CaptureError
from attnlib.heads.problems import PROBLEMS, Finding, Habits, habits, look_for, mean_habits

CARD = 350
IMAGES = 16
# How many attention weights are looked at without being asked for.
AT_ONCE = 2**26
# From which share of a pass on, what grows with the square of the tokens is a problem.
QUADRATIC = 0.25
HERE, NOT_HERE = "this model has it", "not in this model"


@address.fragment
def show(space: Workspace, prediction: Prediction) -> None:
    """One card for each problem: what it is, this model's number, and what helps."""
    found = _measured(space, prediction)
    if isinstance(found, CaptureError):
        reasons.no_numbers(space, found)
    with st.container(horizontal=True, gap="small"):
        if isinstance(found, Habits):
            for problem in PROBLEMS:
                with st.container(border=True, width=CARD, gap="small"):
                    _card(look_for(problem, found), found)
        with st.container(border=True, width=CARD, gap="small"):
            _cost(space)
    if isinstance(found, Habits):
        downloads.table(lambda: rows(found), "head-problems")


def sample_of(space: Workspace, prediction: Prediction) -> tuple[Sample, ...]:
    """The chosen image and others of those loaded, drawn at random, always the same ones."""
    mine = space.by_name[prediction.name]
    others = [sample for sample in space.samples if sample.sha256 != mine.sha256]
    order = np.random.default_rng(0).permutation(len(others))[: IMAGES - 1]
    return (mine, *(others[i] for i in sorted(order.tolist())))


def _measured(space: Workspace, prediction: Prediction) -> Habits | CaptureError | None:
    choice, vit, samples = space.choice, space.vit, sample_of(space, prediction)

    def work(progress: tasks.Progress) -> Habits | CaptureError:
        found = []
        for done, sample in enumerate(samples):
            progress(done, len(samples))
            try:
                subject = vit.subject(results.decoded(choice, vit, sample))
                found.append(habits(subject))
            except CaptureError as error:
                return error
            except AttnlibError:
                if len(samples) == 1:
                    raise
        return mean_habits(found)

    layers = max(1, len(vit.support.calls("layer")))
    weights = len(samples) * layers * vit.layout.tokens**2
    return tasks.run(
        "head problems",
        images.key(space, samples),
        work,
        button=f"Look for common problems on {len(samples)} images",
        help="One forward pass for each image, and all its attention.",
        eager=weights <= AT_ONCE,
        shared=True,
    )


def _card(found: Finding, measured: Habits) -> None:
    problem = found.problem
    _head(problem.name, found.present)
    st.markdown(problem.meaning)
    over = f"{measured.images} images" if measured.images > 1 else "1 image"
    st.markdown(
        f"**{found.count} of {found.heads.size} heads** are at {problem.threshold:g} or above "
        f"({problem.number}, all queries of {over}); a model has this problem from "
        f"{found.needed} heads on. The largest is {found.most:.3f}, of {names.name(*found.at)}."
    )
    st.caption(f"**What helps:** {problem.remedy}")


def _cost(space: Workspace) -> None:
    """What attention itself costs of a pass at the size that the model has here."""
    try:
        a = Architecture.from_module(space.vit.module).with_image(space.vit.size)
        priced = cost(a)
    except ArchitectureError as error:
        st.markdown("**Attention costs too much**")
        st.caption(f"{literal(str(error))} The page “Complexity calculator” has other models.")
        return
    share = priced.macs.quadratic / priced.macs.total
    double = cost(a.with_image((2 * a.image[0], 2 * a.image[1]))).macs
    _head("Attention costs too much", share >= QUADRATIC)
    st.markdown(
        "Each token looks at each, so this part of the work grows with the square of the tokens: "
        "twice the side of the image is 16 times as much of it."
    )
    st.markdown(
        f"**{share:.1%} of the multiplications** of a pass with {a.tokens} tokens are such; a "
        f"model has this problem from {QUADRATIC:.0%} on. At twice the side it would be "
        f"{double.quadratic / double.total:.1%}."
    )
    st.caption(
        "**What helps:** attention in windows (Swin, Liu et al. 2021), larger patches, merging "
        "tokens (ToMe, Bolya et al. 2023), and fused kernels, which save memory (FlashAttention, "
        "Dao et al. 2022). What each saves here, and its speed on this device, is under "
        "“Alternatives” on the page “Complexity calculator”."
    )


def _head(title: str, present: bool) -> None:
    st.markdown(f"**{title}**")
    if present:
        st.badge(HERE, icon=":material/warning:", color="orange")
    else:
        st.badge(NOT_HERE, icon=":material/check:", color="green")


def rows(found: Habits) -> list[dict[str, object]]:
    """Every head with the number behind each problem."""
    values = {problem.number: problem.values(found) for problem in PROBLEMS}
    layers, heads = found.peak.shape
    return [
        {
            "head": names.name(layer, head),
            **{number: float(each[layer, head]) for number, each in values.items()},
        }
        for layer in range(layers)
        for head in range(heads)
    ]
