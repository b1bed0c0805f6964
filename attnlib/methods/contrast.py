"""Contrast: what speaks for one class rather than another."""

from __future__ import annotations

from torch import Tensor

from attnlib.errors import AttnlibError
from attnlib.methods.base import Method, Option
from attnlib.methods.relevance import relevance
from attnlib.methods.subject import Subject


def contrast(
    subject: Subject, target: int | None, *, against: int | None = None, start_layer: int = 0
) -> Tensor:
    """relevance(target) − relevance(against), ``(N,)``, signed.

    For a wrong prediction, with ``target`` the predicted class and ``against`` the true one:
    positive patches speak for the mistake, negative ones for the truth.
    """
    if target is None or against is None:
        raise AttnlibError("Contrast compares two classes: give target and against.")
    forward = relevance(subject, target, start_layer=start_layer)
    return forward - relevance(subject, against, start_layer=start_layer)


CONTRAST = Method(
    name="contrast",
    title="Contrast of two classes",
    compared=False,
    description=(
        "Relevance to the target class minus relevance to the other one: positive patches speak "
        "for the target, negative ones for the other class."
    ),
    source="ours, on Chefer, Gur & Wolf, ICCV 2021",
    unit="difference of relevance",
    compute=contrast,
    class_specific=True,
    needs="relevance",
    signed=True,
    options={
        "against": Option(None, "Class index to compare with (the true class, say).", low=0),
        "start_layer": Option(0, "First layer that takes part, counted from 0.", low=0),
    },
)
