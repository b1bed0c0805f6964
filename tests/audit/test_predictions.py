"""The audit's numbers against closed forms, and its table against hostile names."""

import csv
import io
import itertools
import math
import re
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnlib import audit
from attnlib.audit import Prediction

CLASSES = 3
DOCUMENTED = audit.predictions.__doc__ or ""


def prediction(
    *probabilities: float, label: int | None = None, name: str = "a.png", entropy: float = 0.5
) -> Prediction:
    return Prediction(name, label, np.array(probabilities, dtype=np.float32), entropy)


def table(predictions: list[Prediction], names: str = "abcdefgh") -> pd.DataFrame:
    """The data frame, with one letter for each class."""
    classes = max([1, *(p.probabilities.size for p in predictions)])
    return audit.predictions(predictions, (names * classes)[:classes])


@st.composite
def collections(draw: st.DrawFn) -> list[Prediction]:
    count = draw(st.integers(0, 12))
    labels = st.none() | st.integers(0, CLASSES - 1)
    weights = st.lists(st.integers(0, 5), min_size=CLASSES, max_size=CLASSES)
    return [
        prediction(*(w / 15 for w in draw(weights)), label=draw(labels), name=f"{i}.png")
        for i in range(count)
    ]


class TestPrediction:
    def test_numbers_of_one_prediction(self) -> None:
        p = prediction(0.125, 0.625, 0.25, label=2)
        assert (p.predicted, p.confidence, p.margin) == (1, 0.625, 0.375)
        assert p.wrong
        assert p.loss == pytest.approx(math.log(4))
        assert p.top(2) == [(1, 0.625), (2, 0.25)]
        assert len(p.top(10)) == 3
        assert p.top(0) == []

    def test_unlabelled_is_neither_right_nor_wrong(self) -> None:
        p = prediction(0.5, 0.5)
        assert (p.wrong, p.outcome, p.loss) == (False, "unlabelled", None)

    def test_class_zero_is_a_label(self) -> None:
        assert prediction(0.9, 0.1, label=0).outcome == "right"
        assert prediction(0.1, 0.9, label=0).wrong

    def test_loss_is_finite_and_never_negative(self) -> None:
        impossible = prediction(1.0, 0.0, label=1).loss
        assert impossible == pytest.approx(87.336, abs=1e-3)
        for certain in (1.0, 1.00001):
            loss = prediction(certain, 0.0, label=0).loss
            assert loss == 0
            assert math.copysign(1, loss) == 1

    def test_ties_go_to_the_lower_class_everywhere(self) -> None:
        p = prediction(0.1, 0.4, 0.4)
        assert p.predicted == p.top(1)[0][0] == 1
        assert p.margin == 0
        level = prediction(*[0.0, 0.02] * 50)
        assert [i for i, _ in level.top(100)] == [*range(1, 100, 2), *range(0, 100, 2)]

    @pytest.mark.parametrize("seed", range(20))
    def test_the_top_is_the_head_of_all_sorted(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        values = rng.integers(0, 6, rng.integers(1, 30)).astype(np.float32) / 8  # many are equal
        p = prediction(*values.tolist())
        ordered = sorted(range(len(values)), key=lambda i: (-values[i], i))
        for k in (0, 1, 2, 5, len(values), 99):
            assert p.top(k) == [(i, float(values[i])) for i in ordered[:k]]

    def test_one_class_has_its_probability_as_margin(self) -> None:
        assert prediction(0.75).margin == 0.75

    @pytest.mark.parametrize("bad", [[math.nan, 0.5], [-0.1, 1.0], [1.5, 0.0], []])
    def test_what_is_no_probability_is_refused(self, bad: list[float]) -> None:
        with pytest.raises(ValueError, match="probabilities"):
            prediction(*bad)

    @pytest.mark.parametrize("label", [-1, 2])
    def test_a_label_without_a_probability_is_refused(self, label: int) -> None:
        with pytest.raises(ValueError, match="label"):
            prediction(0.5, 0.5, label=label)


class TestSummary:
    def test_counts_and_means(self) -> None:
        found = [
            prediction(0.75, 0.25, label=0),
            prediction(0.5, 0.25, label=0),
            prediction(0.875, 0.125, label=1),
            prediction(0.1, 0.9),
        ]
        summary = audit.summarise(table(found))
        assert (summary.images, summary.labelled, summary.wrong) == (4, 3, 1)
        assert summary.accuracy == pytest.approx(2 / 3)
        assert summary.confidence_right == 0.625
        assert summary.confidence_wrong == 0.875
        assert summary.accuracy_interval == audit.wilson(2, 3)

    def test_nothing_labelled_has_no_accuracy(self) -> None:
        for predictions in ([], [prediction(0.5, 0.5)]):
            summary = audit.summarise(table(predictions))
            assert summary.accuracy is None
            assert summary.accuracy_interval is None
            assert summary.confidence_right is None
            assert summary.confidence_wrong is None

    @given(st.integers(1, 10_000), st.data())
    def test_wilson_ends_solve_the_score_equation(self, trials: int, data: st.DataObject) -> None:
        successes = data.draw(st.integers(0, trials))
        low, high = audit.wilson(successes, trials)
        share = successes / trials
        assert 0 <= low <= share <= high <= 1
        for end in (low, high):
            gap = (share - end) ** 2 - 1.959964**2 * end * (1 - end) / trials
            assert gap == pytest.approx(0, abs=1e-6)

    @pytest.mark.parametrize(
        ("successes", "trials", "interval"),
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        [
            (81, 263, (0.2553, 0.3662)),
            (15, 148, (0.0624, 0.1605)),
            (0, 20, (0.0, 0.1611)),
            (1, 29, (0.0061, 0.1718)),
        ],
    )
    def test_wilson_gives_the_published_examples(
        self, successes: int, trials: int, interval: tuple[float, float]
    ) -> None:
        assert audit.wilson(successes, trials) == pytest.approx(interval, abs=5e-5)

    def test_wilson_ends_are_exact_at_none_and_all(self) -> None:
        for trials in range(1, 300):
            assert audit.wilson(0, trials)[0] == 0
            assert audit.wilson(trials, trials)[1] == 1

    @pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 2)])
    def test_wilson_refuses_what_is_no_share(self, successes: int, trials: int) -> None:
        with pytest.raises(ValueError, match="not a share"):
            audit.wilson(successes, trials)


