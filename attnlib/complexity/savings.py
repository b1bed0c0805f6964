"""One way to save: its parameters, and its operations and memory before and after."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

from attnlib.complexity.architecture import Architecture
from attnlib.complexity.memory import Dtype, memory
from attnlib.complexity.operations import macs
from attnlib.complexity.problem import ArchitectureError, Problem, is_count

NOT_PUBLISHED = "Not published for ViT classifiers at this setting."


@dataclass(frozen=True)
class Options:
    """The parameters of the alternatives.

    Attributes:
        window: side of a local window, in patches.
        stride: of strided attention, in tokens.
        random_keys: keys per query of random attention.
        density: share of pairs that a general sparse pattern keeps, above 0 and at most 1.
        rank: k, of low-rank attention (the length that keys and values are projected to).
        latents: queries of cross-attention.
        merged: r, tokens merged per block.
        kept: share of tokens kept at each of three pruning stages, above 0 and at most 1.
        patch_factor: how many times larger the side of a patch becomes.
    """

    window: int = 7
    stride: int = 14
    random_keys: int = 32
    density: float = 0.1
    rank: int = 64
    latents: int = 64
    merged: int = 8
    kept: float = 0.7
    patch_factor: int = 2

    def __post_init__(self) -> None:
        problems = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "float":
                fine = isinstance(value, int | float) and 0 < value <= 1
                wants = "above 0 and at most 1"
            else:
                fine, wants = is_count(value) and 1 <= value <= 65_536, "from 1 to 65536"
            if not fine:
                problems.append(Problem(field.name, f"{field.name} must be {wants}."))
        if problems:
            raise ArchitectureError(problems)


@dataclass(frozen=True)
class Alternative:
    """One way to save, for one architecture.

    Attributes:
        formula: LaTeX, of what changes.
        assumption: what the numbers assume.
        parameters: what was set, by name.
        macs_before, macs_after: of the pass, for the whole batch.
        memory_of: which memory is compared.
        memory_before, memory_after: bytes.
        accuracy: the published effect, or that there is none known.
        source: paper.
        exact: the model's output does not change (but for rounding).
    """

    name: str
    title: str
    formula: str
    assumption: str
    parameters: dict[str, float]
    macs_before: int
    macs_after: int
    memory_of: str
    memory_before: int
    memory_after: int
    accuracy: str
    source: str
    exact: bool = False

    @property
    def macs_ratio(self) -> float:
        """After over before; below 1 saves."""
        return self.macs_after / self.macs_before

    @property
    def memory_ratio(self) -> float:
        """After over before; below 1 saves."""
        return self.memory_after / self.memory_before


@dataclass(frozen=True)
class Subject:
    """An architecture with what its savings are computed for."""

    a: Architecture
    batch: int
    dtype: Dtype
    options: Options

    @property
    def macs(self) -> int:
        return self.batch * macs(self.a).total

    @property
    def map_bytes(self) -> int:
        return memory(self.a, self.batch, self.dtype).attention_per_layer

    def pattern(self, pairs: float, extra: int = 0) -> dict[str, int | str]:
        """Before and after when a head computes ``pairs`` instead of T² products.

        ``extra``: MACs per image that the method adds.
        """
        full = self.a.tokens**2
        share = min(pairs, full) / full
        saved = round(macs(self.a).quadratic * (1 - share))
        return {
            "macs_before": self.macs,
            "macs_after": self.macs - self.batch * (saved - extra),
            "memory_of": "attention weights of one layer, were they formed",
            "memory_before": self.map_bytes,
            "memory_after": round(self.map_bytes * share),
        }

    def shrinking(self, lengths: list[int]) -> dict[str, int | str]:
        """Fewer tokens per block: attention runs on the block's own, the MLP on the next's."""
        now, a = macs(self.a), self.a
        tokens = a.tokens
        linear = (now.qkv + now.output) / (a.depth * tokens)
        mlp = now.mlp / (a.depth * tokens)
        square = now.quadratic / (a.depth * tokens**2)
        blocks = sum(
            linear * before + square * before**2 + mlp * after
            for before, after in itertools.pairwise(lengths)
        )
        after = now.patch_embedding + now.pool + now.head + blocks
        maps = sum(length**2 for length in lengths[:-1]) / (a.depth * tokens**2)
        return {
            "macs_before": self.macs,
            "macs_after": round(self.batch * after),
            "memory_of": "attention weights of all layers, were they formed",
            "memory_before": self.map_bytes * a.depth,
            "memory_after": round(self.map_bytes * a.depth * maps),
        }
