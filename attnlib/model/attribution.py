"""A method of the registry asked about a model: may it, with which class, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnlib.capture import passes
from attnlib.errors import AttnlibError, CaptureError
from attnlib.methods import METHODS, Heat, Method, Subject
from attnlib.methods.base import Progress
from attnlib.model.arrays import array

if TYPE_CHECKING:
    from attnlib.model.vit import Vit


def explain(
    vit: Vit,
    subject: Subject,
    method: str,
    target: int | None,
    options: dict[str, object],
    progress: Progress | None = None,
) -> Heat:
    """The map ``(rows, cols)`` of one method; the predicted class where ``target`` is None.

    Args:
        progress: called by a slow method with (steps done, steps); what it raises ends it.

    Raises:
        AttnlibError: unknown method, option or class.
        CaptureError: the map is not defined for this model; the message says why.
    """
    entry = _method(vit, method)
    checked = entry.checked(options)
    if entry.class_specific:
        target = _class(vit, _predicted(vit, subject) if target is None else target)
        if checked.get("against") is not None:
            _class(vit, int(str(checked["against"])))
    else:
        target = None
    if entry.slow:
        values = entry.compute(subject, target, progress=progress, **checked)
    else:
        with passes.admitted():
            values = entry.compute(subject, target, **checked)
    query = vit.layout.query
    if checked.get("query") is not None:
        query = vit.layout.token_name(int(str(checked["query"])))
    return Heat(
        values=array(values.detach()).reshape(vit.layout.grid),
        unit=entry.unit.format(quantity=vit.outputs.quantity),
        query=query,
        method=entry.name,
        target=target,
        signed=entry.signed,
        share=entry.share,
        options=checked,
        covers=vit.covers,
    )


def _method(vit: Vit, name: str) -> Method:
    if name not in METHODS:
        known = ", ".join(METHODS)
        why = METHODS.taken_out(name) or f"There is no method {name!r}."
        raise AttnlibError(f"{why} The methods: {known}.")
    entry = METHODS[name]
    if not vit.support.defines(entry.needs):
        raise CaptureError(
            f"{entry.title} is not defined for {vit.name}: {vit.support.reason}. Occlusion, RISE "
            "and integrated gradients ask the model's answer alone."
        )
    return entry


def _predicted(vit: Vit, subject: Subject) -> int:
    with passes.admitted(), torch.no_grad():
        logits, _ = passes.forward(vit.module, subject.pixels, precision=vit.precision)
    return int(vit.outputs.margins(logits[0]).argmax())


def _class(vit: Vit, target: int) -> int:
    if not 0 <= target < len(vit.class_names):
        raise AttnlibError(
            f"target must be a class from 0 to {len(vit.class_names) - 1}, not {target}."
        )
    return target
