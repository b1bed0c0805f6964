"""Words can be read on every background of both themes, by the formula of WCAG 2.2 (AA)."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from attnlib.dashboard.parts import frame
from tests.dashboard.browsing import ROOT

THEMES: dict[str, Any] = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())["theme"]
# Captions are drawn so by Streamlit.
FADED = 0.6


def channels(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def contrast(one: list[float], other: list[float]) -> float:
    """The contrast ratio of WCAG 2.2."""

    def luminance(colour: list[float]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def mixed(over: str, under: str, share: float) -> list[float]:
    pairs = zip(channels(over), channels(under), strict=True)
    return [share * a + (1 - share) * b for a, b in pairs]


def grounds(scheme: str) -> list[str]:
    """What words stand on."""
    theme = THEMES[scheme]
    parts = (theme, theme["sidebar"])
    return [p[key] for p in parts for key in ("backgroundColor", "secondaryBackgroundColor")]


@pytest.mark.parametrize("outcome", ["wrong", "right"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_outcome_can_be_read(outcome: str, scheme: str) -> None:
    rule = rf"outcome-{outcome} {{ color: color-mix\(in srgb, (#\w{{6}}) (\d+)%, currentColor\)"
    found = re.search(rule, frame._CSS)
    assert found
    colour = mixed(found[1], THEMES[scheme]["textColor"], int(found[2]) / 100)
    assert all(contrast(colour, channels(ground)) >= 4.5 for ground in grounds(scheme))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_captions_links_and_chosen_options_can_be_read(scheme: str) -> None:
    theme = THEMES[scheme]
    for ground in grounds(scheme):
        assert contrast(channels(theme["textColor"]), channels(ground)) >= 7
        assert contrast(mixed(theme["textColor"], ground, FADED), channels(ground)) >= 4.5
        assert contrast(channels(theme["linkColor"]), channels(ground)) >= 4.5
        # A chosen option stands on a tint of its own colour.
        tint = mixed(theme["primaryColor"], ground, 0.1)
        assert contrast(channels(theme["primaryColor"]), tint) >= 4.5
    rule = r"primary\][^{]*{\s*color: light-dark\((#\w{6}), (#\w{6})\)"
    found = re.search(rule, frame._CSS)
    assert found
    on = channels(found[1 if scheme == "light" else 2])
    assert contrast(on, channels(theme["primaryColor"])) >= 4.5
