"""Words for the screen."""

from __future__ import annotations

from attnlib.data import text


def test_a_title_stands_within_a_sentence_unless_it_is_a_name() -> None:
    titles = ["Integrated gradients", "Occlusion", "RISE", "Grad-CAM", "LeGrad"]
    found = [text.within(one) for one in titles]
    assert found == ["integrated gradients", "occlusion", "RISE", "Grad-CAM", "LeGrad"]
