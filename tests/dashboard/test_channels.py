"""Models whose input has other than three channels: what uploads become, or why they do not."""

from __future__ import annotations

import io

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.dashboard.state import results
from tests.dashboard.driving import finish, png, upload, use


def module(channels: int) -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model(
        "vit_tiny_patch16_224", img_size=64, num_classes=10, depth=2, in_chans=channels
    )


def clear() -> Image.Image:
    """64 x 64 pixels whose opacity carries as much as their colours."""
    values = np.random.default_rng(0).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    return Image.fromarray(values)


def inspected(app: AppTest, vit: attnlib.Vit, name: str) -> results.Inspected:
    session = app.session_state["session"]
    (sample,) = (s for s in session.samples if s.name == name)
    (found,) = results.inspect(session.choice, vit, [sample])
    assert isinstance(found, results.Inspected)
    return found


@pytest.mark.parametrize("channels", [1, 4])
def test_uploads_have_the_models_channels(
    app: AppTest, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.run()
    vit = use(app, module(channels), monkeypatch)
    app.run()
    out = io.BytesIO()
    clear().save(out, "PNG")
    app.run()
    upload(app, ("clear.png", out.getvalue(), "image/png"))
    assert not app.exception and not app.error
    record = inspected(app, vit, "clear.png").record
    if channels == 4:
        seen = clear()
    else:
        white = Image.new("RGBA", (64, 64), "white")
        seen = Image.alpha_composite(white, clear()).convert("L")
    # timm's own transform and the module itself.
    with torch.no_grad():
        expected = vit.module(vit.transform(seen)[None])[0]
    np.testing.assert_allclose(record.logits, expected, atol=1e-4 if channels == 4 else 0.02)
    opaque = seen.copy()
    if channels == 4:
        opaque.putalpha(255)
        with torch.no_grad():
            other = vit.module(vit.transform(opaque)[None])[0]
        assert float((other - expected).abs().max()) > 0.02, "opacity matters"


def test_more_channels_than_a_picture_has_are_refused_in_words(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.run()
    use(app, module(7), monkeypatch)
    app.run()
    upload(app, ("one.png", png(1), "image/png"), ("two.png", png(2), "image/png"))
    finish(app)
    assert not app.exception
    (table,) = (d.value for d in app.dataframe if "reason" in d.value)
    reasons = dict(zip(table["file"], table["reason"], strict=True))
    assert {"one.png", "two.png"} <= reasons.keys()
    assert all("takes 7 channels, which no picture has" in why for why in reasons.values())
    assert [i.value for i in app.info] == ["No image could be inspected; the reasons stand above."]
