"""What methods say of themselves, against what they do."""

from __future__ import annotations

import pytest
from PIL import Image

import attnlib
from attnlib.methods import METHODS


def test_those_that_are_compared_stand_from_attention_alone_to_the_models_answer() -> None:
    assert [name for name, method in METHODS.items() if method.compared] == [
        "raw",
        "rollout",
        "residual",
        "flow",
        "relevance",
        "gradcam",
        "attnlrp",
        "integrated",
        "occlusion",
        "rise",
        "centre",
        "random",
    ]


def test_names_fit_where_there_is_little_room() -> None:
    assert all(len(method.short) <= 9 for method in METHODS.values() if method.compared)
    tight = [method.abbreviation for method in METHODS.values() if method.compared]
    assert all(len(name) <= 5 for name in tight)
    assert len(set(tight)) == len(tight)


def test_what_pages_do_not_offer_is_set_elsewhere() -> None:
    hidden = {
        (m.name, key) for m in METHODS.values() for key, o in m.options.items() if not o.shown
    }
    assert hidden == {("raw", "query"), ("random", "seed"), ("rise", "seed")}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_that_is_not_slow_takes_a_pass_or_two(
    name: str, pictures: list[Image.Image]
) -> None:
    vit = attnlib.load("demo", device="cpu")
    images = 0

    def count(module: object, given: tuple[object, ...], _: object) -> None:
        nonlocal images
        images += len(given[0])  # type: ignore[arg-type]

    handle = vit.module.register_forward_hook(count)
    classes = {"target": 0, "against": 1} if "against" in METHODS[name].options else {}
    vit.attribute(pictures[0], name, **classes)
    handle.remove()
    if METHODS[name].slow:
        # Attention flow takes its time after the pass.
        assert name == "flow" or images > 3
    else:
        assert images <= 3
