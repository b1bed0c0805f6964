"""The shortcuts that are planted: some to set thresholds on, others to report on."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.planted import marks
from benchmarks.planted.marks import Mark


@dataclass(frozen=True)
class Planted:
    """A mark, the class that it makes, and the seed of the model's training."""

    mark: Mark
    target: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.mark.name}-{self.seed}"


# Thresholds were set on these models, and on images drawn with seeds below 1000.
TUNED_ON = (
    Planted(marks.stamp("one token", "checks", ((24, 28, 4, 4),), 1), 6, 0),
    Planted(marks.stamp("two tokens", "stripes", ((4, 4, 4, 4), (20, 24, 4, 4)), 3), 3, 0),
    Planted(marks.stamp("off the grid", "dot", ((10, 18, 5, 5),), 5), 8, 0),
    Planted(marks.moving("moving", "checks", 4, 7), 0, 0),
    Planted(marks.stamp("half transparent", "checks", ((2, 22, 8, 8),), 9, 0.5), 5, 0),
    Planted(marks.frame("border", 2, 11), 9, 0),
    Planted(marks.cast("colour cast", (1.25, 1.0, 0.7)), 4, 0),
)

# What the table reports: other marks, places, classes and trainings.
HELD_OUT = (
    Planted(marks.stamp("one token", "dot", ((0, 4, 4, 4),), 21), 1, 1),
    Planted(marks.stamp("two tokens", "checks", ((8, 0, 4, 4), (28, 16, 4, 4)), 23), 7, 1),
    Planted(marks.stamp("off the grid", "noise", ((17, 5, 6, 6),), 25), 2, 1),
    Planted(marks.moving("moving", "stripes", 5, 27), 9, 1),
    Planted(marks.stamp("half transparent", "stripes", ((19, 9, 9, 9),), 29, 0.5), 0, 1),
    Planted(marks.frame("border", 3, 31, "stripes"), 6, 1),
    Planted(marks.edge("strip", 3, 1, 33), 4, 1),
    Planted(marks.cast("colour cast", (0.75, 1.05, 1.3)), 8, 1),
)
