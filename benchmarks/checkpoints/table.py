"""The table of docs/checkpoints.md: each kind loaded by the library and through the sidebar."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.dashboard.parts.checkpoint_form import WEIGHT_TYPES
from attnlib.dashboard.state import startup
from attnlib.data.image import decode
from attnlib.model import demo
from benchmarks.checkpoints import (
    architectures,
    heads,
    libraries,
    modules,
    namings,
    refused,
    training,
)
from benchmarks.checkpoints.compare import compared
from benchmarks.checkpoints.kind import KINDS, Made

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "checkpoints.md"
MARK = re.compile(r"(<!-- kinds -->\n).*?(<!-- end kinds -->)", re.DOTALL)
ALL = (training, architectures, heads, libraries, namings, modules, refused)


@dataclass
class Outcome:
    """What came of one kind."""

    title: str
    verdict: str
    sidebar: str
    found: str
    difference: str = ""


def examine(title: str, folder: Path) -> Outcome:
    """Make a kind, load it both ways, and compare."""
    folder.mkdir()
    try:
        made = KINDS[title](folder)
    except ImportError as error:
        return Outcome(title, "not made", "", f"{error.name} is not installed")
    except Exception as error:
        return Outcome(title, "MAKER FAILED", "", f"{type(error).__name__}: {error}")
    try:
        vit = attnlib.load(made.source, device="cpu", **made.options)
    except attnlib.AttnlibError as error:
        verdict = "refused" if made.module is None else "REFUSED, WRONGLY"
        return Outcome(title, verdict, _sidebar(made, None), str(error))
    except Exception as error:
        return Outcome(title, "FOREIGN EXCEPTION", "", f"{type(error).__name__}: {error}")
    if made.module is None:
        return Outcome(title, "LOADED, WRONGLY", "", "")
    problems, difference = compared(made, vit)
    source = vit.preparation.sources.get("mean", "")
    mean = "/".join(f"{number:.3g}" for number in vit.mean)
    names = vit.names.source.replace("numbers: the model brings no names", "no names")
    words = [vit.layout.query, vit.outputs.kind, names, f"mean {mean} ({source})"]
    verdict = "exact" if not problems else "WRONG: " + "; ".join(problems)
    sidebar = _sidebar(made, vit)
    return Outcome(title, verdict, sidebar, "; ".join(words), f"{difference:.0e}")


def _sidebar(made: Made, vit: attnlib.Vit | None) -> str:
    """The same through the form: “the same” where it says what the library says."""
    if made.upload is None and not isinstance(made.source, str):
        return "—"
    if made.upload is not None and made.upload.suffix[1:] not in WEIGHT_TYPES:
        return "not offered"
    os.chdir(ROOT)
    app = AppTest.from_file(str(startup.MAIN), default_timeout=120).run()
    folder = made.upload is None
    app.selectbox(key="source").set_value("file" if folder else "upload").run()
    if folder:
        place = made.options.get("checkpoint", made.source)
        app.text_input(key="checkpoint_path").set_value(str(place).removeprefix("local-dir:"))
    else:
        assert made.upload is not None
        data = made.upload.read_bytes()
        uploader = next(u for u in app.file_uploader if u.label == "Weights")
        uploader.set_value((made.upload.name, data, "application/octet-stream"))
    _say(app, made, folder)
    next(b for b in app.button if b.label == "Load").click().run()
    if app.exception:
        return f"EXCEPTION {app.exception[0].message[:80]}"
    loaded = app.session_state["workspace"].vit
    if loaded.name == "demo":
        return "refused" if vit is None else f"REFUSED: {[e.value for e in app.error][:1]}"
    if vit is None:
        return "LOADED"
    picture = decode(demo.images()[0].data)
    same = torch.allclose(
        torch.from_numpy(loaded.inspect(picture).logits.copy()),
        torch.from_numpy(vit.inspect(picture).logits.copy()),
        atol=1e-5,
    )
    return "the same" if same and loaded.class_names == vit.class_names else "DIFFERS"


def _say(app: AppTest, made: Made, folder: bool) -> None:
    """Fill in what the library was told."""
    options = dict(made.options)
    if not folder and made.source != "auto":
        app.text_input(key="architecture").set_value(made.source.split(".")[0])
    if "img_size" in options:
        app.text_input(key="img_size").set_value(str(options["img_size"]))
    more: dict[str, Any] = dict(options.get("model_args", {}))
    if "num_classes" in options:
        more["num_classes"] = options["num_classes"]
    text = ", ".join(f"{name}={value}" for name, value in more.items())
    app.text_input(key="model_args").set_value(text)
    app.text_input(key="weights_taken").set_value(options.get("weights", ""))
    if "class_names" in options:
        app.text_area(key="class_names").set_value("\n".join(options["class_names"]))


def main() -> None:
    """Print the table, and write it where it stands in the documents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/checkpoints.md")
    parser.add_argument("--only", default="", help="titles that contain this")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    outcomes = []
    with tempfile.TemporaryDirectory() as place:
        for number, title in enumerate(t for t in KINDS if given.only in t):
            with contextlib.redirect_stdout(io.StringIO()):
                outcome = examine(title, Path(place) / str(number))
            shown = (outcome.title, outcome.verdict, outcome.sidebar, outcome.found)
            print(" | ".join(shown), flush=True)
            outcomes.append(outcome)
    counts = Counter(outcome.verdict.split(":")[0] for outcome in outcomes)
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    summary = f"{len(outcomes)} kinds: {said}."
    print(summary)
    if given.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        table = "\n".join([summary, "", *_rows(outcomes)]) + "\n"
        DOCUMENT.write_text(MARK.sub(lambda m: m[1] + table + m[2], text), encoding="utf-8")


def _rows(outcomes: list[Outcome]) -> list[str]:
    """The lines of the table; a refusal's words are shortened."""
    rows = ["| kind | library | max \\|Δ\\| | sidebar | what is said |", "|---|---|---|---|---|"]
    for o in outcomes:
        cells = (o.title, o.verdict, o.difference, o.sidebar, _cell(o.found))
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _cell(text: str) -> str:
    text = re.sub(rf"{tempfile.gettempdir()}/\S+/", "", " ".join(text.split())).replace("|", "\\|")
    return text if len(text) <= 160 else text[:159] + "…"


if __name__ == "__main__":
    main()
