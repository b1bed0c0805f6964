"""What a record and a model show of themselves in a notebook."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from PIL import Image

import attnlib

HOSTILE = "<img src=x onerror=alert(1)>"


def bars(page: str) -> list[tuple[str, str]]:
    """(name, percentage) of every row with a bar."""
    return re.findall(r"<td[^>]*>([^<]*)</td><td[^>]*>([\d.]+%)</td>", page)


def test_a_record_shows_its_verdict(vit: attnlib.Vit, pictures: list[Image.Image]) -> None:
    record = vit.inspect(pictures[0])
    assert record.class_names == vit.class_names
    page = record._repr_html_()
    assert f"Predicted: {vit.class_names[record.predicted]}" in page
    logits = record.logits.astype(np.float64)
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    order = np.argsort(-shares)[:5]
    assert bars(page) == [(vit.class_names[i], f"{shares[i]:.1%}") for i in order]
    assert "6 layers x 4 heads x 65 tokens" in page
    assert "CLS token" in page


def test_a_record_without_names_or_rows_shows_numbers(
    vit: attnlib.Vit, pictures: list[Image.Image]
) -> None:
    record = vit.inspect(pictures[0])
    bare = replace(record, class_names=(), rows=np.zeros((0, 0, 65), np.float32))
    page = bare._repr_html_()
    assert f"Predicted: class {record.predicted}" in page
    assert "layers" not in page


def test_hostile_names_stay_words(vit: attnlib.Vit, pictures: list[Image.Image]) -> None:
    record = vit.inspect(pictures[0])
    page = replace(record, class_names=(HOSTILE,) * 10)._repr_html_()
    page += attnlib.load("demo", device="cpu")._repr_html_()
    hostile = attnlib.load("demo", device="cpu")
    hostile.name = HOSTILE
    page += hostile._repr_html_()
    assert "<img" not in page
    assert page.count("&lt;img src=x") >= 7


def test_a_model_shows_its_layout(vit: attnlib.Vit) -> None:
    page = vit._repr_html_()
    for fact in (
        "32 x 32 pixels",
        "8 x 8 of 4 x 4 pixels",
        "6 layers of 4 heads",
        ">cls<",
        "CLS token",
        ">10<",
        "cpu in float32",
    ):
        assert fact in page, fact
    assert "not defined" not in page


def test_a_model_shows_what_is_not_defined() -> None:
    vit = attnlib.load("swin_tiny_patch4_window7_224", pretrained=False, device="cpu")
    page = vit._repr_html_()
    assert "not defined" in page
    assert "windows" in page
