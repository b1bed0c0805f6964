"""The readout that a dependence of the logits on tokens amounts to."""

from __future__ import annotations

from dataclasses import replace

from attnlib.capture.dependence import Dependence
from attnlib.capture.pooling import PoolingKind
from attnlib.capture.tokens import TokenLayout


def readout_by(
    found: Dependence, layout: TokenLayout, *, joins: bool
) -> tuple[TokenLayout, tuple[str, ...]]:
    """The layout with its readout, and in a sentence what remains open.

    Args:
        found: what the logits depend on.
        layout: the tokens, without a readout.
        joins: whether a class token joins after the layers: its pooling is class attention.
    """
    if found.pool == "all":
        return replace(layout, readout="class attention" if joins else "pool"), ()
    if found.pool == "part":
        return layout, (
            "The logits depend on an attention pool and on tokens beside it, for which no one "
            "row of attention stands.",
        )
    first, total = len(layout.prefix), len(found.read)
    read = [index for index in range(total) if found.read[index]]
    prefix, patches = read_split(read, first)
    if not patches or len(read) == 1:
        return _by_tokens(tuple(read), layout), ()
    groups = [found.groups[index] for index in read]
    if len(patches) == layout.patches and len(set(groups[len(prefix) :])) == 1:
        common = groups[-1]
        inside = tuple(i for i in prefix if found.groups[i] == common)
        if inside == prefix:
            return replace(layout, readout="average", read=inside), ()
        if prefix[0] == 0 and inside == prefix[1:]:
            named = ("cls", *layout.prefix[1:])
            return replace(layout, prefix=named, readout="cls+average", read=inside), ()
    return layout, (
        f"The logits depend on {len(read)} of {total} tokens of the last layer, and not evenly, "
        "so no row of attention stands for the prediction.",
    )


def readout_of_pooling(
    kind: PoolingKind, layout: TokenLayout
) -> tuple[TokenLayout, tuple[str, ...]]:
    """As :func:`readout_by`, of a model whose layers do not share their tokens."""
    if kind == "even":
        # Places are alike, be they patches or not: tokens before them are among them.
        return replace(layout, readout="average", read=tuple(range(len(layout.prefix)))), ()
    if kind == "first" and layout.prefix:
        return _by_tokens((0,), layout), ()
    if kind == "first":
        return layout, (
            "The logits depend on the first token of the last layer alone. Layers do not share "
            "their tokens here, so no row of attention over all patches stands for the prediction.",
        )
    return layout, (
        "The logits depend on the tokens of the last layer, but not evenly, so no row of attention "
        "stands for the prediction.",
    )


def read_split(read: list[int], first: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The positions before the patches, which begin at ``first``, and those of patches."""
    return tuple(i for i in read if i < first), tuple(i for i in read if i >= first)


def _by_tokens(read: tuple[int, ...], layout: TokenLayout) -> TokenLayout:
    """The layout of a prediction that rests on single tokens."""
    if read == (0,) and layout.prefix:
        # Whatever the model calls it: the first token that the prediction rests on.
        return replace(layout, prefix=("cls", *layout.prefix[1:]), readout="cls")
    if read == (0, 1) and layout.prefix[:2] == ("cls", "dist"):
        return replace(layout, readout="cls+dist")
    return replace(layout, readout="tokens", read=read)
