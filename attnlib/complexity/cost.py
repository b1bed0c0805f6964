"""What one pass costs: tokens, parameters, operations and memory in one table."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from attnlib.complexity.architecture import Architecture, Size
from attnlib.complexity.memory import BYTES, Dtype, Memory, memory
from attnlib.complexity.operations import Crossover, Macs, crossover, macs
from attnlib.complexity.parameters import Parameters, parameters
from attnlib.complexity.problem import ArchitectureError, Problem, is_count

MOST_BYTES = 2**40
MOST_BATCH = 1_000_000

Over = Literal["image", "patch", "batch", "dimension"]


@dataclass(frozen=True)
class Cost:
    """The cost of one pass.

    Attributes:
        tokens: T of one image, prefix tokens included.
        parameters: part by part.
        macs: multiply-accumulates of the forward pass for the whole batch.
        memory: bytes for the whole batch.
        crossover: where the quadratic part of the operations overtakes the linear part.
    """

    architecture: Architecture
    batch: int
    dtype: Dtype
    training: bool
    materialised: bool
    tokens: int
    parameters: Parameters
    macs: Macs
    memory: Memory
    crossover: Crossover

    @property
    def training_macs(self) -> int:
        """Forward and backward: the backward pass has two products for each of the forward's.

        Exactly three times the forward pass, but for the patch embedding, whose input, the image,
        needs no gradient.
        """
        return 3 * self.macs.total - self.macs.patch_embedding


def cost(
    architecture: Architecture,
    batch: int = 1,
    dtype: Dtype = "float32",
    training: bool = False,
    materialised: bool = False,
) -> Cost:
    """Everything the formulas say about one pass of ``batch`` images.

    Args:
        dtype: of weights and activations.
        training: a forward and a backward pass with AdamW; MACs stay those of the forward pass.
        materialised: attention matrices are formed, instead of fused attention.

    Raises:
        ArchitectureError: a batch or dtype that is impossible, or more than a terabyte of memory.
    """
    problems = []
    if not is_count(batch) or not 1 <= batch <= MOST_BATCH:
        problems.append(Problem("batch", f"The batch must be a whole number from 1 to "
                                         f"{MOST_BATCH}."))  # fmt: skip
    if not isinstance(dtype, str) or dtype not in BYTES:
        problems.append(Problem("dtype", f"The dtype must be one of {', '.join(BYTES)}."))
    if problems:
        raise ArchitectureError(problems)
    needed = memory(architecture, batch, dtype, training, materialised)
    if needed.peak > MOST_BYTES:
        raise ArchitectureError([_too_large(architecture, batch, needed)])
    per_image = macs(architecture, materialised)
    return Cost(
        architecture=architecture,
        batch=batch,
        dtype=dtype,
        training=training,
        materialised=materialised,
        tokens=architecture.tokens,
        parameters=parameters(architecture),
        macs=per_image.times(batch),
        memory=needed,
        crossover=crossover(architecture, materialised),
    )


def sweep(
    architecture: Architecture,
    over: Over,
    values: Sequence[int | Size],
    batch: int = 1,
    dtype: Dtype = "float32",
    training: bool = False,
    materialised: bool = False,
) -> list[Cost]:
    """One :class:`Cost` per value of one quantity; the rest stays as it is.

    Args:
        over: "dimension" keeps the heads' number and the MLP's ratio.

    Raises:
        ArchitectureError: a value is impossible, or ``over`` is none of the four.
    """
    rows = []
    for value in values:
        changed, images = architecture, batch
        if over == "batch":
            images = value  # type: ignore[assignment]
        else:
            changed = _changed(architecture, over, value)
        rows.append(cost(changed, images, dtype, training, materialised))
    return rows


def _changed(a: Architecture, over: str, value: int | Size) -> Architecture:
    pair = value if isinstance(value, tuple) else (value, value)
    if over == "image":
        return a.with_image(value)
    if over == "patch":
        return dataclasses.replace(a, patch=pair, name="")
    if over != "dimension":
        raise ArchitectureError([Problem("over", f"A sweep goes over image, patch, batch or "
                                                 f"dimension, not {over!r}.")])  # fmt: skip
    if not is_count(value):
        raise ArchitectureError([Problem("dim", "The embedding dimension must be a whole number.")])
    assert isinstance(value, int)
    hidden = max(1, min(a.mlp_hidden * value // a.dim, 1_048_576))
    pool_hidden = min(a.pool_mlp_hidden * value // a.dim, 1_048_576)
    return dataclasses.replace(
        a, dim=value, head_dim=None, mlp_hidden=hidden, pool_mlp_hidden=pool_hidden, name=""
    )


def _too_large(a: Architecture, batch: int, needed: Memory) -> Problem:
    amount = f"{needed.peak / MOST_BYTES:,.1f} TiB"
    if needed.weights + needed.gradients + needed.optimiser > needed.peak / 2:
        return Problem("dim", f"The weights alone put this at {amount}, more than 1 TiB. Use a "
                              "smaller embedding dimension or depth.")  # fmt: skip
    if batch > 1:
        return Problem("batch", f"This needs {amount} of memory, more than 1 TiB. Use a smaller "
                       f"batch than {batch}, a smaller image or larger patches.")  # fmt: skip
    return Problem("image", f"{a.tokens:,} tokens need {amount} of memory, more than 1 TiB. Use "
                   "a smaller image, larger patches or fused attention.")  # fmt: skip


Row = tuple[str, str | int | float, str]


def rows(result: Cost) -> list[Row]:
    """(quantity, value, unit) of everything, exact numbers."""
    a, memory = result.architecture, result.memory
    table: list[Row] = [
        ("image", f"{a.image[0]} x {a.image[1]}", "pixels"),
        ("patch", f"{a.patch[0]} x {a.patch[1]}", "pixels"),
        ("tokens", result.tokens, ""),
        ("prefix tokens", a.prefix_tokens, ""),
        ("parameters", result.parameters.total, ""),
    ]
    table += [(f"parameters: {_words(k)}", v, "") for k, v in vars(result.parameters).items()]
    table += [
        ("MACs", result.macs.total, "MAC"),
        ("MACs without QK^T and AV", result.macs.without_attention_products, "MAC"),
        ("FLOPs", result.macs.flops, "FLOP"),
    ]
    table += [(f"MACs: {_words(k)}", v, "MAC") for k, v in vars(result.macs).items()]
    if result.training:
        table.append(("MACs of a training step", result.training_macs, "MAC"))
    table += [
        ("quadratic share", round(result.macs.quadratic_share, 6), ""),
        ("quadratic overtakes linear at", round(result.crossover.tokens, 1), "tokens"),
    ]
    table += [(f"memory: {_words(k)}", v, "B") for k, v in vars(memory).items()]
    table.append(("memory: peak (estimate)", memory.peak, "B"))
    return table


def _words(field: str) -> str:
    return field.replace("_", " ")
