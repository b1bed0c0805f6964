"""Each format, from files written by hand after its documentation."""

from __future__ import annotations

import base64
import io
import json
import zipfile
import zlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attnlib.data import results
from attnlib.data.results import Results, files
from attnlib.errors import LabelError

Given = dict[str, bytes]


def read(given: Given, classes: tuple[str, ...] = (), **options: Any) -> Results:
    raw = results.read(results.given(given.items()))
    return results.take(raw, results.recognise(raw, classes), classes, **options)


def said(found: Results, *columns: str) -> list[tuple[Any, ...]]:
    return list(found.table[list(columns)].itertuples(index=False, name=None))


def npy(values: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, values, **options)
    return out.getvalue()


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_csv_with_a_column_for_each_class() -> None:
    text = "file_name,prob_cat,prob_dog,gt\na.png,0.9,0.1,dog\n./b.png,0.25,0.75,dog\n"
    found = read({"p.csv": text.encode()})
    assert said(found, "name", "label", "predicted") == [
        ("a.png", "dog", "cat"),
        ("b.png", "dog", "dog"),
    ]
    assert found.classes == ("cat", "dog")
    np.testing.assert_allclose(found.table["confidence"], [0.9, 0.75], atol=1e-7)


def test_semicolons_and_decimal_columns_called_like_classes() -> None:
    text = "image;cat;dog;horse\na;0.1;0.2;0.7\nb;0.5;0.3;0.2\n"
    found = read({"p.csv": text.encode()}, ("horse", "cat", "dog"))
    assert found.classes == ("cat", "dog", "horse")
    assert found.table["predicted"].tolist() == ["horse", "cat"]


def test_columns_of_the_likeliest_classes() -> None:
    text = (
        "filename,top1_class,top1_prob,top2_class,top2_prob\n"
        "a.png,cat,0.6,dog,0.3\nb.png,dog,0.8,cat,0.1\n"
    )
    found = read({"p.csv": text.encode()})
    assert said(found, "predicted", "confidence") == [("cat", 0.6), ("dog", 0.8)]
    assert found.table["top_classes"].tolist() == [("cat", "dog"), ("dog", "cat")]
    assert found.table["top_probabilities"].tolist() == [(0.6, 0.3), (0.8, 0.1)]


def test_cleanlabs_issue_table() -> None:
    # As CleanLearning.get_label_issues gives it, with the file names put in front.
    text = (
        "path,is_label_issue,label_quality,given_label,predicted_label\n"
        "a.png,True,0.03,cat,dog\nb.png,False,0.98,dog,dog\n"
    )
    found = read({"issues.csv": text.encode()})
    assert said(found, "name", "label", "predicted", "quality", "tags") == [
        ("a.png", "cat", "dog", 0.03, ("label issue",)),
        ("b.png", "dog", "dog", 0.98, ()),
    ]


def test_cleanlabs_arrays_name_no_image() -> None:
    shares = np.array([[0.8, 0.2], [0.3, 0.7]])
    found = read(
        {"pred_probs.npy": npy(shares), "labels.npy": npy(np.array([0, 0]))}, ("cat", "dog")
    )
    assert not found.named
    assert said(found, "label", "predicted") == [("cat", "cat"), ("cat", "dog")]
    assert any("indices of classes from 0: 0 is cat" in one for one in found.problems)


