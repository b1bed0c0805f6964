"""A fixed sample of docs/checkpoints.md: the kinds that our own libraries can make."""

from __future__ import annotations

from pathlib import Path

import pytest

import attnlib
from attnlib.errors import AttnlibError
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
from benchmarks.checkpoints.kind import KINDS

SAMPLE = (
    "state dict, safetensors",
    "settings and names in the metadata of safetensors",
    "torch.compile inside DataParallel",
    "timm CheckpointSaver with arguments and EMA",
    "DINO: student and teacher",
    "prefix “encoder.” and a projection head",
    "class_to_idx in the checkpoint",
    "an object of the training's own beside the weights",
    "half precision (bfloat16)",
    "architecture in the arguments (hyper_parameters)",
    "register tokens and patches of 8",
    "one channel (in_chans=1)",
    "independent labels, by the loss in the arguments",
    "a ResNet before the blocks (hybrid)",
    "mmpretrain, “backbone.” and “head.”",
    "a classifier of several layers: features, and it is named",
    "torchvision vit_b_16, its own names",
    "transformers folder: ViT",
    "transformers folder: DINOv2 with registers",
    "transformers folder: SigLIP2 of any size (NaFlex)",
    "transformers folder: sharded safetensors",
    "timm folder (save_for_hf)",
    "ready module: a class with its own mean",
    "ready module: torch.compile",
)
REFUSED = {
    "refused: a pickled whole model": "whole model, pickled with its code",
    "refused: TorchScript": "TorchScript",
    "refused: torch.export": "torch.export",
    "refused: a pickle that runs code": r"would run code on opening: it calls \w+\.system",
    "refused: cut off while copying": "copy or save it again",
    "refused: another architecture's weights": "They fit vit_small_patch16_224",
    "refused: a convolutional network": "ResNet makes no attention",
}


def test_every_kind_has_one_title() -> None:
    parts = (training, architectures, heads, libraries, namings, modules, refused)
    assert {maker.__module__ for maker in KINDS.values()} == {part.__name__ for part in parts}
    assert len(KINDS) >= 60


def test_the_table_in_the_documents_is_of_all_kinds_and_none_is_wrong() -> None:
    text = (Path(__file__).parents[2] / "docs" / "checkpoints.md").read_text(encoding="utf-8")
    lines = text.split("<!-- kinds -->")[1].splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][1:]
    assert {row[0] for row in rows} == KINDS.keys()
    for title, library, _, sidebar, *_ in rows:
        assert library == ("refused" if title.startswith("refused") else "exact"), title
        assert sidebar in ("the same", "refused", "not offered", "—"), title


@pytest.mark.parametrize("title", SAMPLE)
def test_what_is_loaded_is_the_original(title: str, tmp_path: Path) -> None:
    made = KINDS[title](tmp_path)
    vit = attnlib.load(made.source, device="cpu", **made.options)
    problems, difference = compared(made, vit)
    assert not problems
    assert difference < 1e-4


@pytest.mark.parametrize("title", REFUSED)
def test_what_is_none_is_refused_by_its_real_name(title: str, tmp_path: Path) -> None:
    made = KINDS[title](tmp_path)
    with pytest.raises(AttnlibError, match=REFUSED[title]):
        attnlib.load(made.source, device="cpu", **made.options)
