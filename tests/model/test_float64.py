"""Accelerators without float64 (Apple's MPS): no tensor of it is ever made on the device.

There is none here, so a mode pretends: every tensor counts as the device's until ``.cpu()`` or
numpy brings it to the host, and float64 anywhere else is an error, as on the real device.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.overrides import TorchFunctionMode

import attnlib
from attnlib import heads
from attnlib.evaluation import faithfulness, randomisation
from attnlib.heads import ablation, intervention, rows, statistics
from attnlib.lessons import walkthrough

TO_HOST = {Tensor.cpu}
WITHOUT_DEVICE = {
    torch.from_numpy,
    torch.rand,
    torch.randn,
    torch.randperm,
    torch.tensor,
    torch.as_tensor,
} | {torch.zeros, torch.ones, torch.full, torch.empty, torch.arange, torch.linspace}


class WithoutFloat64(TorchFunctionMode):
    """The host's tensors are known by identity; all others are the device's."""

    def __init__(self) -> None:
        super().__init__()
        self._host: dict[int, weakref.ref[Tensor]] = {}

    def _on_host(self, tensor: Tensor) -> bool:
        known = self._host.get(id(tensor))
        # No mode sees torch.from_numpy; float64 that no operation made can only be from there.
        return tensor.dtype == torch.float64 or (known is not None and known() is tensor)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        inputs = list(_tensors((args, kwargs)))
        moved = func is Tensor.to and any(isinstance(a, torch.device) for a in args)
        if func in WITHOUT_DEVICE:
            host = "device" not in kwargs
        else:
            host = bool(inputs) and all(map(self._on_host, inputs)) and not moved
        if func in TO_HOST:
            # The same object on a machine whose device is the host: an alias tells them apart.
            host, result = True, result.detach()
        for tensor in _tensors(result):
            if host:
                self._host[id(tensor)] = weakref.ref(tensor)
            elif tensor.dtype == torch.float64:
                raise TypeError(f"Cannot make a float64 tensor on the device: {func}")
            else:
                self._host.pop(id(tensor), None)
        return result


def _tensors(nested: Any) -> Iterator[Tensor]:
    if isinstance(nested, Tensor):
        yield nested
    elif isinstance(nested, dict):
        yield from _tensors(tuple(nested.values()))
    elif isinstance(nested, tuple | list):
        for item in nested:
            yield from _tensors(item)


def test_the_pretence_can_refuse() -> None:
    model = torch.nn.Linear(2, 2)
    with WithoutFloat64():
        logits = model(torch.ones(1, 2))
        logits.cpu().double().softmax(dim=1)
        torch.from_numpy(np.ones(3)).sum()
        with pytest.raises(TypeError, match="float64"):
            logits.double()
        with pytest.raises(TypeError, match="float64"):
            logits.softmax(dim=1, dtype=torch.float64)
        with pytest.raises(TypeError, match="float64"):
            torch.zeros(2, dtype=torch.float64, device=logits.device)
        with pytest.raises(TypeError, match="float64"):
            torch.from_numpy(np.ones(3)).to(logits.device)


def _everything(vit: attnlib.Vit, image: Image.Image) -> dict[str, Callable[[], object]]:
    """Every way into the library that runs on the model's device, by name."""
    pixels = vit.pixels(image)
    calls: dict[str, Callable[[], object]] = {
        "inspect": lambda: vit.inspect(image),
        "attention": lambda: vit.attention(image, 2),
        "row": lambda: rows.row(vit.subject(image), 0, 3),
        "readout's row": lambda: rows.row(vit.subject(image), 0),
        "column": lambda: rows.column(vit.subject(image), 0, 3),
        "matrix": lambda: rows.matrix(vit.subject(image), 0, 1),
        "statistics": lambda: statistics.head_statistics(vit, pixels),
        "head effects": lambda: ablation.head_effects(vit, pixels),
        "without heads": lambda: ablation.without_heads(vit, pixels, [(0, 1)]),
        "temperature": lambda: intervention.at_temperature(vit, pixels, 2.0),
        "walk": lambda: walkthrough.walk(vit, pixels, 1, 0),
        "pattern": lambda: heads.pattern(vit.attention(image, 1)[0], vit.layout),
        "faithfulness": lambda: faithfulness.evaluate(
            vit, pixels, [vit.attribute(image, "rollout")], [3], steps=4, draws=2
        ),
        "randomisation": lambda: list(
            randomisation.cascade(vit, image, vit.attribute(image, "relevance", 3))
        ),
    }
    for name in attnlib.methods():
        options: dict[str, object] = {"against": 1} if "contrast" in name else {}
        calls[name] = lambda name=name, options=options: vit.attribute(image, name, 3, **options)
    for name in ("rollout", "flow"):
        calls[f"{name}, discarding"] = lambda name=name: vit.attribute(
            image, name, head_fusion="max", discard_ratio=0.3
        )
    return calls


def test_nothing_asks_the_device_for_float64(vit: attnlib.Vit, pictures: list[Image.Image]) -> None:
    for name, call in _everything(vit, pictures[0]).items():
        try:
            with WithoutFloat64():
                call()
        except TypeError as error:
            pytest.fail(f"{name}: {error}")
