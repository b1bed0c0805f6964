"""Which normalised tokens a layer reads: the residual stream, in a pre-norm model."""

from __future__ import annotations

from torch import Tensor


class Stream:
    """The normalisations of a forward pass, told one by one, and which of them is read.

    A layer reads the tokens that it projects to queries, keys and values.  A normalisation whose
    result goes elsewhere (of queries and keys at full width, before the heads are split) is none
    of the stream.  Where a model projects in a way that is not seen, the last one counts.
    """

    def __init__(self) -> None:
        self._made: list[tuple[Tensor, Tensor]] = []
        self._found: tuple[Tensor, Tensor] | None = None
        self._read = False

    def normalised(self, tokens: Tensor, result: Tensor) -> None:
        """``tokens`` ``(B, T, D)`` were normalised to ``result``."""
        self._made.append((tokens, result))

    def read(self, tokens: Tensor) -> None:
        """``tokens`` are projected."""
        for place, pair in enumerate(self._made):
            if storage(pair[1]) == storage(tokens):
                self._found, self._read = pair, True
                # Those before it are of an earlier layer: their memory is let go.
                del self._made[: place + 1]
                return

    def of_call(self) -> tuple[Tensor, Tensor] | tuple[None, None]:
        """Tokens before and after the normalisation that the attention now seen reads."""
        if self._made and not self._read:
            self._found = self._made[-1]
        self._made, self._read = [], False
        return (None, None) if self._found is None else self._found


def storage(tensor: Tensor) -> int:
    """The identity of what holds the values; also right on meta, where all addresses are 0."""
    return int(tensor.untyped_storage()._cdata)
