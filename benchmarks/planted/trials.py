"""One planted cause after the other before the diagnosis; what it said of each, as a row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

import attnlib
from attnlib.diagnosis import diagnose
from attnlib.model import objects
from benchmarks.planted import causes, grounds, sets, train, weights
from benchmarks.planted.causes import Planted
from benchmarks.planted.sets import Drawn, Images, Labels

Row = dict[str, Any]
# The kinds whose causes are planted here.
KINDS = ("preprocessing", "class-names", "shortcut", "label-noise")
# Truth and label: classes that the demo model hardly ever takes for each other, and often.
FAR = ((9, 6), (0, 5), (8, 7), (4, 1), (6, 8), (1, 2))
STATES = ("alike", "one-hot", "uniform", "sink")
NEAR = ((3, 5), (5, 3), (9, 1), (0, 8), (2, 4), (7, 4))


class Trials:
    """Trials on test images before models in a folder.

    Args:
        seed: of the first set that is drawn; thresholds were set on seeds below 1000.
    """

    def __init__(self, images: Images, labels: Labels, models: Path, seed: int) -> None:
        self.images, self.labels, self.models, self.seed = images, labels, models, seed
        self.vit = attnlib.load("demo", device="cpu")

    def _drawn(self, count: int, turn: int) -> Drawn:
        return sets.clean(self.images, self.labels, count, self.seed + turn)

    def clean(self, turns: int) -> Iterator[Row]:
        """Nothing is wrong: every kind is looked for."""
        for turn in range(turns):
            count = (80, 200, 500)[turn % 3]
            drawn = self._drawn(count, turn)
            report = diagnose(self.vit, drawn.pictures(), drawn.given())
            yield {"images": count, "said": [f.sentence for f in report.findings]}

    def shortcuts(self, planted: tuple[Planted, ...], turns: int) -> Iterator[Row]:
        """A mark makes a class; and the same images before the demo model, the twin."""
        for one in planted:
            if not (self.models / f"{one.name}.safetensors").exists():
                continue
            vit = self.vit.around(train.load(self.models, one))
            for turn in range(turns):
                drawn = sets.marked(self._drawn(200, turn), one.mark, self.seed + turn)
                report = diagnose(vit, drawn.pictures(), drawn.given(), kinds=KINDS)
                row: Row = {"mark": one.mark.name, "turn": turn}
                row["others"] = [f.sentence for f in report.findings if f.kind != "shortcut"]
                found = [f for f in report.findings if f.classes == (one.target,)]
                if found and found[0].kind == "shortcut" and found[0].region is not None:
                    chosen, region = drawn.chosen(found[0].images), found[0].region
                    both, hosts = (chosen & drawn.marked).sum(), found[0].detail["turned"]
                    row["recall"] = both / drawn.marked.sum()
                    row["precision"] = both / chosen.sum()
                    row["overlap"] = (region & drawn.covered).sum() / (region | drawn.covered).sum()
                    row["turned"] = hosts[0] / hosts[1]
                    row["form"] = found[0].detail["form"]
                yield row
                if turn == 0:
                    twin = diagnose(self.vit, drawn.pictures(), drawn.given())
                    yield {"twin": one.mark.name, "said": [f.sentence for f in twin.findings]}

    def preprocessing(self, turns: int) -> Iterator[Row]:
        """Images are prepared otherwise than the demo model's were."""
        for fault, (changes, factor, scale) in sets.FAULTS.items():
            for turn in range(turns):
                drawn = self._drawn(200, turn)
                shown, labels = drawn.pictures(scale), drawn.given()
                whole = attnlib.diagnosis.examine(self.vit, shown, labels)
                report = diagnose(self.vit.prepared(changes), shown, labels, kinds=KINDS)
                found = [f for f in report.findings if f.kind == "preprocessing"]
                yield {
                    "fault": fault,
                    "cost": (report.mistakes - int(whole.wrong.sum())) / 200,
                    "right": bool(found) and found[0].detail["factor"] == factor,
                    "said": [f.detail["factor"] for f in found],
                    "others": [f.sentence for f in report.findings if f.kind != "preprocessing"],
                }

    def names(self, turns: int) -> Iterator[Row]:
        """Class names stand at the wrong outputs."""
        for turn in range(turns):
            how = ("swap", "ring", "shift")[turn % 3]
            drawn = self._drawn((80, 200)[turn % 2], turn)
            right = self.vit.class_names
            shown = sets.exchanged(right, how, self.seed + turn)
            given = {name: right[label] for name, label in drawn.given().items()}
            report = diagnose(
                self.vit.named(shown), drawn.pictures(), given, kinds=("class-names", "label-noise")
            )
            found = [f for f in report.findings if f.kind == "class-names"]
            wanted = {now: true for now, true in zip(shown, right, strict=True) if now != true}
            yield {
                "how": how,
                "exact": bool(found) and found[0].detail["mapping"] == wanted,
                "others": [f.sentence for f in report.findings if f.kind != "class-names"],
            }

    def noise(self, turns: int) -> Iterator[Row]:
        """Labels of one class are changed to another's."""
        for distance, pairs in (("far", FAR), ("near", NEAR)):
            for turn in range(turns):
                pair, share = pairs[turn % len(pairs)], (0.3, 0.4)[turn // len(pairs) % 2]
                drawn = sets.mislabelled(self._drawn(200, turn), *pair, share, self.seed + turn)
                report = diagnose(
                    self.vit, drawn.pictures(), drawn.given(), kinds=("class-names", "label-noise")
                )
                found = [f for f in report.findings if f.classes == pair]
                row: Row = {"distance": distance, "share": share, "pair": bool(found)}
                row["changed"] = int(drawn.marked.sum())
                row["others"] = [f.sentence for f in report.findings if f.classes != pair]
                if found:
                    rank = np.zeros(200)
                    for place, name in enumerate(found[0].images):
                        rank[int(name)] = 200 - place
                    row["precision"] = float(average_precision_score(drawn.marked, rank))
                yield row

    def heads(self, turns: int) -> Iterator[Row]:
        """Heads of one layer are made ill, before several images and before one."""
        rng = np.random.default_rng(self.seed)
        for state in STATES:
            for turn in range(turns):
                layer, many = int(rng.integers(6)), int(rng.integers(2, 5))
                heads = tuple(sorted(int(head) for head in rng.permutation(4)[:many]))
                drawn = self._drawn((12, 1)[turn % 2], turn)
                model = weights.ill(self.vit, state, layer, list(heads))
                report = diagnose(model, drawn.pictures(), kinds=("heads",))
                found = [(f.layer, f.heads, f.detail["state"]) for f in report.findings]
                others = [one for one in found if one != (layer, heads, state)]
                row: Row = {"state": state, "right": len(others) < len(found), "others": others}
                yield row
        for turn in range(8 * turns):
            shown = self._drawn((12, 1)[turn % 2], turn).pictures()
            report = diagnose(self.vit, shown, kinds=("heads", "outlier-tokens"))
            yield {"healthy": turn, "said": [f.sentence for f in report.findings]}

    def tokens(self, turns: int) -> Iterator[Row]:
        """One or two patch tokens are far too long."""
        rng = np.random.default_rng(self.seed)
        for turn in range(turns):
            places = rng.permutation(64)[: 1 + turn % 2]
            model = weights.long_at(self.vit, *(1 + places))
            shown = self._drawn((12, 1)[turn % 2], turn).pictures()
            report = diagnose(model, shown, kinds=("outlier-tokens",))
            regions = [f.region for f in report.findings if f.region is not None]
            wanted = np.isin(np.arange(64), places).reshape(8, 8)
            yield {"right": len(regions) == 1 and bool((regions[0] == wanted).all())}

    def background(self, turns: int) -> Iterator[Row]:
        """Objects on exchanged grounds before the second demo model, with water and without."""
        vit = attnlib.load(objects.NAME, device="cpu")
        water = (objects.CLASS_NAMES.index(objects.WATER_CLASS),)
        for turn in range(turns):
            for share in (0.15, 0.3, 0.0):
                given = grounds.exchanged(share, self.seed + turn)
                report = diagnose(vit, *given, kinds=("background",))
                found = [f.classes for f in report.findings]
                yield {"share": share, "right": found == ([water] if share else []), "said": found}


SECTIONS = {
    "clean": lambda trials, turns: trials.clean(turns),
    "shortcuts": lambda trials, turns: trials.shortcuts(causes.HELD_OUT, turns),
    "shortcuts that thresholds were set on": lambda trials, turns: trials.shortcuts(
        causes.TUNED_ON, turns
    ),
    "preprocessing": lambda trials, turns: trials.preprocessing(turns),
    "names": lambda trials, turns: trials.names(turns),
    "noise": lambda trials, turns: trials.noise(turns),
    "heads": lambda trials, turns: trials.heads(turns),
    "tokens": lambda trials, turns: trials.tokens(turns),
    "background": lambda trials, turns: trials.background(turns),
}
