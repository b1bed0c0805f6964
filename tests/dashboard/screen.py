"""What left the server for the screen, read back from a run of the app."""

from __future__ import annotations

import json
from typing import Any


def charted(chart: Any, layer: int = 0) -> list[dict[str, Any]]:
    """The data of a drawn chart, as rows.

    Args:
        chart: an element of ``app.get("vega_lite_chart")``.
        layer: which of the chart's marks, the lowest first.
    """
    spec = json.loads(chart.proto.spec)
    listed: list[dict[str, Any]] = spec["layer"][layer]["data"]["values"]
    return listed