class TestConfusion:
    @given(collections())
    def test_pairs_agree_with_a_dense_matrix(self, predictions: list[Prediction]) -> None:
        matrix = np.zeros((CLASSES, CLASSES), int)
        for p in predictions:
            if p.label is not None:
                matrix[p.label, p.predicted] += 1
        pairs = audit.confusion(table(predictions))
        assert pairs.dtypes.astype(str).tolist() == ["int64"] * 3
        assert pairs.to_numpy().tolist() == [
            [true, guess, count] for (true, guess), count in np.ndenumerate(matrix) if count
        ]
        involved = matrix.sum(0) + matrix.sum(1)
        errors = involved - 2 * matrix.diagonal()
        ranked = sorted(range(CLASSES), key=lambda c: (-errors[c], -involved[c], c))
        assert audit.confused_classes(pairs, 9) == [c for c in ranked if involved[c]]

    def test_rows_are_true_and_columns_predicted(self) -> None:
        (row,) = audit.confusion(table([prediction(0.1, 0.2, 0.7, label=0)])).to_dict("records")
        assert row == {"true": 0, "predicted": 2, "images": 1}

    def test_most_confused_classes_come_first(self) -> None:
        listed = [(0, 0, 9), (1, 1, 5), (3, 3, 5), (3, 4, 2), (4, 4, 1)]
        pairs = pd.DataFrame(listed, columns=["true", "predicted", "images"])
        assert audit.confused_classes(pairs, 10) == [3, 4, 0, 1]
        assert audit.confused_classes(pairs, 1) == [3]
        assert audit.confused_classes(pairs, 0) == []

    def test_as_many_classes_as_imagenet_21k_take_no_dense_matrix(self) -> None:
        classes = 21_841
        one = np.zeros(classes, np.float32)
        one[-1] = 1
        found = audit.predictions([Prediction("a", 7, one, 0.0)] * 3, [""] * classes)
        tracemalloc.start()
        pairs = audit.confusion(found)
        assert audit.confused_classes(pairs, 24) == [7, classes - 1]
        assert tracemalloc.get_traced_memory()[1] < 1e6
        tracemalloc.stop()


class TestOrderAndSelect:
    @pytest.mark.parametrize("by", ["confidence", "margin", "loss", "entropy"])
    @given(predictions=collections(), descending=st.booleans())
    def test_groups_then_key(
        self, by: audit.SortKey, predictions: list[Prediction], descending: bool
    ) -> None:
        ordered = audit.order(table(predictions), by, descending)
        assert sorted(ordered) == list(range(len(predictions)))
        ranks = [["wrong", "unlabelled", "right"].index(predictions[i].outcome) for i in ordered]
        assert ranks == sorted(ranks)
        for before, after in itertools.pairwise(ordered):
            a, b = predictions[before], predictions[after]
            if a.outcome == b.outcome:
                name = "attention_entropy" if by == "entropy" else by
                keys = getattr(a, name) or 0.0, getattr(b, name) or 0.0
                assert keys[0] >= keys[1] if descending else keys[0] <= keys[1]
                assert keys[0] != keys[1] or before < after

    def test_confidently_wrong_comes_first(self) -> None:
        predictions = [
            prediction(0.9, 0.1, label=0),
            prediction(0.6, 0.4, label=1),
            prediction(0.7, 0.3),
            prediction(0.8, 0.2, label=1),
        ]
        assert audit.order(table(predictions)) == [3, 1, 2, 0]
        assert audit.order(table(predictions), descending=False) == [1, 3, 2, 0]

    def test_unknown_key_or_outcome_is_refused(self) -> None:
        with pytest.raises(ValueError, match="sort key"):
            audit.order(table([]), "size")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="outcome"):
            audit.select(table([]), only="bad")  # type: ignore[arg-type]

    @given(collections(), st.sets(st.integers(0, 2)), st.sets(st.integers(0, 2)))
    def test_every_condition_holds_and_nothing_else_is_left_out(
        self, predictions: list[Prediction], true: set[int], predicted: set[int]
    ) -> None:
        expected = [
            i
            for i, p in enumerate(predictions)
            if p.label is not None and p.label in true and p.predicted in predicted and p.wrong
        ]
        assert audit.select(table(predictions), true, predicted, "wrong") == expected
        assert audit.select(table(predictions)) == list(range(len(predictions)))

    @given(collections())
    def test_outcomes_share_the_collection_out(self, predictions: list[Prediction]) -> None:
        parts = [
            *audit.select(table(predictions), only="wrong"),
            *audit.select(table(predictions), only="right"),
            *audit.select(table(predictions), only="unlabelled"),
        ]
        assert sorted(parts) == list(range(len(predictions)))


