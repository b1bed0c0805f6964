"""What outputs mean, by transformers' pipeline, by closed forms, and by models turned round."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest
import timm
import torch
import transformers as tr
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import attnlib
from attnlib.capture.outputs import KINDS, Kind, Outputs
from attnlib.errors import CaptureError, ModelError
from attnlib.heads.ablation import head_effects, without_heads
from attnlib.heads.decision import ABSENT, PRESENT, Decision
from attnlib.model.outputs import outputs_of

NONE = {"mean": (0.0,) * 3, "std": (1.0,) * 3, "crop_pct": 1.0}


def picture(seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (32, 48, 3), dtype=np.uint8))


def vit_module(classes: int, seed: int = 0, **options: Any) -> nn.Module:
    """A small model that is not square, with a head that says something."""
    torch.manual_seed(seed)
    module = timm.models.VisionTransformer(
        img_size=(32, 48), patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=classes
    )
    for name, parameter in module.named_parameters():
        if name.startswith("head"):
            nn.init.normal_(parameter, std=0.7)
    module.pretrained_cfg = {"input_size": (3, 32, 48), **NONE}
    return module.eval()


def vit(classes: int, outputs: Kind | None = None, **options: Any) -> attnlib.Vit:
    return attnlib.load(vit_module(classes), device="cpu", outputs=outputs, **options)


@pytest.mark.parametrize(
    ("problem", "labels", "kind"),
    [
        ("multi_label_classification", 3, "labels"),
        ("single_label_classification", 3, "classes"),
        ("regression", 2, "regression"),
        ("regression", 1, "regression"),
        (None, 3, "classes"),
        (None, 1, "binary"),
        ("multi_label_classification", 1, "binary"),
    ],
)
def test_scores_are_those_of_the_pipeline_of_transformers(
    problem: str | None, labels: int, kind: str
) -> None:
    torch.manual_seed(0)
    config = tr.ViTConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
        num_labels=labels,
        problem_type=problem,
    )
    module = tr.ViTForImageClassification(config).eval()
    nn.init.normal_(module.classifier.weight)
    processor = tr.ViTImageProcessor(size={"height": 32, "width": 32})
    made = attnlib.load(module, transform=processor, device="cpu")
    assert made.outputs.kind == kind
    record = made.inspect(picture())
    found = tr.pipeline("image-classification", model=module, image_processor=processor)(
        picture(), top_k=labels
    )
    named = {entry["label"]: entry["score"] for entry in found}
    expected = [named[f"LABEL_{i}"] for i in range(labels)]
    shown = record.probabilities[1:] if kind == "binary" else record.probabilities
    np.testing.assert_allclose(shown, expected, atol=1e-5)
    assert made.classifies is (kind != "regression")


@settings(deadline=None)
@given(st.lists(st.floats(-30, 30), min_size=1, max_size=6), st.sampled_from(KINDS))
def test_probabilities_are_what_the_kind_says(values: list[float], kind: Kind) -> None:
    outputs = Outputs(kind)
    logits = torch.tensor(values[:1] if kind == "binary" else values, dtype=torch.float64)
    p = outputs.probabilities(logits).numpy()
    z = logits.numpy()
    assert len(p) == outputs.names(len(z))
    if kind == "classes":
        np.testing.assert_allclose(p, np.exp(z) / np.exp(z).sum(), rtol=1e-9)
    elif kind == "labels":
        np.testing.assert_allclose(p, 1 / (1 + np.exp(-z)), rtol=1e-9)
    elif kind == "binary":
        np.testing.assert_allclose(p, [1 / (1 + np.exp(z[0])), 1 / (1 + np.exp(-z[0]))], rtol=1e-9)
        margins = outputs.margins(logits).numpy()
        np.testing.assert_allclose(margins[1] - margins[0], z[0])
        np.testing.assert_allclose(outputs.scores(logits).numpy(), [-z[0], z[0]])
    else:
        np.testing.assert_array_equal(p, z)


@pytest.mark.parametrize(
    ("arguments", "count", "kind"),
    [
        ({"criterion": "BCEWithLogitsLoss"}, 5, "labels"),
        ({"loss": "bce"}, 5, "labels"),
        ({"loss_fn": "binary_cross_entropy"}, 1, "binary"),
        ({"criterion": nn.BCEWithLogitsLoss()}, 4, "labels"),
        ({"loss": "nn.CrossEntropyLoss()"}, 5, "classes"),
        ({"loss": "LabelSmoothingCrossEntropy"}, 5, "classes"),
        ({"loss": "MSELoss"}, 1, "regression"),
        ({"loss": "smooth_l1"}, 2, "regression"),
        ({"problem_type": "multi_label_classification"}, 5, "labels"),
        ({"task": "Multi-label"}, 5, "labels"),
        ({"task": "binary"}, 2, "classes"),
        ({"multilabel": True}, 5, "labels"),
        ({"multilabel": False}, 5, "classes"),
        ({"bce_loss": True}, 1000, "classes"),
        ({"loss": 0.31}, 1, "binary"),
        ({"loss._target_": "torch.nn.BCEWithLogitsLoss"}, 5, "labels"),
        ({"train.criterion.class_path": "torch.nn.MSELoss"}, 5, "regression"),
        ({"model.name": "bce", "optimizer.name": "mse"}, 5, "classes"),
        ({"task": "multilabel_classification"}, 5, "labels"),
        ({}, 1, "binary"),
        ({}, 2, "classes"),
    ],
)
def test_the_kind_is_read_from_what_the_training_says(
    arguments: dict[str, Any], count: int, kind: str
) -> None:
    found = outputs_of(nn.Identity(), arguments, count, None)
    assert found.kind == kind and found.source
    if arguments.get("bce_loss"):
        assert "bce_loss" in found.question
    assert outputs_of(nn.Identity(), arguments, 3, "labels").source == "said by you"


def test_what_is_said_wins_and_must_fit() -> None:
    assert vit(3, "labels").outputs.kind == "labels"
    with pytest.raises(ModelError, match=r"3 outputs.*binary"):
        vit(3, "binary")
    with pytest.raises(ModelError, match="always 100 %"):
        vit(1, "classes")
    with pytest.raises(ModelError, match="outputs must be one of classes, labels"):
        vit(3, "softmax")  # type: ignore[arg-type]


class Pooled(nn.Module):
    """A backbone in a wrapper that says nothing of itself."""

    def __init__(self, backbone: nn.Module, classes: int = 0) -> None:
        super().__init__()
        self.backbone = backbone
        self.fc = nn.Linear(32, classes) if classes else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.backbone(x))


@pytest.mark.parametrize("pool", ["token", "avg"])
def test_features_are_known_behind_a_wrapper(pool: str) -> None:
    backbone = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=0,
        global_pool=pool,
    )  # fmt: skip
    plain = attnlib.load(Pooled(backbone), device="cpu", transform=lambda im: torch.rand(3, 32, 32))
    assert plain.outputs.kind == "features" and not plain.classifies
    headed = attnlib.load(
        Pooled(backbone, 4), device="cpu", transform=lambda im: torch.rand(3, 32, 32)
    )
    assert headed.outputs.kind == "classes"


def test_the_maps_of_one_logit_are_those_of_each_side() -> None:
    """Class 1 is the logit itself; class 0 is that of the model with its head turned round."""
    module = vit_module(1)
    turned = copy.deepcopy(module)
    with torch.no_grad():
        turned.head.weight.neg_()
        turned.head.bias.neg_()
    one = attnlib.load(module, device="cpu")
    assert one.outputs.kind == "binary" and len(one.class_names) == 2
    alone = attnlib.load(module, device="cpu", outputs="labels")
    opposite = attnlib.load(turned, device="cpu", outputs="labels")
    for method in ("relevance", "gradcam", "input_gradient"):
        if method not in attnlib.methods():
            continue
        for target, reference in ((1, alone), (0, opposite)):
            np.testing.assert_array_equal(
                one.attribute(picture(), method, target).values,
                reference.attribute(picture(), method, 0).values,
            )
    probability = one.attribute(picture(), "occlusion", 1).values
    np.testing.assert_allclose(
        probability, -one.attribute(picture(), "occlusion", 0).values, atol=1e-6
    )


def test_occlusion_follows_the_sigmoid_of_a_label() -> None:
    made = vit(3, "labels")
    pixels, found = made.pixels(picture()), made.attribute(picture(), "occlusion", 2)
    gone = pixels.clone()
    gone[:, :, 8:16, 40:48] = 0
    with torch.inference_mode():
        before, after = (made.module(x)[0, 2].double().sigmoid() for x in (pixels, gone))
    assert found.unit == "drop in probability"
    assert found.values[1, 5] == pytest.approx(float(before - after), abs=1e-6)


def test_a_regression_is_followed_by_its_output() -> None:
    made = vit(2, "regression")
    pixels, found = made.pixels(picture()), made.attribute(picture(), "occlusion", 1)
    gone = pixels.clone()
    gone[:, :, :8, :8] = 0
    with torch.inference_mode():
        before, after = (made.module(x)[0, 1] for x in (pixels, gone))
    assert found.unit == "drop in output"
    assert found.values[0, 0] == pytest.approx(float(before - after), abs=1e-5)
    with pytest.raises(CaptureError, match="no prediction that a head could turn"):
        head_effects(made, pixels)


@pytest.mark.parametrize("threshold", [0.5, 0.2])
def test_heads_turn_the_decision_about_one_label(threshold: float) -> None:
    made = vit(3, "labels")
    pixels = made.pixels(picture(3))
    decision = Decision(PRESENT, 1, threshold)
    found = head_effects(made, pixels, decision=decision)
    with torch.inference_mode():
        z = float(made.module(pixels)[0, 1])
    bar = np.log(threshold / (1 - threshold))
    assert found.predicted == (PRESENT if z > bar else ABSENT)
    assert found.margin == pytest.approx(abs(z - bar), abs=1e-5)
    sign = 1 if found.predicted == PRESENT else -1
    for layer, head in [(0, 1), (1, 0)]:
        without = float(without_heads(made, pixels, [(layer, head)])[0, 1])
        assert found.change[layer, head] == pytest.approx(sign * (without - z), abs=1e-4)
        assert found.now[layer, head] == (PRESENT if without > bar else ABSENT)


def test_heads_turn_one_logit() -> None:
    made = vit(1)
    pixels = made.pixels(picture(3))
    found = head_effects(made, pixels)
    with torch.inference_mode():
        z = float(made.module(pixels)[0, 0])
    assert (found.predicted, found.against) == ((1, 0) if z > 0 else (0, 1))
    assert found.margin == pytest.approx(abs(z), abs=1e-5)


def test_a_notebook_shows_numbers_of_a_model_without_classes() -> None:
    page = vit(2, "regression").inspect(picture())._repr_html_()
    assert "regression" in page and "%" not in page and "Predicted" not in page


def test_the_names_of_one_logit() -> None:
    assert vit(1).class_names == ("class 0", "class 1")
    assert vit(1, class_names=["no", "yes"]).class_names == ("no", "yes")
    assert vit(1, class_names=["defect"]).class_names == ("not defect", "defect")
    module = vit_module(1)
    module.pretrained_cfg = {**module.pretrained_cfg, "label_names": ["defect"]}
    assert attnlib.load(module, device="cpu").class_names == ("not defect", "defect")
    with pytest.raises(attnlib.LabelError, match="3 class names"):
        vit(1, class_names=["a", "b", "c"])
    assert vit(2, "regression").class_names == ("output 0", "output 1")


@pytest.mark.parametrize("kept", ["object", "pos_weight", "hydra"])
def test_the_loss_is_found_in_a_checkpoint_however_it_is_kept(kept: str) -> None:
    module = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=1, num_classes=3)
    state = dict(module.state_dict())
    settings: dict[str, Any] = {"lr": 0.1}
    if kept == "object":
        settings["criterion"] = nn.BCEWithLogitsLoss()
    elif kept == "hydra":
        settings["loss"] = {"_target_": "torch.nn.BCEWithLogitsLoss"}
    else:
        state["criterion.pos_weight"] = torch.ones(3)
    out = io.BytesIO()
    torch.save({"state_dict": state, "hyper_parameters": settings}, out)
    made = attnlib.load(
        "vit_tiny_patch16_224",
        checkpoint=out.getvalue(),
        img_size=32,
        model_args={"depth": 1},
        device="cpu",
    )
    assert made.outputs.kind == "labels" and "BCEWithLogitsLoss" in made.outputs.source