def test_parquet_of_hugging_face_with_names_in_the_schema() -> None:
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    image = pa.array(
        [{"bytes": b"x", "path": "a.png"}, {"bytes": b"y", "path": "b.png"}],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    table = pa.table({"image": image, "label": [1, -1], "prediction": ["dog", "cat"]})
    table = table.replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    out = io.BytesIO()
    pq.write_table(table, out)
    found = read({"p.parquet": out.getvalue()})
    assert said(found, "name", "label", "predicted") == [
        ("a.png", "dog", "dog"),
        ("b.png", "", "cat"),
    ]


def on_disk(folder: str = "") -> Given:
    """As ``Dataset.save_to_disk`` of datasets 5.2 lays it out."""
    schema = pa.schema(
        [("image_path", pa.string()), ("label", pa.int64()), ("probs", pa.list_(pa.float32()))]
    )
    out = io.BytesIO()
    with pa.ipc.new_stream(out, schema) as writer:
        rows = {"image_path": ["a.png", "b.png"], "label": [0, 1], "probs": [[0.9, 0.1]] * 2}
        writer.write_table(pa.table(rows, schema))
    features = {
        "image_path": {"dtype": "string", "_type": "Value"},
        "label": {"names": ["cat", "dog"], "_type": "ClassLabel"},
        "probs": {"feature": {"dtype": "float32", "_type": "Value"}, "_type": "List"},
    }
    name = "data-00000-of-00001.arrow"
    return {
        f"{folder}{name}": out.getvalue(),
        f"{folder}dataset_info.json": as_json({"features": features}),
        f"{folder}state.json": as_json({"_data_files": [{"filename": name}], "_split": None}),
        f"{folder}cache-1234.arrow": b"a cache that is no data",
    }


def test_a_data_set_of_hugging_face_on_disk() -> None:
    found = read(on_disk(), ("cat", "dog"))
    assert said(found, "name", "label", "predicted") == [
        ("a.png", "cat", "cat"),
        ("b.png", "dog", "cat"),
    ]
    with pytest.raises(LabelError, match="several splits"):
        read({**on_disk("train/"), **on_disk("test/")}, ("cat", "dog"))


def test_a_data_set_of_fiftyone() -> None:
    def stored(values: Any) -> Any:
        return base64.b64encode(zlib.compress(npy(values))).decode()

    def one(name: str, truth: str, said: str, share: float, vector: Any) -> dict[str, Any]:
        return {
            "_id": {"$oid": "0"},
            "filepath": f"data/{name}",
            "tags": ["validation"],
            "metadata": {"_cls": "ImageMetadata", "width": 3},
            "weather": {"_cls": "Classification", "label": truth},
            "resnet": {"_cls": "Classification", "label": said, "confidence": share},
            "embedding": vector,
        }

    samples = [
        one("a.png", "cat", "dog", 0.7, {"$binary": {"base64": stored(np.array([1.0, 2.0]))}}),
        one("b.png", "dog", "dog", 0.8, {"$binary": {"base64": stored(np.array([3.0, 4.0]))}}),
    ]
    found = read({"samples.json": as_json({"samples": samples})})
    assert said(found, "name", "label", "predicted", "confidence", "tags") == [
        ("data/a.png", "cat", "dog", 0.7, ("validation",)),
        ("data/b.png", "dog", "dog", 0.8, ("validation",)),
    ]
    assert found.embeddings is not None and found.embeddings.tolist() == [[1, 2], [3, 4]]


def test_labels_of_fiftyone() -> None:
    labels = {"classes": ["cat", "dog"], "labels": {"a": 1, "b": 0, "c": [0, 1]}}
    found = read({"labels.json": as_json(labels)})
    assert said(found, "name", "label") == [("a", "dog"), ("b", "cat")]
    assert "1 images have several labels" in found.problems[0]


def test_a_table_of_wandb() -> None:
    table = {
        "columns": ["image", "truth", "guess", "score_cat", "score_dog"],
        "data": [
            [{"_type": "image-file", "path": "media/images/a.png"}, "cat", "dog", 0.2, 0.8],
            [{"_type": "image-file", "path": "media/images/b.png"}, "dog", "dog", 0.4, 0.6],
        ],
        "ncols": 5,
        "nrows": 2,
    }
    found = read({"predictions.table.json": as_json(table)})
    assert said(found, "name", "label", "predicted") == [
        ("media/images/a.png", "cat", "dog"),
        ("media/images/b.png", "dog", "dog"),
    ]
    assert found.classes == ("cat", "dog")


def test_an_imagefolders_metadata_in_each_folder() -> None:
    given = {
        "cat/metadata.csv": b"file_name,label\na.png,cat\n",
        "dog/metadata.jsonl": as_json({"file_name": "b.png", "label": "dog"}),
    }
    assert said(read(given), "name", "label") == [("cat/a.png", "cat"), ("dog/b.png", "dog")]


def test_coco_annotations_with_results() -> None:
    truth = {
        "images": [{"id": i, "file_name": f"{i}.jpg"} for i in (1, 2, 3)],
        "categories": [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}],
        "annotations": [
            {"image_id": 1, "category_id": 17},
            {"image_id": 1, "category_id": 17},
            {"image_id": 2, "category_id": 17},
            {"image_id": 2, "category_id": 18},
        ],
    }
    scored = [
        {"image_id": 1, "category_id": 18, "score": 0.3},
        {"image_id": 1, "category_id": 17, "score": 0.6},
        {"image_id": 3, "category_id": 18, "score": 0.9},
    ]
    found = read({"instances.json": as_json(truth), "results.json": as_json(scored)})
    table = found.table.fillna({"confidence": -1})
    rows = table[["name", "label", "predicted", "confidence"]].itertuples(index=False, name=None)
    assert list(rows) == [
        ("1.jpg", "cat", "cat", 0.6),
        ("2.jpg", "", "", -1),
        ("3.jpg", "", "dog", 0.9),
    ]
    assert "several categories" in found.problems[0]


