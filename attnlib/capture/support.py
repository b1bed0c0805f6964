"""Which attention maps are defined for a model, found by looking at one forward pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from attnlib.capture.dependence import Dependence, dependence
from attnlib.capture.facts import Facts as Facts
from attnlib.capture.facts import Seen as Seen
from attnlib.capture.facts import noise
from attnlib.capture.facts import observe as observe
from attnlib.capture.mode import MIXES_HEADS
from attnlib.capture.placement import check_places
from attnlib.capture.pooling import Pooling, pooling
from attnlib.capture.readout import readout_by, readout_of_pooling
from attnlib.capture.refused import NOT_TOKEN_ATTENTION
from attnlib.capture.tokens import Readout, TokenLayout
from attnlib.errors import CaptureError, ModelError

Role = Literal["layer", "pool", "inside", "local", "refused"]
MapKind = Literal["readout rows", "rollout", "relevance", "per layer", "per window"]

# Readouts that are a token of a class.
CLASS_TOKEN = ("cls", "cls+dist", "class attention")

# How far the tokens of an attention pool may be coarser than what the first convolution makes.
COARSER = (2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Support:
    """What each attention call of a model is, in the order in which the model makes them.

    Attributes:
        roles: ``"layer"``: all tokens to all tokens, ``(T, T)``; ``"pool"``: a few queries over
            all tokens (attention pooling, class attention); ``"inside"``: within one patch, so
            nothing moves between patches (TNT); ``"local"``: windows, reduced keys or another
            grid; ``"refused"``: no token attention.
        names: module name of each call.
        shapes: ``(B, H, Tq, Tk)`` of each call for one image.
        maps: the kinds of map that are defined.
        reason: why kinds are missing; empty if none is.
        channels: C, of the model's input.
        logits: how many the model gives.
        notes: what the pass left open, in sentences.
        normalised: whether the logits are, but for pooling, what a normalisation gave; None
            where that was not looked at.
        averaged: whether layers do not share their tokens, and the places of the last stage are
            averaged in the end, so that a class can be traced back to these.
        read: whether layers have no common relevance, and a class token takes what the last
            attention reads, so that a class can be traced back to that.
    """

    roles: tuple[Role, ...]
    names: tuple[str, ...]
    shapes: tuple[tuple[int, int, int, int], ...]
    maps: frozenset[MapKind]
    reason: str = ""
    channels: int = 3
    logits: int = 0
    notes: tuple[str, ...] = ()
    normalised: bool | None = None
    averaged: bool = False
    read: bool = False

    def defines(self, needs: str) -> bool:
        """Whether a map that needs this is defined.

        Args:
            needs: a kind of map, ``"nothing"``, or ``"features"``: what the last layer reads,
                or the places of the last stage.
        """
        if needs == "features":
            return "relevance" in self.maps or self.averaged or self.read
        return needs == "nothing" or needs in self.maps

    def calls(self, *roles: Role) -> tuple[int, ...]:
        """Positions of the calls with one of the given roles."""
        return tuple(i for i, role in enumerate(self.roles) if role in roles)


def examine(module: nn.Module, size: tuple[int, int]) -> tuple[TokenLayout, Support]:
    """Run an image of ``(height, width)`` pixels and read the layout off the model.

    The readout is what the logits depend on, by their gradient (:mod:`attnlib.capture.dependence`).

    Raises:
        ModelError: the model does not run on images of this size, or gives no logits.
        CaptureError: no attention between tokens was seen, or tokens are where they have no
            place; the message names what was.
    """
    facts = observe(module, size)
    layout, support = classify(facts)
    if facts.problem:
        raise ModelError(facts.problem)
    pixels = noise(module, facts.channels, size)
    if pixels.device.type == "meta":
        return layout, support
    pools = support.calls("pool")
    layers = () if "local" in support.roles else support.calls("layer")
    if layers:
        check_places(module, pixels, layout, layers[0])
    found: Dependence | Pooling
    try:
        if not layers and support.roles[-1] != "pool":
            found = pooling(module, pixels, len(support.roles) - 1)
        else:
            found = dependence(module, pixels, layers[-1] if layers else None, pools)
    except CaptureError as error:
        note = (
            f"Which tokens the prediction rests on could not be measured ({error}); it is taken "
            f"for what the model's attributes say: {layout.query}."
        )
        return layout, replace(support, notes=(*support.notes, note))
    return classify(facts, found)


def classify(
    facts: Facts, found: Dependence | Pooling | None = None
) -> tuple[TokenLayout, Support]:
    """What the tokens are and which maps are defined.

    Args:
        found: what the logits depend on; None to go by what the model's attributes say.

    Raises:
        CaptureError: no attention between tokens was seen, or its tokens have no place; the
            message names what was seen.
    """
    calls = facts.calls
    if not calls:
        raise CaptureError(_nothing_seen(facts))
    if facts.grid is None or facts.patch is None:
        raise CaptureError("The model has no patch embedding, so its tokens have no place.")
    if all(call.kind in NOT_TOKEN_ATTENTION for call in calls):
        reasons = {NOT_TOKEN_ATTENTION[call.kind] for call in calls}
        raise CaptureError(
            "This model's attention gives no map of tokens: " + "; ".join(sorted(reasons)) + "."
        )
    grid, patch = facts.grid, facts.patch
    roles = _roles(calls, grid, len(facts.prefix))
    if "layer" not in roles and "pool" not in roles:
        for factor in COARSER:
            coarser = (-(-grid[0] // factor), -(-grid[1] // factor))
            again = _roles(calls, coarser, len(facts.prefix))
            # Only for the pool at the end: full attention on a coarser grid has other
            # operations before it that move things between patches.
            if again[-1] == "pool" and coarser[0] * coarser[1] > 1:
                grid, patch = coarser, (patch[0] * factor, patch[1] * factor)
                roles = tuple(r if r in ("pool", "refused") else "local" for r in again)
                break
    patches = grid[0] * grid[1]
    widths = {call.shape[3] for role, call in zip(roles, calls, strict=True) if role == "layer"}
    if "local" in roles or len(widths) > 1:
        # Among windows or stages a full layer is one more layer in its own shape; where the
        # class token joins midway (ConViT), layers do not share their tokens either.
        roles = tuple("local" if role == "layer" else role for role in roles)
    # CaiT's class token joins after the last layer: count what the layers really hold.
    prefix = facts.prefix[: max(widths, default=patches) - patches]
    bare = TokenLayout(prefix, grid, patch, "none")
    notes: tuple[str, ...] = ()
    if found is None:
        pooled, pool_prefix = readout_of(facts, prefix, "pool" in roles)
        read = tuple(range(len(prefix))) if pool_prefix else ()
        layout = replace(bare, readout=pooled, read=read)
    elif isinstance(found, Pooling):
        layout, notes = readout_of_pooling(found.kind, bare)
    else:
        layout, notes = readout_by(found, bare, joins=_joins(facts, prefix))
    maps, reason = _maps(roles, layout.readout, calls)
    # Of a pyramid the token is none of the patches' prefix tokens.
    first = isinstance(found, Pooling) and found.kind == "first"
    by_token = first or layout.readout in CLASS_TOKEN
    names, shapes = tuple(call.module for call in calls), tuple(call.shape for call in calls)
    return layout, Support(
        roles,
        names,
        shapes,
        maps,
        reason,
        facts.channels,
        facts.logits,
        notes,
        None if found is None else found.normalised,
        averaged="rollout" not in maps and layout.readout == "average" and "pool" not in roles,
        read="relevance" not in maps and by_token and _reads_all(calls),
    )


def _reads_all(calls: tuple[Seen, ...]) -> bool:
    """Whether what the last attention reads is all that a class token can take.

    Where queries of a single token read different numbers of tokens there are branches
    (CrossViT), each with places of its own.
    """
    read = {call.read for call in calls if call.shape[2] == 1} | {calls[-1].read}
    return len(read) == 1 and calls[-1].read > 2 and calls[-1].kind not in NOT_TOKEN_ATTENTION


def _roles(calls: tuple[Seen, ...], grid: tuple[int, int], prefix: int) -> tuple[Role, ...]:
    return tuple(_role(call.kind, call.shape, grid[0] * grid[1], prefix) for call in calls)


def _role(kind: str, shape: tuple[int, int, int, int], patches: int, prefix: int) -> Role:
    if kind in NOT_TOKEN_ATTENTION:
        return "refused"
    batch, _, queries, keys = shape
    whole = batch == 1 and patches <= keys <= patches + max(prefix, 1)
    if whole and queries == keys:
        return "layer"
    if whole and queries <= 2 < patches:
        return "pool"
    if batch == patches > 1 and queries == keys:
        return "inside"
    return "local"


def _maps(
    roles: tuple[Role, ...], readout: Readout, calls: tuple[Seen, ...]
) -> tuple[frozenset[MapKind], str]:
    maps: set[MapKind] = set()
    reasons = []
    if "layer" in roles:
        maps.add("per layer")
    if "local" in roles:
        maps.add("per window")
        reasons.append(
            "some layers attend within windows, to reduced keys or on another grid, so attention "
            "cannot be carried from the output to the patches of the input"
        )
    if "refused" in roles:
        kinds = {call.kind for role, call in zip(roles, calls, strict=True) if role == "refused"}
        reasons += sorted({NOT_TOKEN_ATTENTION[kind] for kind in kinds})
    if readout == "none":
        reasons.append("the model pools in a way for which no attention row stands")
    elif "layer" in roles and "local" not in roles and "refused" not in roles:
        maps |= {"readout rows", "rollout"}
        if not any(call.mixed or call.kind in MIXES_HEADS for call in calls):
            maps.add("relevance")
        else:
            reasons.append(
                "heads are mixed after the softmax, so a gradient does not belong to one head"
            )
    elif roles[-1] == "pool":
        maps.add("readout rows")
        if not reasons:
            reasons.append("attention only pools here; the layers before it have none")
    return frozenset(maps), "; ".join(reasons)


def readout_of(facts: Facts, prefix: tuple[str, ...], pools: bool) -> tuple[Readout, bool]:
    """Which query stands for the prediction, and whether averaging includes prefix tokens."""
    if facts.pooling == "avg":
        return "average", facts.pool_prefix
    if pools:
        return ("class attention" if _joins(facts, prefix) else "pool"), False
    if prefix[:1] == ("cls",) and facts.pooling in (None, "token"):
        if facts.both == "average":
            return "cls+average", False
        both = facts.both == "dist" and prefix[:2] == ("cls", "dist")
        return ("cls+dist" if both else "cls"), False
    if facts.pooling is None and not prefix:
        return "average", False
    return "none", False


def _joins(facts: Facts, prefix: tuple[str, ...]) -> bool:
    """Whether a class token joins after the layers, so that the pooling is class attention."""
    return facts.joins and facts.pooling != "map" and "cls" not in prefix


def _nothing_seen(facts: Facts) -> str:
    if facts.scripted:
        return (
            "This model is traced or scripted (torch.jit): its operators run outside Python, "
            "where attention cannot be seen. Load the original module instead."
        )
    known = sorted(kind for kind in facts.kinds if kind in NOT_TOKEN_ATTENTION)
    if known:
        reasons = "; ".join(sorted({NOT_TOKEN_ATTENTION[kind] for kind in known}))
        return f"{facts.model} has no attention between tokens: {reasons}."
    return (
        f"{facts.model} makes no attention that this tool recognises: it is a convolutional or "
        "MLP model, or computes attention in a way of its own. Choose a Vision Transformer whose "
        "attention is scaled_dot_product_attention, nn.MultiheadAttention or a softmax."
    )
