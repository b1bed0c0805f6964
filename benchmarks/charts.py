"""Server time of one chart in a rerun: ours, compiled once, beside a plain ``st.altair_chart``.

python -m benchmarks.charts
"""

from __future__ import annotations

import statistics

from streamlit.testing.v1 import AppTest

RUNS = 40


def script() -> None:
    """One run of a page with every chart drawn both ways, the order changing from run to run."""
    import time
    from typing import Any

    import numpy as np
    import pandas as pd
    import streamlit as st

    from attnlib.dashboard.mistakes import confusion
    from attnlib.dashboard.parts import charts

    rng = np.random.default_rng(st.session_state.setdefault("run", 0))
    counts = rng.integers(0, 9, (24, 24))
    heads = [
        {"layer": layer, "head": head, "value": float(value)}
        for (layer, head), value in np.ndenumerate(rng.random((12, 12)))
    ]
    cases: dict[str, Any] = {
        "a number of every head, 12 × 12": (
            charts._by_layer,
            heads,
            {"title": "entropy", "low": 0.0},
        ),
        "confusion matrix, 24 × 24": (
            confusion._cells,
            confusion._rows(counts, [f"class {i}" for i in range(24)]),
            {},
        ),
    }
    times = st.session_state.setdefault("times", {})

    def ours(name: str, kind: Any, rows: Any, shape: Any) -> None:
        charts.draw(
            kind,
            rows,
            words=name,
            width=400,
            height=300,
            numbers={"high": 1.0, "most": 9.0},
            **shape,
        )

    def plain(name: str, kind: Any, rows: Any, shape: Any) -> None:
        chart = kind(**shape)
        for layer in chart.layer:
            layer.data = pd.DataFrame(rows)
        st.altair_chart(chart, width=400, height=300)

    for name, case in cases.items():
        ways = [("ours", ours), ("plain", plain)]
        for way, draw in ways if st.session_state["run"] % 2 else ways[::-1]:
            start = time.perf_counter()
            draw(name, *case)
            times.setdefault((name, way), []).append(time.perf_counter() - start)
    st.session_state["run"] += 1


def main() -> None:
    app = AppTest.from_function(script, default_timeout=60)
    for _ in range(RUNS):
        app.run()
        assert not app.exception, app.exception
    times = app.session_state["times"]
    print("| chart | ours, ms | st.altair_chart, ms | ratio of medians |\n|---|---:|---:|---:|")
    for name in dict.fromkeys(name for name, _ in times):
        # The first run compiles.
        ours, plain = (1e3 * statistics.median(times[name, way][1:]) for way in ("ours", "plain"))
        print(f"| {name} | {ours:.1f} | {plain:.1f} | {ours / plain:.3f} |")


if __name__ == "__main__":
    main()
