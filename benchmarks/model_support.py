"""Which of timm's architectures have their attention captured, and which maps they get.

    python -m benchmarks.model_support --cache /path/to/sweep.json

Every name of ``timm.list_models()`` is built on the meta device (shapes without numbers) and
looked at with the library's own ``support.observe``; the facts are kept in the cache
file, so that an interrupted sweep goes on where it stopped. What was seen is then classified by
:func:`attnlib.capture.support.classify`. Finally one small real model of every distinct kind of
attention is compared in float64 with the same model built without fused attention. The result is
``docs/model-support.md``.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import re
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from unittest import mock

import timm
import timm.layers
import torch
import torch.nn.functional as F
from timm.data import resolve_data_config
from torch import Tensor, nn

from attnlib.capture.call import AttentionCall
from attnlib.capture.mode import Capture
from attnlib.capture.refused import DIFFERENTIAL, NOT_TOKEN_ATTENTION
from attnlib.capture.support import Facts, Seen, classify, observe
from attnlib.errors import CaptureError

OUTPUT = Path(__file__).parents[1] / "docs" / "model-support.md"
EXACT = 1e-10

# Names of modules that may be attention: a model with one of them and no call seen is looked at
# by a person before it counts as having no token attention.
ATTENTION_LIKE = re.compile(r"attn|attention|mhsa|mqa", re.IGNORECASE)


# -- the sweep -------------------------------------------------------------------------------


def input_size(module: nn.Module) -> tuple[int, int]:
    """``(height, width)`` of the input that the model is configured for, in pixels."""
    size = getattr(getattr(module, "patch_embed", None), "img_size", None)
    if size is None:
        size = resolve_data_config(model=module)["input_size"][1:]
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def look(name: str) -> dict[str, Any]:
    """Facts about one architecture, as the cache holds them; ``{"error": ...}`` if it failed."""
    try:
        with torch.device("meta"):
            module = timm.create_model(name, pretrained=False).eval()
        size = input_size(module)
        facts = observe(module, size)
    except Exception as error:
        # Whatever goes wrong in one of 1371 models must show in the table, not end the sweep.
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    found = asdict(facts)
    found["kinds"] = sorted(facts.kinds)
    return {"file": type(module).__module__.rpartition(".")[2], "size": size, "facts": found}


def restore(entry: dict[str, Any]) -> Facts:
    """The facts that :func:`look` wrote, after their way through JSON."""
    found = dict(entry["facts"])
    found["calls"] = tuple(Seen(**{**c, "shape": tuple(c["shape"])}) for c in found["calls"])
    found["kinds"] = frozenset(found["kinds"])
    for key in ("grid", "patch", "prefix"):
        found[key] = None if found[key] is None else tuple(found[key])
    return Facts(**found)


def sweep(cache: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Look at all names that the cache does not hold yet; write it after every twenty."""
    entries: dict[str, dict[str, Any]] = json.loads(cache.read_text()) if cache.exists() else {}
    missing = [name for name in names if name not in entries]
    started = time.monotonic()
    for count, name in enumerate(missing, 1):
        entries[name] = look(name)
        if count % 20 == 0 or count == len(missing):
            fresh = cache.with_suffix(".part")
            fresh.write_text(json.dumps(entries))
            os.replace(fresh, cache)
            print(f"{count}/{len(missing)} {name} {time.monotonic() - started:.0f} s", flush=True)
    return {name: entries[name] for name in names if name in entries}


# -- classification --------------------------------------------------------------------------


# What attends, how that is seen, and in which role; last the readout.
Signature = tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Outcome:
    """What the library says about one name; ``cost`` counts its weights of attention."""

    name: str
    file: str
    model: str
    size: tuple[int, int]
    maps: tuple[str, ...]
    query: str
    reason: str
    signature: Signature
    group: str
    cost: int = 0


