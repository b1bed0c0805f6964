"""Memory is asked for before it is taken: estimates beside the peaks that the system measures."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save

import attnlib
from attnlib.errors import ModelError, TooLarge
from attnlib.model import memory
from attnlib.model.asked import refuse_deep
from attnlib.model.restore import need, skeleton
from tests.fuzz import seeds

# What one process does: load with random weights, look at eight images, and explain one by a
# method that needs gradients of everything.
PEAK = """
import sys
import torch
from PIL import Image
import attnlib
torch.set_num_threads(1)
image = Image.new("RGB", (90, 70))
attnlib.load("demo", device="cpu").attribute(image, method="gradcam")
def status(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
vit = attnlib.load(sys.argv[1], pretrained=False, device="cpu")
vit.inspect_many([image] * 8, batch_size=8)
try:
    vit.attribute(image, method="gradcam")
except attnlib.AttnlibError:
    pass  # not defined for this one
print(status("VmHWM") - before)
"""
# Between the lighter and the heaviest thing that is asked of a model.
FACTOR = 2.0


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measured by /proc")
@pytest.mark.parametrize("name", ["vit_small_patch16_384", "swin_tiny_patch4_window7_224"])
def test_the_estimate_is_near_the_measured_peak(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PEAK, name], capture_output=True, text=True, timeout=200, check=True
    )
    estimate = need(skeleton(name, {}), {}).total
    assert 1 / FACTOR < estimate / int(done.stdout) < FACTOR


def test_weights_are_counted_exactly() -> None:
    real = timm.create_model("vit_tiny_patch16_224", depth=2)
    bare = skeleton("vit_tiny_patch16_224", {"depth": 2})
    bytes_of = sum(t.untyped_storage().nbytes() for t in real.state_dict().values())
    assert memory.weights_of(bare) == memory.weights_of(real) == bytes_of


def test_activations_are_those_of_a_layer_by_hand() -> None:
    """Of two linear layers a gradient needs the input of each: with the output, three arrays."""
    with torch.device("meta"):
        module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 1000),
                                     torch.nn.ReLU(), torch.nn.Linear(1000, 10))  # fmt: skip
    found = memory.needed(module, 3, (4, 4))
    graph = 4 * (48 + 1000 + 1000 + 10)
    without = 4 * (48 + 1000 + 1000)  # the image, and both ends of the ReLU
    assert found.weights == 4 * (48 * 1000 + 1000 + 1000 * 10 + 10)
    assert found.activations in range(max(graph, 8 * (without - 4 * 48)), 8 * without + graph)


def test_what_cannot_be_counted_leaves_the_weights() -> None:
    class Asks(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels * pixels.sum().item()

    assert memory.needed(Asks(), 3, (4, 4)) == memory.Need(0, 0)


@pytest.fixture
def little(setting: Callable[..., Any]) -> None:
    setting(model_bytes=40_000_000)


@pytest.mark.usefixtures("little")
def test_a_refusal_says_the_estimate_the_budget_and_the_way_out() -> None:
    with pytest.raises(TooLarge, match=r"would take about \d+ MB .*40 MB may be taken") as refused:
        attnlib.load("vit_small_patch16_224", pretrained=False)
    assert "ATTNLIB_MODEL_BYTES" in str(refused.value)
    assert refused.value.needed > 80_000_000
    assert attnlib.load(
        "vit_tiny_patch16_224", pretrained=False, img_size=64, model_args={"depth": 2}
    )


def limited(call: Callable[[], object], megabytes: int) -> None:
    """A call that would fail were it to take more than that."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    call()
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024 < megabytes


def folder(place: Path, config: dict[str, Any], weights: bytes) -> str:
    (place / "config.json").write_text(json.dumps(config))
    (place / "model.safetensors").write_bytes(weights)
    return str(place)


def test_a_few_bytes_cannot_ask_for_gigabytes(tmp_path: Path, setting: Callable[..., Any]) -> None:
    """By a class count, an input size, a width: of files of some hundred bytes."""
    setting(model_bytes=2**30)
    timm_config = json.loads(seeds.TIMM_CONFIG)
    vit_config = json.loads(seeds.CONFIG)
    cases: list[tuple[dict[str, Any], bytes]] = [
        ({"architecture": "vit_giant_patch14_224", "num_classes": 99_000}, b""),
        ({**timm_config, "model_args": {**timm_config["model_args"], "img_size": 65536}},
         save({"x": torch.ones(1)})),
        ({**vit_config, "hidden_size": 60_000}, seeds.transformers_weights()),
        ({**vit_config, "image_size": 65536}, seeds.transformers_weights()),
    ]  # fmt: skip

    def call() -> None:
        for number, (config, weights) in enumerate(cases):
            place = tmp_path / str(number)
            place.mkdir()
            with pytest.raises(ModelError, match="would take about"):
                attnlib.load(folder(place, config, weights), device="cpu")

    limited(call, 600)


def test_a_checkpoint_cannot_have_positions_computed_for_a_huge_image() -> None:
    module = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=1)
    with pytest.raises(TooLarge):
        attnlib.load(
            "vit_tiny_patch16_224",
            checkpoint=save(module.state_dict()),
            img_size=(99_984, 99_984),
            model_args={"depth": 1},
        )


@pytest.mark.parametrize(
    "config",
    [
        {"num_hidden_layers": 2**64},
        {"num_hidden_layers": 10**400},
        {"vision_config": {"num_hidden_layers": 5000}},
        {"model_args": {"depths": [2, 2, 10**9]}},
        {"model_args": {"depth": float("inf")}},
        {"num_labels": 10**7},
        {"id2label": {str(i): "x" for i in range(100_001)}},
    ],
    ids=range(7),
)
def test_more_layers_or_classes_than_any_model_has_are_refused_at_once(config: Any) -> None:
    with pytest.raises(ModelError, match="correct the configuration"):
        refuse_deep(config)


def test_real_configurations_are_none_of_these() -> None:
    refuse_deep(json.loads(seeds.CONFIG))
    refuse_deep(json.loads(seeds.TIMM_CONFIG))
    refuse_deep({"depths": (2, 2, 18, 2), "num_classes": 21843, "depth": None, "layers": "x"})


def test_the_budget_is_a_share_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/meminfo": "MemTotal: 900 kB\nMemAvailable:    600 kB\n",
        "/sys/fs/cgroup/memory.max": "max\n",
        "/sys/fs/cgroup/memory.current": "5\n",
    }
    monkeypatch.setattr(memory, "_read", lambda path: files.get(path, ""))
    assert memory.available(torch.device("cpu")) == 600 * 1024
    files["/sys/fs/cgroup/memory.max"] = "204805\n"
    assert memory.available(torch.device("cpu")) == 204800
    assert memory.budget() == 102400
    assert memory.total() == 204805 // 2
