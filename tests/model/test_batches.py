"""A record speaks of its own image, whatever else was in the batch."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

import attnlib
from attnlib.capture.call import AttentionCall


def test_the_self_check_is_of_the_image_alone(
    vit: attnlib.Vit, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = AttentionCall.rows

    def wrong_for_the_second(call: AttentionCall, queries: slice = slice(None)) -> torch.Tensor:
        rows = plain(call, queries).clone()
        if len(rows) == 3:
            rows[1] = rows[1].roll(1, dims=-1)
        return rows

    monkeypatch.setattr(AttentionCall, "rows", wrong_for_the_second)
    checks = [record.self_check for record in vit.inspect_many(pictures[:3], batch_size=3)]
    assert checks[0] < 1e-4
    assert checks[1] > 1e-1
    assert checks[2] < 1e-4


def test_each_image_has_the_largest_deviation_of_its_own() -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 4, 2, 5, 3, dtype=torch.float64)
    exact = torch.softmax(query @ key.mT, dim=-1) @ value
    off = torch.tensor([0.0, 0.25, 0.5, 4.0], dtype=torch.float64)
    output = exact.clone()
    output[:, 1, 3, 2] -= off
    call = AttentionCall("", "", query, key, value, output)
    torch.testing.assert_close(call.check(), off, atol=1e-12, rtol=0)