def judge(name: str, entry: dict[str, Any]) -> Outcome:
    """Classify the facts of one name; a failure to build or run it is an outcome too."""
    if "error" in entry:
        return Outcome(name, "?", "?", (0, 0), (), "", entry["error"], (), "failed")
    facts = restore(entry)
    size = (int(entry["size"][0]), int(entry["size"][1]))
    try:
        layout, support = classify(facts)
    except CaptureError as error:
        like = any(ATTENTION_LIKE.search(kind) for kind in facts.kinds)
        known = any(kind in NOT_TOKEN_ATTENTION for kind in facts.kinds)
        seen = {NOT_TOKEN_ATTENTION.get(call.kind) for call in facts.calls}
        differential = DIFFERENTIAL in seen
        group = "plain" if not like and not known else "excluded" if known else "unexplained"
        group = "signed" if differential else group
        return Outcome(name, entry["file"], facts.model, size, (), "", str(error), (), group)
    signature = {
        (call.kind, call.spelling, role)
        for call, role in zip(facts.calls, support.roles, strict=True)
        if role != "refused"
    }
    return Outcome(
        name,
        entry["file"],
        facts.model,
        size,
        tuple(kind for kind in MAPS if kind in support.maps),
        layout.query,
        "; ".join(part for part in (support.reason, facts.problem) if part),
        (*sorted(signature), ("readout", layout.readout, "")),
        describe(support.roles, layout.readout, "cls" in layout.prefix),
        sum(math.prod(shape) for shape in support.shapes) * size[0] * size[1],
    )


MAPS = ("readout rows", "rollout", "relevance", "per layer", "per window")


def describe(roles: Sequence[str], readout: str, cls: bool) -> str:
    """The class of model for the totals at the top."""
    if "local" in roles:
        return "row of the class attention only" if "pool" in roles else "windows or stages"
    if readout == "class attention":
        return "class attention" if "layer" in roles else "row of the class attention only"
    if readout == "pool":
        return "attention pooling" if "layer" in roles else "attention pooling over a ConvNet"
    if readout == "average":
        return "average, with a CLS token" if cls else "average, without a CLS token"
    return "CLS token" if readout in ("cls", "cls+dist") else "no readout"


# -- real models against the unfused path ----------------------------------------------------