class TestNearest:
    embeddings = np.array([[1, 0], [3, 4], [0, 2], [-1, 0], [0, 0], [6, 8]], dtype=np.float32)

    def test_cosine_similarity_best_first_without_the_query(self) -> None:
        found = audit.nearest(self.embeddings, 0, range(6), 4)
        assert [i for i, _ in found] == [1, 5, 2, 4]
        assert [s for _, s in found] == pytest.approx([0.6, 0.6, 0, 0])

    def test_only_candidates_and_each_once(self) -> None:
        assert [i for i, _ in audit.nearest(self.embeddings, 1, [3, 3, 1, 5], 9)] == [5, 3]
        assert audit.nearest(self.embeddings, 1, [1], 5) == []
        assert audit.nearest(self.embeddings, 1, [2], 0) == []

    def test_length_does_not_matter_and_similarity_is_at_most_one(self) -> None:
        vectors = np.array([[0.1, 0.7], [1e-30, 7e-30], [1e30, 7e30]], dtype=np.float32)
        for _, similarity in audit.nearest(vectors, 0, [1, 2], 2):
            assert similarity == pytest.approx(1)
            assert similarity <= 1


class TestTable:
    def test_columns_and_dtypes_are_those_that_are_documented(self) -> None:
        rows = re.findall(r"(?m)^    (\w+) +(str|category|float64|Int64|int64) ", DOCUMENTED)
        for found in ([], [prediction(0.25, 0.75)], [prediction(0.25, 0.75, label=0)]):
            drawn = audit.predictions(found, ["cat", "dog"])
            assert [(name, str(kind)) for name, kind in drawn.dtypes.items()] == rows
            assert list(drawn["outcome"].cat.categories) == ["wrong", "unlabelled", "right"]
            assert drawn["outcome"].cat.ordered
            assert set(audit.HEADINGS) == set(drawn)

    def test_rows_carry_names_and_numbers(self) -> None:
        found = [prediction(0.25, 0.75, label=0, name="x.jpg"), prediction(0.75, 0.25)]
        labelled, unlabelled = audit.predictions(found, ["cat", "dog"]).to_dict("records")
        assert labelled == {
            "image": "x.jpg",
            "true_class": "cat",
            "predicted_class": "dog",
            "outcome": "wrong",
            "confidence": 0.75,
            "margin": 0.5,
            "loss": pytest.approx(math.log(4), abs=1e-6),
            "lead": 0.5,
            "probability_true": 0.25,
            "entropy": 0.5,
            "true": 0,
            "predicted": 1,
        }
        assert all(pd.isna(unlabelled[name]) for name in ("true_class", "loss", "lead", "true"))
        with pytest.raises(ValueError, match="2 classes have 1 names"):
            audit.predictions(found, ["cat"])

    def test_csv_is_read_back_as_written(self) -> None:
        found = [prediction(0.25, 0.75, name='a "b",\nc.png'), prediction(1.0, 0.0, label=0)]
        drawn = audit.predictions(found, ["cat", "dög"])
        read = list(csv.DictReader(io.StringIO(audit.to_csv(drawn), newline="")))
        assert [list(r) for r in read] == [list(drawn)] * 2
        assert read[0]["image"] == 'a "b",\nc.png'
        assert read[0]["predicted_class"] == "dög"
        assert read[0]["true_class"] == read[0]["loss"] == read[0]["true"] == ""
        assert float(read[1]["loss"]) == 0
        assert read[1]["true"] == "0"
        assert audit.to_csv([]) == audit.to_csv(drawn[:0]) == ""
        assert audit.to_csv([{"n": 1}, {"n": None}]) == 'n\r\n1\r\n""\r\n'

    @pytest.mark.parametrize("start", [*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
    def test_formulas_become_text(self, start: str) -> None:
        text = audit.to_csv([{"name": f"{start}cmd()", start: -0.5}])
        header, cells = csv.reader(io.StringIO(text, newline=""))
        assert header == ["name", f"'{start}"]
        assert cells == [f"'{start}cmd()", "-0.5"]

    def test_a_broken_file_name_can_still_be_written(self) -> None:
        assert audit.to_csv([{"name": "caf\udce9"}]).encode("utf-8") == b"name\r\ncaf?\r\n"
