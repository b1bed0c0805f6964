"""Two models on the same images, against counting by hand and closed forms."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from attnlib import audit
from attnlib.audit import Prediction, Versus, confusion_difference, shared_classes, versus
from attnlib.evaluation.paired import mcnemar


def said(name: str, label: int | None, predicted: int, classes: int = 3) -> Prediction:
    shares = np.full(classes, 0.1, np.float32)
    shares[predicted] = 0.8
    return Prediction(name, label, shares / shares.sum(), 0.5)


def labels(name: str, true: set[int] | None, shares: list[float]) -> Prediction:
    known = None if true is None else frozenset(true)
    return Prediction(name, None, np.array(shares, np.float32), 0.5, "labels", known)


def test_every_image_is_in_the_category_of_its_two_answers() -> None:
    first = [said("a", 0, 1), said("b", 0, 0), said("c", 1, 0), said("d", 2, 2), said("e", None, 0)]
    second = [said("d", 2, 2), said("c", 1, 2), said("b", 0, 1), said("a", 0, 0), said("f", 0, 0)]
    found = versus([*first, said("g", 1, 1)], [*second, said("g", None, 1)])
    assert found.categories == {
        "a": "fixed",
        "b": "broken",
        "c": "still wrong",
        "d": "still right",
    }
    assert list(found.categories) == ["a", "b", "c", "d"], "in the order of the first model"
    assert found.unlabelled == ("g",)
    assert found.alone == ("e", "f")
    assert (found.right(False), found.right(True), found.images) == (2, 2, 4)


def test_a_set_of_labels_is_right_as_a_whole() -> None:
    first = [labels("a", {0, 1}, [0.9, 0.2, 0.1]), labels("b", {2}, [0.1, 0.1, 0.9])]
    second = [labels("a", {0, 1}, [0.9, 0.8, 0.1]), labels("b", {2}, [0.7, 0.1, 0.9])]
    assert versus(first, second).categories == {"a": "fixed", "b": "broken"}


def test_each_model_counts_by_its_own_classes() -> None:
    """The same label is class 0 of one model and class 2 of the other."""
    assert versus([said("a", 0, 1)], [said("a", 2, 2)]).categories == {"a": "fixed"}


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (5, 1), (3, 9), (12, 12), (40, 11)])
def test_mcnemar_is_the_sum_of_the_two_tails(gained: int, lost: int) -> None:
    n, least = gained + lost, min(gained, lost)
    tail = sum(Fraction(math.comb(n, k), 2**n) for k in range(least + 1))
    assert mcnemar(gained, lost) == pytest.approx(float(min(Fraction(1), 2 * tail)), rel=1e-12)
    categories = {f"f{i}": "fixed" for i in range(gained)}
    categories |= {f"b{i}": "broken" for i in range(lost)}
    categories |= {f"r{i}": "still right" for i in range(7)}
    assert Versus(categories, (), ()).p_value == mcnemar(gained, lost)  # type: ignore[arg-type]


def test_the_interval_is_that_of_the_accuracy() -> None:
    categories = {"a": "fixed", "b": "broken", "c": "still right", "d": "fixed"}
    found = Versus(categories, (), ())  # type: ignore[arg-type]
    assert found.interval(False) == audit.wilson(2, 4)
    assert found.interval(True) == audit.wilson(3, 4)


def test_classes_are_the_same_by_name_whatever_their_order() -> None:
    ours = ["tench, Tinca tinca", "Maltese dog", "cat", "yak"]
    theirs = ["CAT", "tench", "maltese_dog", "zebra"]
    assert shared_classes(ours, theirs) == {2: 0, 1: 2, 0: 1}
    assert shared_classes(["crane, bird", "crane, machine"], ["crane"]) == {}, "it could be either"
    assert shared_classes(["crane, bird", "cat"], ["crane", "cat"]) == {0: 0, 1: 1}


def test_the_difference_of_confusions_by_counting() -> None:
    ours, theirs = ["cat", "dog", "yak"], ["Dog", "zebra", "cat"]
    rng = np.random.default_rng(0)
    first, second = [], []
    counted: dict[tuple[str, str], list[int]] = {}
    for i in range(60):
        true = "cat" if rng.random() < 0.5 else "dog"
        one, two = rng.choice(["cat", "dog", "yak"]), rng.choice(["cat", "dog", "zebra"])
        first.append(said(str(i), ours.index(true), ours.index(one)))
        index = {"dog": 0, "zebra": 1, "cat": 2}
        second.append(said(str(i), index[true], index[two]))
        counted.setdefault((true, one), [0, 0])[0] += 1
        counted.setdefault((true, two), [0, 0])[1] += 1
    first.append(said("alone", 0, 0))
    found = confusion_difference(first, second, ours, theirs)
    rows = {(r.true, r.predicted): [r.first, r.second] for r in found.itertuples()}
    assert rows == counted
    assert (found["difference"] == found["second"] - found["first"]).all()
    sizes = found["difference"].abs().tolist()
    assert sizes == sorted(sizes, reverse=True)
    with pytest.raises(ValueError, match="one is true"):
        confusion_difference([labels("a", {0}, [0.9])], [], ["x"], ["x"])
