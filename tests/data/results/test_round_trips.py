"""What is handed out in each format is read again as it was, and by other readers too."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnlib.data import results
from attnlib.data.results import Results, Writer
from attnlib.data.results.groups import NO_CLASS
from attnlib.data.results.table import NUMBERS, TEXTS, empty, likeliest

# No cell begins or ends with a space: they are trimmed.
WORDS = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"), exclude_characters="|"),
    min_size=1,
    max_size=8,
).map(lambda text: unicodedata.normalize("NFC", text.strip()))
SHARES = st.integers(0, 1000).map(lambda n: n / 1000)


def word(text: str) -> bool:
    """Whether a text is one that no rule reads otherwise: not empty, no number."""
    if text in NO_CLASS:
        return False
    return bool(text) and not text[0].isdecimal() and "\\" not in text and "/" not in text


@st.composite
def made(draw: st.DrawFn) -> Results:
    """Some results, in which each thing may be missing."""
    words = WORDS.filter(word)
    names = draw(
        st.lists(words.map(lambda text: f"a/{text}.png"), min_size=2, max_size=4, unique=True)
    )
    count = len(names)
    classes = tuple(draw(st.lists(words, min_size=2, max_size=4, unique_by=str.casefold)))
    table = empty(count)
    table["name"] = names
    # Something is said of each row: an empty column would not be written.
    table["label"] = draw(st.lists(st.sampled_from(classes), min_size=count, max_size=count))
    if draw(st.booleans()):
        table["corrected"] = [draw(st.sampled_from(["", *classes])) for _ in names]
    if draw(st.booleans()):
        table["note"] = [draw(st.sampled_from(["", "=1+1", "'=x", "two\nlines", "a, b; c"]))
                         for _ in names]  # fmt: skip
    if draw(st.booleans()):
        table["quality"] = [draw(SHARES) for _ in names]
    tags = st.lists(st.sampled_from(["blurred", "odd one", "=HYPERLINK()", "Ä"]), unique=True)
    if draw(st.booleans()):
        table["tags"] = pd.Series([tuple(draw(tags)) for _ in names], dtype=object)
    probabilities = embeddings = None
    seed = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        powers = seed.random((count, len(classes))) + 1e-3
        probabilities = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
        top, shares = likeliest(probabilities, classes)
        table["predicted"] = [row[0] for row in top]
        table["confidence"] = [row[0] for row in shares]
        table["top_classes"] = pd.Series(top, dtype=object)
        table["top_probabilities"] = pd.Series(shares, dtype=object)
    elif draw(st.booleans()):
        table["predicted"] = [draw(st.sampled_from(classes)) for _ in names]
        table["confidence"] = [draw(SHARES) for _ in names]
    if draw(st.booleans()):
        embeddings = seed.standard_normal((count, 3)).astype(np.float32)
    return Results(table, classes if probabilities is not None else (), probabilities, embeddings)


def again(one: Writer, before: Results) -> Results:
    """What comes back of a file that was written."""
    raw = results.read(results.given([(one.FILE, one.write(before))]))
    return results.take(raw, results.recognise(raw))


@pytest.mark.parametrize("one", results.WRITERS, ids=lambda one: one.TITLE)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(before=made())
def test_what_is_handed_out_comes_back(one: Writer, before: Results) -> None:
    after = again(one, before)
    assert not after.problems
    for column in TEXTS:
        if column in one.HOLDS:
            assert after.table[column].tolist() == before.table[column].tolist(), column
    for column in NUMBERS:
        if column in one.HOLDS:
            np.testing.assert_array_equal(after.table[column], before.table[column])
    if "tags" in one.HOLDS:
        assert after.table["tags"].tolist() == before.table["tags"].tolist()
    if "top_classes" in one.HOLDS or before.probabilities is not None:
        assert after.table["top_classes"].tolist() == before.table["top_classes"].tolist()
        for got, wanted in zip(
            after.table["top_probabilities"], before.table["top_probabilities"], strict=True
        ):
            assert got == pytest.approx(wanted, abs=1e-7)
    if "probabilities" in one.HOLDS and before.probabilities is not None:
        assert after.classes == before.classes
        np.testing.assert_array_equal(after.probabilities, before.probabilities)
    if before.embeddings is not None:
        np.testing.assert_array_equal(after.embeddings, before.embeddings)
    else:
        assert after.embeddings is None


@pytest.fixture
def sample() -> Results:
    table = empty(2)
    table["name"] = ["cat/=1.png", "dog/2.png"]
    table["label"] = ["cat", "dog"]
    table["tags"] = pd.Series([("blurred", "odd one"), ()], dtype=object)
    probabilities = np.array([[0.75, 0.25], [0.5, 0.5]], np.float32)
    table["predicted"], table["confidence"] = ["cat", "dog"], [0.75, 0.5]
    return Results(
        table, ("cat", "dog"), probabilities, np.array([[1, 2, 3], [4, 5, 6.5]], np.float32)
    )


def written(name: str, sample: Results) -> bytes:
    return results.write(sample, name)


def test_csv_for_the_csv_module_and_for_spreadsheets(sample: Results) -> None:
    sample = sample.called(["=cmd.png", "dog/2.png"])
    rows = list(csv.DictReader(io.StringIO(written("results.csv", sample).decode(), newline="")))
    # A spreadsheet would run a cell that begins with "=".
    assert [row["filename"] for row in rows] == ["'=cmd.png", "dog/2.png"]
    assert [row["tags"] for row in rows] == ["blurred | odd one", ""]
    assert [float(row["probability_cat"]) for row in rows] == [0.75, 0.5]
    assert [float(row["embedding_2"]) for row in rows] == [3, 6.5]


def test_parquet_for_pyarrow(sample: Results) -> None:
    table = pq.read_table(io.BytesIO(written("results.parquet", sample)))
    assert table["filename"].to_pylist() == ["cat/=1.png", "dog/2.png"]
    assert table["tags"].to_pylist() == [["blurred", "odd one"], []]
    assert table["embedding"].to_pylist() == [[1, 2, 3], [4, 5, 6.5]]
    assert table["probability_dog"].to_pylist() == [0.25, 0.5]


def test_npz_for_numpy_with_cleanlabs_names(sample: Results) -> None:
    found = np.load(io.BytesIO(written("results.npz", sample)), allow_pickle=False)
    np.testing.assert_array_equal(found["pred_probs"], sample.probabilities)
    assert found["class_names"].tolist() == ["cat", "dog"]
    assert found["name"].tolist() == ["cat/=1.png", "dog/2.png"]


def test_fiftyone_and_wandb_and_imagefolder_for_json(sample: Results) -> None:
    one, two = json.loads(written("samples.json", sample))["samples"]
    assert one["filepath"] == "cat/=1.png" and one["tags"] == ["blurred", "odd one"]
    assert one["ground_truth"] == {"_cls": "Classification", "tags": [], "label": "cat"}
    assert two["predictions"]["confidence"] == 0.5 and two["embedding"] == [4, 5, 6.5]
    table = json.loads(written("results.table.json", sample))
    row: dict[str, Any] = dict(zip(table["columns"], table["data"][1], strict=True))
    assert row["filename"] == "dog/2.png" and row["probability_cat"] == 0.5
    lines = [json.loads(line) for line in written("metadata.jsonl", sample).decode().splitlines()]
    assert [line["file_name"] for line in lines] == ["cat/=1.png", "dog/2.png"]
    assert lines[0]["label"] == "cat"
