"""Independent labels: outcomes by brute force, numbers by scikit-learn and PyTorch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from attnlib import audit
from attnlib.audit import Prediction

LABELS = 4
NAMES = ["cat", "dog", "fox", "owl"]


@st.composite
def images(draw: st.DrawFn) -> Prediction:
    # Few values, so that many are equal and some stand on the threshold.
    values = draw(st.lists(st.integers(0, 8), min_size=LABELS, max_size=LABELS))
    true = draw(st.none() | st.sets(st.integers(0, LABELS - 1)))
    threshold = draw(st.sampled_from([0.25, 0.5, 0.75]))
    return Prediction(
        "x",
        None,
        np.array(values, np.float32) / 8,
        0.5,
        "labels",
        None if true is None else frozenset(true),
        threshold,
    )


def made(p: list[float], true: set[int] | None, threshold: float = 0.5) -> Prediction:
    given = None if true is None else frozenset(true)
    return Prediction("x", None, np.array(p, np.float32), 0.5, "labels", given, threshold)


@settings(deadline=None)
@given(images())
def test_an_image_is_right_if_all_its_labels_are(image: Prediction) -> None:
    said = {i for i in range(LABELS) if image.probabilities[i] >= image.threshold}
    assert image.said == said
    if image.true is None:
        assert image.outcome == "unlabelled" and image.loss is None
        return
    assert image.outcome == ("right" if said == image.true else "wrong")
    assert image.missed == image.true - said and image.extra == said - image.true
    assert image.extra.isdisjoint(image.missed)


@settings(deadline=None)
@given(images())
def test_the_pair_set_side_by_side_is_the_surest_mistake(image: Prediction) -> None:
    p = image.probabilities
    if image.extra:
        assert image.predicted in image.extra
        assert p[image.predicted] == max(p[i] for i in image.extra)
    elif image.said:
        assert image.predicted in image.said
    if image.missed:
        assert image.label in image.missed
        assert p[image.label] == min(p[i] for i in image.missed)
    if image.wrong and image.label is not None and len(image.true or ()) < LABELS:
        assert image.label != image.predicted


@settings(deadline=None)
@given(images())
def test_confidence_is_of_the_surest_mistake(image: Prediction) -> None:
    sure = np.where(image.probabilities >= image.threshold, image.probabilities, 0)
    sure = np.where(image.probabilities < image.threshold, 1 - image.probabilities, sure)
    wrong = sorted(image.missed | image.extra)
    assert image.confidence == pytest.approx(sure[wrong].max() if wrong else sure.min())
    distance = np.abs(image.probabilities - image.threshold).min()
    assert image.margin == pytest.approx(distance, abs=1e-7)


@settings(deadline=None)
@given(st.lists(st.floats(-12, 12), min_size=LABELS, max_size=LABELS), st.sets(st.integers(0, 3)))
def test_loss_is_that_of_pytorch(logits: list[float], true: set[int]) -> None:
    z = torch.tensor(logits, dtype=torch.float64)
    want = torch.tensor([float(i in true) for i in range(LABELS)], dtype=torch.float64)
    expected = float(torch.nn.BCEWithLogitsLoss()(z, want))
    found = made(z.sigmoid().tolist(), true).loss
    assert found is not None and found == pytest.approx(expected, rel=2e-2, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(images(), min_size=2, max_size=30))
def test_each_label_by_itself_as_scikit_learn_has_it(found: list[Prediction]) -> None:
    labelled = [p for p in found if p.true is not None]
    table = audit.per_label(found, NAMES).set_index("index")
    for index in range(LABELS):
        has = np.array([index in (p.true or ()) for p in labelled], dtype=bool)
        said = np.array([index in p.said for p in labelled], dtype=bool)
        if not (has.any() or said.any()):
            assert index not in table.index
            continue
        row = table.loc[index]
        scores = np.array([p.probabilities[index] for p in labelled])
        assert row["label"] == NAMES[index]
        assert (row["images"], row["predicted"]) == (has.sum(), said.sum())
        assert row["right"] == (has & said).sum()
        options: dict[str, Any] = {"zero_division": np.nan}
        same(row["precision"], metrics.precision_score(has, said, **options))
        same(row["recall"], metrics.recall_score(has, said, **options))
        both = 0 < has.sum() < len(has)
        same(row["auc"], metrics.roc_auc_score(has, scores) if both else math.nan)
        if has.any():
            same(row["average_precision"], metrics.average_precision_score(has, scores))
            assert row["share"] == pytest.approx(has.mean())


def same(found: float, expected: float) -> None:
    assert found == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_the_table_names_all_labels_and_can_be_filtered() -> None:
    found = [
        made([0.9, 0.8, 0.1, 0.1], {0, 1}),
        made([0.9, 0.1, 0.6, 0.1], {0}),
        made([0.1, 0.1, 0.1, 0.1], set()),
        made([0.1, 0.1, 0.9, 0.1], None),
        made([0.1, 0.1, 0.1, 0.2], {3}),
    ]
    table = audit.predictions(found, NAMES)
    assert list(table["predicted_class"]) == ["cat | dog", "cat | fox", "", "fox", ""]
    assert list(table["true_class"].fillna("?")) == ["cat | dog", "cat", "", "?", "owl"]
    assert list(table["outcome"]) == ["right", "wrong", "right", "unlabelled", "wrong"]
    assert audit.select(table, true={0}) == [0, 1]
    assert audit.select(table, true={1, 3}) == [0, 4]
    assert audit.select(table, predicted={2}) == [1, 3]
    assert audit.select(table, predicted={0}, only="wrong") == [1]
    assert audit.summarise(table).accuracy == 0.5


def test_numbers_have_no_outcome_and_no_confidence() -> None:
    image = Prediction("x", 1, np.array([-3.0, 40.0], np.float32), 0.5, "regression")
    assert image.outcome == "unlabelled" and image.said == frozenset()
    assert math.isnan(image.confidence) and math.isnan(image.margin) and image.loss is None
    table = audit.predictions([image], ["x", "y"])
    assert list(table["predicted_class"]) == [""]
    assert audit.per_label([image], ["x", "y"]).empty
    with pytest.raises(ValueError, match="in \\[0, 1\\]"):
        Prediction("x", 1, np.array([-3.0, 40.0], np.float32), 0.5, "labels")
