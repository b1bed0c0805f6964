"""Gradients of one image's logits, without ever holding the attention in the graph."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attnlib.capture.call import AttentionCall
from attnlib.capture.trace import Trace
from attnlib.errors import CaptureError


class Differentiable:
    """One forward pass of one image that can be asked for the gradient of any class's logit.

    Each backward pass starts from what the fused kernel returned, so the attention matrices are
    never part of the graph.

    Args:
        scores: ``(1, C)``, what the maps of the classes explain (``Outputs.scores``): logits.

    Attributes:
        trace: the attention of all layers, with values, outside the graph.
    """

    def __init__(self, trace: Trace, scores: Tensor, layers: Sequence[AttentionCall]) -> None:
        self.trace = trace
        self._scores = scores
        self._layers = layers
        self._attention: dict[int, list[Tensor]] = {}

    def of_attention(self, target: int) -> list[Tensor]:
        """d logit / d(A V) of every layer, ``(1, H, T, dv)`` each, bottom first.

        The gradient of the attention itself is d(A V) Vᵀ; whoever needs it forms it in blocks.

        Raises:
            CaptureError: the model takes its attention out of the graph.
        """
        if target not in self._attention:
            nodes = [call.node for call in self._layers if call.node is not None]
            found = self._gradient(target, nodes)
            self._attention[target] = [
                call.pull(gradient) if call.pull else gradient
                for call, gradient in zip(self._layers, found, strict=True)
            ]
        return self._attention[target]

    def of_tokens(self, target: int) -> tuple[Tensor, Tensor]:
        """What the last layer reads and d logit / d that, ``(T, D)`` both.

        Raises:
            CaptureError: the model normalises nothing before its last layer.
        """
        tokens = self._layers[-1].normed if self._layers else None
        if tokens is None or not tokens.requires_grad:
            raise CaptureError(
                "This model makes no normalisation before its last attention layer, where "
                "Grad-CAM reads the tokens."
            )
        (gradient,) = self._gradient(target, [tokens])
        return tokens.detach()[0], gradient[0]

    def _gradient(self, target: int, nodes: list[Tensor]) -> tuple[Tensor, ...]:
        """d score / d each of the nodes.

        Raises:
            CaptureError: the model takes them out of the graph.
        """
        return slopes(self._scores[0, target], nodes, "its attention", again=True)


def slopes(
    score: Tensor, nodes: Sequence[Tensor], what: str, *, again: bool = False
) -> tuple[Tensor, ...]:
    """d score / d each of the nodes, of the nodes' shapes.

    Args:
        score: a single number.
        what: what the nodes are, in words.
        again: whether the graph is needed once more.

    Raises:
        CaptureError: the model takes them out of the graph.
    """
    try:
        return torch.autograd.grad(score, nodes, retain_graph=again)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise CaptureError(
            f"This model gives no gradient of its logits with respect to {what} "
            f"({' '.join(str(error).split())[:200].rstrip('.')}). Use a method that needs "
            "none: attention rollout or occlusion."
        ) from error
