"""The choice of the class that a map explains."""

from __future__ import annotations

from attnlib.audit import Prediction
from attnlib.dashboard.parts import controls
from attnlib.dashboard.state.workspace import Workspace


def choose(space: Workspace, prediction: Prediction, *, key: str, width: int, help: str) -> int:
    """A class index: predicted and true first and named so, the top five next, then all."""
    pair = [prediction.predicted, *([] if prediction.label is None else [prediction.label])]
    first = list(dict.fromkeys([*pair, *(index for index, _ in prediction.top(5))]))
    rest = [i for i in range(len(space.vit.class_names)) if i not in set(first)]

    def title(index: int) -> str:
        role = ["predicted"] if index in prediction.said else []
        role += ["true"] if index in (prediction.true or ()) else []
        return space.class_name(index) + (f" ({', '.join(role)})" if role else "")

    return controls.choice(
        key, "Class", first + rest, title=title, of=prediction.name, width=width, help=help
    )