def test_folders_of_images_in_a_zip() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("val/cat/a.jpg", "val/dog/b.jpg", "val/.hidden.jpg", "../evil.jpg"):
            archive.writestr(name, b"")
    found = read({"set.zip": out.getvalue()})
    assert said(found, "name", "label") == [("val/cat/a.jpg", "cat"), ("val/dog/b.jpg", "dog")]


def pickled() -> bytes:
    return npy(np.array([{"a": 1}], dtype=object), allow_pickle=True)


def claiming(shape: str) -> bytes:
    """An array file whose header says more than there is."""
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + b"\0" * 64


def bomb() -> bytes:
    return base64.b64encode(zlib.compress(b"\0" * 2**26))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"a.npy": pickled()}, "can run code"),
        ({"a.npy": claiming("(9000000000, 9000000000)")}, "shorter than its header"),
        ({"a.npy": b"\x93NUMPY\x01\x00"}, "is no array"),
        ({"a.npz": b"PK\x03\x04 no zip"}, "is no .npz"),
        ({"a.zip": b"no zip"}, "zip cannot be read"),
        ({"a.parquet": b"PAR1 no Parquet"}, "is no Parquet"),
        ({"a.arrow": b"no Arrow"}, "is no Arrow"),
        ({"a.csv": b"\x00\x01\x02"}, "is no text"),
        ({"a.csv": b"file,label\n"}, "no rows"),
        ({"a.csv": b"file,label,label\na,b,c\n"}, "several columns called 'label'"),
        ({"a.table.json": b"[" * 100_000}, "is no JSON"),
        ({"a.table.json": b'{"columns": ["a"], "data": [[1, 2]]}'}, "not as long"),
        ({"samples.json": b'{"samples": [1, null]}'}, "no sample"),
        (
            {"samples.json": b'{"samples": [{"filepath": "a", "v": {"$binary": "%s"}}]}' % bomb()},
            "unpacks to more",
        ),
        ({"a.json": b'{"what": 1}'}, "of no kind that is known"),
        ({"a.jsonl": b'{"file_name": "a"}\nno\n'}, "Line 2"),
        ({"a.xyz": b"1"}, "no results of a known kind"),
    ],
)
def test_what_is_broken_or_hostile_is_refused_in_words(given: Given, words: str) -> None:
    with pytest.raises(LabelError, match=words):
        read(given)


def test_a_file_above_the_limit_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    with pytest.raises(LabelError, match="the limit"):
        read({"a.csv": b"file,label\na,cat\n"})
