"""Weights are shared between people, bounded in bytes, and loaded once however many ask."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import timm
import torch
from safetensors.torch import save

from attnlib.dashboard.state import models
from attnlib.dashboard.state.copies import Copies
from attnlib.dashboard.state.models import ModelChoice
from attnlib.data.image import sha256
from attnlib.errors import TooLarge
from attnlib.model.classes import ClassNames


def bounded(most: int = 10, limit: int = 100) -> Copies[bytes]:
    return Copies(most, lambda: limit, len)


def test_the_bytes_of_all_stay_within_the_limit() -> None:
    copies = bounded()
    for key, size in (("a", 40), ("b", 40), ("a", 40), ("c", 40)):
        copies.of(key, lambda size=size: bytes(size))  # type: ignore[misc]
    assert copies.nbytes == 80
    assert [key for key in "abc" if copies.get(key) is not None] == ["a", "c"], "b was used least"
    copies.of("d", lambda: bytes(500))
    assert len(copies) == 1 and copies.get("d") is not None, "what is asked for always stays"


def test_the_number_is_bounded_too() -> None:
    copies = bounded(most=2)
    for key in "abc":
        copies.of(key, lambda: b"x")
    assert len(copies) == 2 and copies.get("a") is None


def test_many_who_ask_at_once_wait_for_one_making() -> None:
    copies, made, started = bounded(), [], threading.Barrier(8)
    lasts = threading.Event()

    def make() -> bytes:
        made.append(1)
        lasts.wait(5)
        return b"x"

    def ask() -> None:
        started.wait()
        copies.of("a", make)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    lasts.set()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_others_make_room_for_what_is_too_large_beside_them() -> None:
    copies = bounded()
    copies.of("a", lambda: b"x")

    def make() -> bytes:
        if len(copies):
            raise TooLarge("too large", 1)
        return b"y"

    assert copies.of("b", make) == b"y" and copies.get("a") is None

    def never() -> bytes:
        raise TooLarge("too large", 1)

    with pytest.raises(TooLarge):
        copies.of("c", never)
    assert copies.get("c") is None


def test_one_upload_is_one_copy_of_weights_whatever_its_classes_are_called() -> None:
    torch.manual_seed(0)
    module = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=1, num_classes=3)
    data = save(module.state_dict())
    options = (("depth", 1),)
    choice = ModelChoice(
        "vit_tiny_patch16_224", digest=sha256(data), img_size=(32, 32), model_args=options,
        file="mine.safetensors",
    )  # fmt: skip
    others = [
        choice,
        replace(choice, file="yours.safetensors"),
        replace(choice, class_names=("cat", "dog", "fox")),
        replace(choice, preprocessing=(("mean", (0.1, 0.2, 0.3)),)),
        replace(choice, names=ClassNames(("x", "y", "z"), "said by you")),
        replace(choice, precision="bfloat16"),
    ]
    models.COPIES.clear()
    vits = [models.get(other, data) for other in others]
    assert len({id(vit.module) for vit in vits}) == 1
    assert len(models.COPIES) == 1
    assert vits[2].class_names == ("cat", "dog", "fox")
    assert vits[4].class_names == ("x", "y", "z")
    assert vits[0].class_names != vits[2].class_names
    expected = sum(t.numel() * t.element_size() for t in module.state_dict().values())
    assert models.COPIES.nbytes == expected
