"""Columns are proposed with a reason, what is doubtful is asked, and numbers are checked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from attnlib.data import results
from attnlib.data.results import NotShares, Raw, Recognised, Results
from attnlib.errors import LabelError


def raw(**columns: object) -> Raw:
    return Raw(pd.DataFrame(columns), "a table")


def take(table: Raw, classes: tuple[str, ...] = (), **options: bool) -> Results:
    return results.take(table, results.recognise(table, classes), classes, **options)


def chosen(found: Recognised) -> dict[str, str]:
    return {role: one.title for role, one in found.chosen.items()}


def test_two_columns_that_could_be_one_thing_are_asked() -> None:
    found = results.recognise(
        raw(filename=["a"], label=["cat"], ground_truth=["dog"], predicted=["cat"])
    )
    assert chosen(found) == {"name": "filename", "predicted": "predicted"}
    assert "“label”, “ground_truth” could be the label" in found.asked["label"]
    table = raw(filename=["a"], label=["cat"], ground_truth=["dog"], predicted=["cat"])
    with pytest.raises(LabelError, match="Choose one"):
        results.take(table, found)
    option = found.named("label", "ground_truth")
    assert results.take(table, found.choose("label", option)).table["label"].tolist() == ["dog"]
    assert results.take(table, found.choose("label", None)).table["label"].tolist() == [""]


def test_a_label_beside_a_confidence_alone_is_asked() -> None:
    found = results.recognise(raw(file=["a"], label=["cat"], score=[0.4]))
    assert set(found.asked) == {"label", "predicted"} and "label" not in found.chosen


def test_of_several_names_the_one_that_names_images_here_is_taken() -> None:
    table = raw(path=["x/1.png", "x/2.png"], filename=["q", "r"], label=["cat", "dog"])
    assert "name" in results.recognise(table).asked
    found = results.recognise(table, names=["1.png", "2.png", "3.png"])
    assert found.chosen["name"].columns == ("path",)
    assert "2 of 2 rows name an image" in found.chosen["name"].why
    # Each of them names one: nothing decides.
    assert "name" in results.recognise(table, names=["1.png", "q.png"]).asked


def test_columns_of_one_of_two_kinds_are_asked() -> None:
    found = results.recognise(
        raw(file=["a"], prob_cat=[0.5], prob_dog=[0.5], logit_cat=[2.0], logit_dog=[2.0])
    )
    assert "probabilities" in found.asked and len(found.options["probabilities"]) == 2


def test_logits_are_refused_unless_somebody_says_so() -> None:
    values = np.array([[2.0, -1.0, 0.5], [0.1, 0.2, 5.0]])
    table = raw(file=["a", "b"], logits=list(values))
    with pytest.raises(NotShares, match="If they are logits"):
        take(table, ("cat", "dog", "horse"))
    found = take(table, ("cat", "dog", "horse"), softmax=True)
    np.testing.assert_allclose(found.probabilities, softmax(values, axis=1), atol=1e-7)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[0.5, 0.2], [0.5, 0.5]], "1 of 2 rows sum to something else"),
        ([[0.5, 0.5], [float("nan"), 0.5]], "1 of 2 rows are not finite"),
        ([[0.5, 0.5], [1.2, -0.2]], "no probabilities"),
        ([[0.5, 0.5], [0.2, 0.3, 0.5]], "as many numbers"),
    ],
)
def test_probabilities_are_checked(rows: list[list[float]], words: str) -> None:
    with pytest.raises(LabelError, match=words):
        take(raw(file=["a", "b"], probs=rows), ("cat", "dog"))


def test_rounded_probabilities_of_many_classes_pass() -> None:
    shares = np.random.default_rng(0).dirichlet(np.ones(1000), 3).round(4)
    names = tuple(f"class {i}" for i in range(1000))
    assert take(raw(file=list("abc"), probs=list(shares)), names).probabilities is not None


def test_classes_that_nothing_names_are_refused() -> None:
    with pytest.raises(LabelError, match="nothing says which is which"):
        take(raw(file=["a"], probs=[[0.5, 0.5]]), ("cat", "dog", "horse"))


def test_numbered_columns_are_indices_in_their_order() -> None:
    table = raw(**{"file": ["a"], "prob_1": [0.9], "prob_0": [0.1]})
    found = take(table, ("cat", "dog"))
    assert found.classes == ("cat", "dog") and found.table["predicted"].tolist() == ["dog"]
    with pytest.raises(LabelError, match="should be 0 to 1"):
        take(raw(**{"file": ["a"], "prob_1": [0.9], "prob_2": [0.1]}), ("cat", "dog"))


def test_a_prediction_that_contradicts_its_probabilities_is_said() -> None:
    found = take(
        raw(file=list("ab"), pred=["dog", "dog"], prob_cat=[0.9, 0.2], prob_dog=[0.1, 0.8])
    )
    assert any("1 of 2 rows the largest probability is not" in one for one in found.problems)
    assert found.table["predicted"].tolist() == ["dog", "dog"]


def test_percents_are_refused() -> None:
    with pytest.raises(LabelError, match="divide percents by 100"):
        take(raw(file=list("ab"), pred=["dog", "dog"], confidence=[97.5, 55.0]))


def test_an_image_in_several_rows_that_differ_is_not_used() -> None:
    found = take(raw(file=["a", "a", "b", "c", "c"], pred=["dog", "cat", "dog", "cat", "cat"]))
    assert found.table["name"].tolist() == ["b", "c"]
    assert any("1 image stands in several rows that differ, a" in one for one in found.problems)


def test_numbers_as_classes_are_said_to_be_indices() -> None:
    found = take(raw(file=list("ab"), pred=[1.0, 0.0]), ("cat", "dog"))
    assert found.table["predicted"].tolist() == ["dog", "cat"]
    assert "read as indices of classes from 0: 0 is cat" in found.problems[0]


def test_a_file_that_says_nothing_is_refused() -> None:
    with pytest.raises(LabelError, match="No column says anything"):
        take(raw(file=["a"], width=[3]))


def test_a_class_may_be_called_true_where_it_is_known() -> None:
    both = {"probability_true": [0.9, 0.2], "probability_fake": [0.1, 0.8]}
    found = take(raw(file=["a", "b"], label=["true", "fake"], **both))
    assert found.table["predicted"].tolist() == ["true", "fake"]
    # As an audit's own column it is no class.
    more = {**both, "probability_real": [0.9, 0.2]}
    del more["probability_fake"]
    found_columns = results.recognise(raw(file=["a", "b"], predicted=["real", "fake"], **more))
    assert "probabilities" not in found_columns.chosen
