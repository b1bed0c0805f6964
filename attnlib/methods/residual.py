"""Residual propagation: layers added to what went before, instead of multiplied."""

from __future__ import annotations

from torch import Tensor

from attnlib.capture.mixing import step_down
from attnlib.capture.trace import Trace
from attnlib.methods.base import Method, patches_of
from attnlib.methods.rollout import CAUTION, MIXING_OPTIONS, START_LAYER
from attnlib.methods.subject import Subject


def residual(
    subject: Subject,
    target: int | None,
    *,
    head_fusion: str = "mean",
    discard_ratio: float = 0.0,
    residual_weight: float = 0.5,
    start_layer: int = 0,
) -> Tensor:
    """The readout's row of ``∏ (I + Â)``, ``(N,)``: shares that sum to 1 at most."""
    row = residual_row(
        subject.trace,
        head_fusion=head_fusion,
        discard_ratio=discard_ratio,
        residual_weight=residual_weight,
        start_layer=start_layer,
    )
    return patches_of(row, subject.layout)


def residual_row(
    trace: Trace,
    *,
    head_fusion: str = "mean",
    discard_ratio: float = 0.0,
    residual_weight: float = 0.5,
    start_layer: int = 0,
) -> Tensor:
    """``eᵀ (I + Â_L) … (I + Â_s)`` over its sum 2^(L-s), ``(T,)``, not negative, sum 1.

    This is R ← R + Â R from R = I, as tutorials have it under the name of attention flow, which
    is another thing (:mod:`attnlib.methods.flow`).  The sum runs over all tokens, prefix tokens
    included.  ``Â`` is that of rollout.  With mean fusion and nothing discarded the result *is*
    rollout with residual weight ½ (1 + w), as ½ (I + Â) has that weight on the identity.

    Raises:
        AttnlibError: there is no such start layer.
    """
    row = trace.readout()
    for call in reversed(trace.starting(start_layer)):
        # Rows of I + Â sum to 2; halving every layer keeps deep models in range.
        below = step_down(
            row, call, trace.layout.carriers, head_fusion, discard_ratio, residual_weight
        )
        row = 0.5 * (row + below)
    return row


RESIDUAL = Method(
    name="residual",
    title="Residual propagation",
    short="residual",
    abbreviation="res",
    description=(
        "Attention added layer by layer to what came before, R = R + A R. It is often published "
        "as attention flow, which it is not: it is rollout with more weight on the residual "
        "connection. It is the same for every class."
    ),
    source="common tutorials, as a variant of Abnar & Zuidema 2020, section 3",
    unit="share of the readout",
    compute=residual,
    share=True,
    caution=CAUTION,
    options={**MIXING_OPTIONS, "start_layer": START_LAYER},
)