def stir(module: nn.Module, amount: float) -> None:
    """Move every parameter, so that attention is peaked and no bias table is zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=amount)


@contextmanager
def recorded_softmax() -> Iterator[list[Tensor]]:
    """Every softmax result of a model, in order: the truth, of nothing that attnlib knows."""
    found: list[Tensor] = []

    def recording(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def softmax(*args: Any, **kwargs: Any) -> Tensor:
            found.append(original(*args, **kwargs))
            return found[-1]

        return softmax

    with (
        mock.patch.object(torch.Tensor, "softmax", recording(torch.Tensor.softmax)),
        mock.patch.object(torch, "softmax", recording(torch.softmax)),
        mock.patch.object(F, "scaled_dot_product_attention", explicit(found)),
    ):
        yield found


def explicit(found: list[Tensor]) -> Callable[..., Tensor]:
    """The operator as its documentation spells it, for modules without an unfused path."""

    def attention(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
    ) -> Tensor:
        assert not is_causal
        scores = query @ key.transpose(-2, -1) * (scale or query.shape[-1] ** -0.5)
        if attn_mask is not None:
            if attn_mask.dtype == torch.bool:
                scores = scores.masked_fill(~attn_mask, float("-inf"))
            else:
                scores = scores + attn_mask
        shifted = (scores - scores.amax(-1, keepdim=True)).exp()
        found.append(shifted / shifted.sum(-1, keepdim=True))
        return found[-1] @ value

    return attention


def build(name: str) -> tuple[nn.Module, nn.Module]:
    """The model as it is by default and a copy without fused attention; shallow if it can be."""
    pair = []
    shallow: list[dict[str, Any]] = [{"depth": 2}, {}]
    for fused in (True, False):
        timm.layers.set_fused_attn(fused)
        for options in shallow:
            try:
                pair.append(timm.create_model(name, pretrained=False, **options).eval())
                break
            except Exception:
                # Families differ in what they accept; the last attempt has no options.
                if not options:
                    raise
    timm.layers.set_fused_attn(True)
    return pair[0], pair[1]


@dataclass(frozen=True)
class Checked:
    """One real model: ``max |A - truth|``, ``max |A V - output|``, whether its output changed."""

    name: str
    calls: int
    error: float
    check: float
    identical: bool


def arrangements(truth: Tensor, shape: tuple[int, ...]) -> Iterator[Tensor]:
    """The orders in which a module may hold heads and windows, as ``(B, H, Tq, Tk)``.

    Of a pool that computes every query's row but hands on the first alone, the first.
    """
    if truth.ndim == len(shape) and shape[2] == 1 < truth.shape[2]:
        truth = truth[:, :, :1]
    if truth.numel() != torch.Size(shape).numel() or truth.shape[-2:] != torch.Size(shape)[-2:]:
        return
    yield truth.reshape(shape)
    if truth.ndim > 3:
        for first in range(truth.ndim - 3):
            yield truth.transpose(first, first + 1).reshape(shape)


def verify(name: str, size: tuple[int, int]) -> Checked:
    """Capture a real model and compare each call with the softmax result that it stands for."""
    module, plain = build(name)
    stir(module, 0.02)
    plain.load_state_dict(module.state_dict())
    module, plain = module.double(), plain.double()
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(1, 3, *size, generator=generator, dtype=torch.float64)
    worst = {"error": 0.0, "check": 0.0}
    count, position = 0, 0
    with torch.inference_mode():
        before = module(pixels)
        with recorded_softmax() as truth:
            plain(pixels)

        def compare(call: AttentionCall) -> None:
            nonlocal count, position
            if call.kind in NOT_TOKEN_ATTENTION:
                return
            rows = call.rows()
            best, found = float("inf"), position
            # Softmax over other things (gates, channels) lies between: look ahead a little.
            for index in range(position, min(position + 12, len(truth))):
                for candidate in arrangements(truth[index], tuple(rows.shape)):
                    difference = float((rows - candidate).abs().max())
                    if difference < best:
                        best, found = difference, index + 1
                if best <= EXACT:
                    break
            position = found
            count += 1
            worst["error"] = max(worst["error"], best)
            worst["check"] = max(worst["check"], float(call.check().amax()))

        with Capture(module, compare):
            output = module(pixels)
    identical = torch.equal(_first(output), _first(before))
    return Checked(name, count, worst["error"], worst["check"], identical)


def _first(output: object) -> Tensor:
    while isinstance(output, tuple | list):
        output = output[0]
    assert isinstance(output, Tensor)
    return output


def smallest(outcomes: Iterable[Outcome]) -> dict[Signature, Outcome]:
    """One name for every signature, the one with the fewest weights of attention."""
    chosen: dict[Signature, Outcome] = {}
    for outcome in sorted(outcomes, key=lambda o: o.cost):
        if outcome.signature:
            chosen.setdefault(outcome.signature, outcome)
    return chosen


def verify_all(cache: Path, outcomes: Sequence[Outcome]) -> dict[Signature, Checked]:
    """Check one model of every signature; results are cached like the sweep."""
    done: dict[str, Any] = json.loads(cache.read_text()) if cache.exists() else {}
    results = {}
    for signature, outcome in smallest(outcomes).items():
        if outcome.name not in done:
            started = time.monotonic()
            try:
                done[outcome.name] = asdict(verify(outcome.name, outcome.size))
            except Exception as error:
                # One model that cannot be checked shows as unchecked and does not end the run.
                print("not checked:", outcome.name, repr(error)[:300], flush=True)
                infinite = float("inf")
                results[signature] = Checked(outcome.name, 0, infinite, infinite, False)
                continue
            cache.write_text(json.dumps(done))
            print(done[outcome.name], f"{time.monotonic() - started:.1f} s", flush=True)
        results[signature] = Checked(**done[outcome.name])
    return results


# -- the table -------------------------------------------------------------------------------


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def report(outcomes: Sequence[Outcome], checked: dict[Signature, Checked]) -> str:
    captured = [o for o in outcomes if o.signature]
    signed = [o for o in outcomes if o.group == "signed"]
    missed = [o for o in outcomes if o.group in ("unexplained", "failed")]
    excluded = [o for o in outcomes if o.group == "excluded"]
    plain = [o for o in outcomes if o.group == "plain"]
    with_attention = len(captured) + len(signed) + len(missed)
    exact = sum(checked[o.signature].error <= EXACT for o in captured)
    gated = sum(checked[o.signature].check <= EXACT for o in captured) - exact
    lines = [
        "# Model support",
        "",
        f"timm {timm.__version__}, torch {torch.__version__}. Written by",
        "`python -m benchmarks.model_support --cache sweep.json`; do not edit.",
        "",
        f"- {len(outcomes)} architectures swept (`timm.list_models()`), each built and run once",
        "  on the meta device at its own input size.",
        f"- {with_attention} have token attention. It is seen in {len(captured) + len(signed)} of",
        f"  them: {len(captured)} get maps, {len(signed)} are refused because theirs are signed",
        f"  differences of two maps. {len(missed)} are missed.",
        f"- {exact} of the {len(captured)} are exact (error at most {EXACT:.0e}), by",
        f"  {len(set(checked.values()))} real models in float64, one of every distinct combination",
        "  of attention modules, interception and readout, against the same model built without",
        f"  fused attention. {gated} more (gated weights, marked * below) agree with what their",
        "  modules multiplied the values with, which is no independent truth.",
        f"- {len(excluded)} have only what resembles attention and is refused by name;",
        f"  {len(plain)} are convolutional or MLP models.",
        "",
        "A model counts as having token attention if a module of it forms weights of queries over",
        "keys that are tokens: patches, cells of a feature map, windows of them, pooled keys.",
        "A model with a module that is named like attention but makes no call counts as missed,",
        "unless the reason for its exclusion is known by name.",
        "",
        "## What the prediction's query is",
        "",
        *table(("Kind of model", "Names"), Counter(o.group for o in captured).most_common()),
        "",
        "## Families",
        "",
        "Error: max of abs(A - truth) over all calls of the checked models, float64. Where a",
        "module gates its weights after the softmax (ConViT), what it multiplied the values with",
        "is kept and compared with the module's own result, marked *.",
        "Maps: `per layer` is a matrix over all tokens; `per window` is each layer in its own",
        "shape: windows, reduced keys, or the grid of its stage.",
        "",
    ]
    groups: dict[tuple[Any, ...], list[Outcome]] = defaultdict(list)
    for outcome in captured:
        reason = re.sub(r"returns \([\d, ]+\)", "returns tokens", outcome.reason)
        key = (outcome.file, outcome.model, outcome.maps, outcome.query, reason)
        groups[key].append(outcome)
    rows = []
    for (file, model, maps, query, reason), members in sorted(groups.items()):
        proofs = [checked[o.signature] for o in members]
        error = max(p.error for p in proofs)
        shown = f"{error:.0e}"
        if error > EXACT:
            shown = f"{max(p.check for p in proofs):.0e}*"
        query = query if "readout rows" in maps else "none"
        rows.append(
            (
                file,
                model,
                len(members),
                f"`{members[0].name}`",
                shown,
                ", ".join(maps),
                query,
                reason or "nothing is refused",
            )
        )
    lines += table(
        ("File", "Class", "Names", "For example", "Error", "Maps", "Query", "Refused, and why"),
        rows,
    )
    lines += ["", "## No token attention", ""]
    refused = Counter((o.file, o.model, o.reason) for o in [*signed, *excluded, *missed])
    lines += table(
        ("File", "Class", "Names", "Why"),
        [(file, model, n, reason) for (file, model, reason), n in sorted(refused.items())]
        + [("all others", "", len(plain), "convolutional or MLP: no token attention")],
    )
    lines += ["", "## Real models checked", ""]
    lines += table(
        ("Model", "Calls", "max abs(A - truth)", "max abs(A V - output)", "Output bit-identical"),
        [
            (
                f"`{p.name}`",
                p.calls,
                f"{p.error:.1e}",
                f"{p.check:.1e}",
                "yes" if p.identical else "no",
            )
            for p in sorted(set(checked.values()), key=lambda p: p.name)
        ],
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="JSON file, made if missing")
    parser.add_argument("--models", default="*", help="pattern of names; all by default")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.ERROR)
    torch.set_num_threads(1)
    names = [name for name in timm.list_models() if fnmatch(name, options.models)]
    entries = sweep(options.cache, names)
    outcomes = [judge(name, entry) for name, entry in entries.items()]
    for outcome in outcomes:
        if outcome.group in ("failed", "unexplained"):
            print(outcome.group, outcome.name, outcome.reason, flush=True)
    checked = verify_all(options.cache.with_suffix(".checked.json"), outcomes)
    options.output.write_text(report(outcomes, checked))
    print(f"wrote {options.output.name}")


if __name__ == "__main__":
    main()
