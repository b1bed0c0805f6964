"""A graph for gradients, whatever the model says around its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch


def with_graph(func: Callable[..., Any]) -> AbstractContextManager[None]:
    """An operation within is part of the graph, also inside ``no_grad`` or ``inference_mode``.

    Where it is anyway this costs nothing, which counts around every operation of a pass.

    Args:
        func: the operation; what a model's ``no_grad`` itself does is undone.
    """
    switches = func.__name__ == "_set_grad_enabled"
    if torch.is_grad_enabled() and not torch.is_inference_mode_enabled() and not switches:
        return nullcontext()
    return _changed()


@contextmanager
def _changed() -> Iterator[None]:
    with torch.inference_mode(False), torch.enable_grad():
        yield
