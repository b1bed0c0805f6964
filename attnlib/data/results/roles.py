"""What a column of results can be, and what people call it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

from attnlib.data.columns import FILES

Role = Literal[
    "name",
    "label",
    "predicted",
    "confidence",
    "probabilities",
    "top_classes",
    "top_probabilities",
    "embedding",
    "tags",
    "corrected",
    "note",
    "quality",
    "issue",
]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

MEANING: Final[Mapping[Role, str]] = {
    "name": "the image: its file name or path",
    "label": "the label that came with the image",
    "predicted": "the class that was predicted",
    "confidence": "the probability of the predicted class, 0 to 1",
    "probabilities": "the probability of each class",
    "top_classes": "the likeliest classes, first the likeliest",
    "top_probabilities": "the probabilities of the likeliest classes",
    "embedding": "a vector of numbers that stands for the image",
    "tags": "tags that somebody gave",
    "corrected": "the class that the label should be",
    "note": "a note",
    "quality": "how likely the label is right, 0 to 1 (Cleanlab)",
    "issue": "whether the label is taken for wrong (Cleanlab)",
}

# As in a header in lower case without spaces, underscores, hyphens and dots. Of each role a few
# tiers: the names of a tier are tried only where the table has none of those before it.
NAMES: Final[Mapping[Role, tuple[tuple[str, ...], ...]]] = {
    "name": (
        (*(name for name in FILES if not name.endswith("id")), "filenames", "names", "imagepaths",
         "imagenames", "paths", "url"),
        ("imageid", "imgid", "fileid", "id", "key", "__key__", "index", "uuid"),
    ),
    "label": (
        ("label", "labels", "truelabel", "givenlabel", "groundtruth", "gt", "trueclass", "ytrue",
         "classname", "labelname", "true", "truth", "expected"),
        ("class", "category", "target", "targets", "y", "wnid", "synset", "species", "breed"),
        ("labelindex", "labelid", "labelidx", "classid", "classidx", "classindex", "trueindex",
         "categoryid", "targetid"),
    ),
    "predicted": (
        ("predicted", "prediction", "predictions", "pred", "preds", "predictedlabel",
         "predictedclass", "predlabel", "predclass", "ypred", "yhat", "guess"),
        ("output", "top1", "top1class", "top1label"),
        ("predictedindex", "predindex", "predidx", "predictedid", "predid"),
    ),
    "confidence": (
        ("confidence", "conf", "predictedprobability", "predictedconfidence", "maxprobability",
         "maxprob", "predictionsconfidence"),
        ("score", "probability", "prob", "certainty", "p"),
    ),
    "probabilities": (
        ("probabilities", "probs", "predprobs", "proba", "predproba", "predictedprobs", "softmax"),
        ("logits", "scores", "predictionslogits"),
    ),
    "top_classes": (("topclasses", "toplabels", "topk", "topkclasses", "topindex"),),
    "top_probabilities": (("topprobabilities", "topprobs", "topkprobs", "topscores",
                           "topprobability"),),
    "embedding": (("embedding", "embeddings", "features", "feature", "vector", "representation"),),
    "tags": (("tags", "tag"),),
    "corrected": (("corrected", "correctedlabel", "shouldbe", "newlabel", "cleanlabel"),),
    "note": (("note", "notes", "comment", "comments", "remark"),),
    "quality": (("quality", "labelquality", "labelscore", "labelqualityscore", "labelissuescore"),),
    "issue": (("islabelissue", "labelissue", "isissue"),),
}  # fmt: skip
# What holds lists, or several columns: never a single number or text.
VECTORS: Final[frozenset[Role]] = frozenset(
    {"probabilities", "top_classes", "top_probabilities", "embedding"}
)
NUMBERS: Final[frozenset[Role]] = frozenset({"confidence", "quality"})
