"""Folders and hub ids of transformers, against the model that was saved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import transformers as tr
from PIL import Image
from torch import nn

import attnlib
from attnlib.errors import AttnlibError, ModelError
from attnlib.model import network
from benchmarks.checkpoints.libraries import FOLDERS, SIZES, SQUARE

PLAIN = tr.ViTImageProcessor(size=SQUARE, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.3, 0.4])


def picture() -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (80, 100, 3), dtype=np.uint8))


def filled(module: nn.Module) -> nn.Module:
    """With numbers in every weight, so that none that is lost goes unseen."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, mean=float(parameter.detach().mean()), std=0.1)
    return module.eval()


def saved(folder: Path, kind: str, labels: dict[int, str] | None = None) -> nn.Module:
    """A model of that kind with three classes, saved as its training would."""
    model, config, _ = FOLDERS[kind]
    config = type(config)(**{**config.to_dict(), "num_labels": 3})
    config.id2label = labels or {0: "cat", 1: "dog", 2: "fox"}
    module = filled(model(config))
    module.save_pretrained(folder)
    PLAIN.save_pretrained(folder)
    return module


def logits(module: nn.Module, pixels: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        out: np.ndarray = module(pixel_values=pixels).logits[0].numpy()
    return out


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_is_the_model_that_was_saved(kind: str, tmp_path: Path) -> None:
    module = saved(tmp_path, kind)
    vit = attnlib.load(str(tmp_path), device="cpu")
    record = vit.inspect(picture())
    pixels = PLAIN(images=picture(), return_tensors="pt")["pixel_values"]
    np.testing.assert_allclose(vit.pixels(picture()).numpy(), pixels.numpy(), atol=1e-6)
    np.testing.assert_allclose(record.logits, logits(module, pixels), atol=1e-5)
    assert vit.class_names == ("cat", "dog", "fox")
    assert vit.layout.query == FOLDERS[kind][2] or kind.startswith("Swin")
    assert vit.mean == (0.4, 0.5, 0.6) and not vit.notes


def test_names_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    config = tr.ViTConfig(**SIZES, num_labels=12)
    filled(tr.ViTForImageClassification(config)).save_pretrained(tmp_path)
    PLAIN.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    written["id2label"] = {str(i): f"c{i}" for i in sorted(range(12), key=str)}
    written["label2id"] = {f"c{i}": i for i in range(12)}
    (tmp_path / "config.json").write_text(json.dumps(written))
    vit = attnlib.load(str(tmp_path), device="cpu")
    assert vit.class_names == tuple(f"c{i}" for i in range(12))


def test_weights_in_shards_and_in_half_precision(tmp_path: Path) -> None:
    module = saved(tmp_path, "ViT")
    half = module.to(torch.bfloat16)
    (tmp_path / "model.safetensors").unlink()
    half.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    vit = attnlib.load(str(tmp_path), device="cpu")
    pixels = vit.pixels(picture())
    assert pixels.dtype == torch.float32
    found = vit.inspect(picture()).logits
    np.testing.assert_allclose(found, logits(half.float(), pixels), atol=1e-5)


def test_a_model_without_classifier_gives_features(tmp_path: Path) -> None:
    module = filled(tr.ViTModel(tr.ViTConfig(**SIZES), add_pooling_layer=False))
    module.save_pretrained(tmp_path)
    PLAIN.save_pretrained(tmp_path)
    vit = attnlib.load(str(tmp_path), device="cpu")
    assert vit.outputs.kind == "features" and "no classifier" in " ".join(vit.notes)
    with torch.inference_mode():
        expected = module(vit.pixels(picture())).last_hidden_state[0, 0].numpy()
    np.testing.assert_allclose(vit.inspect(picture()).logits, expected, atol=1e-5)


def test_a_kind_that_has_no_classifier_gives_pooled_features(tmp_path: Path) -> None:
    module = filled(tr.DINOv3ViTModel(tr.DINOv3ViTConfig(**SIZES, num_register_tokens=2)))
    module.save_pretrained(tmp_path)
    vit = attnlib.load(str(tmp_path), device="cpu")
    assert vit.outputs.kind == "features" and vit.layout.prefix == ("cls", "reg1", "reg2")
    assert any("by default" in note for note in vit.notes)
    with torch.inference_mode():
        expected = module(vit.pixels(picture())).pooler_output[0].numpy()
    np.testing.assert_allclose(vit.inspect(picture()).logits, expected, atol=1e-5)


@pytest.mark.parametrize("prefix", ["", "local-dir:"])
def test_a_folder_of_timm(prefix: str, tmp_path: Path) -> None:
    module = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2, num_classes=3)
    filled(module)
    cfg = {**module.pretrained_cfg, "label_names": ["cat", "dog", "fox"], "mean": (0.1, 0.2, 0.3)}
    cfg["num_classes"] = 3
    module.pretrained_cfg = cfg
    timm.models.save_for_hf(
        module, str(tmp_path), model_config=cfg, model_args={"img_size": 64, "depth": 2}
    )
    vit = attnlib.load(prefix + str(tmp_path), device="cpu")
    with torch.inference_mode():
        expected = module(vit.pixels(picture()))[0].numpy()
    np.testing.assert_allclose(vit.inspect(picture()).logits, expected, atol=1e-5)
    assert vit.class_names == ("cat", "dog", "fox") and vit.mean == (0.1, 0.2, 0.3)


def test_an_adapter_is_merged(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    config = tr.ViTConfig(**SIZES)
    base = filled(tr.ViTModel(config, add_pooling_layer=False))
    base.save_pretrained(tmp_path / "base")
    PLAIN.save_pretrained(tmp_path / "base")
    module = tr.ViTForImageClassification.from_pretrained(tmp_path / "base", num_labels=3)
    lora = peft.LoraConfig(
        r=4, lora_alpha=8, target_modules="all-linear", modules_to_save=["classifier"]
    )
    adapted = peft.get_peft_model(module, lora)
    filled(adapted)
    adapted.save_pretrained(tmp_path / "adapter")
    # Training goes on in the base too, so what the adapter belongs to is what was saved.
    clean = tr.ViTForImageClassification.from_pretrained(tmp_path / "base", num_labels=3)
    with torch.inference_mode():
        plain = clean.eval()(PLAIN(picture(), return_tensors="pt").pixel_values).logits[0].numpy()
    expected = peft.PeftModel.from_pretrained(clean, tmp_path / "adapter").eval()
    PLAIN.save_pretrained(tmp_path / "adapter")
    vit = attnlib.load(str(tmp_path / "adapter"), device="cpu")
    with torch.inference_mode():
        reference = expected(pixel_values=vit.pixels(picture())).logits[0].numpy()
    found = vit.inspect(picture()).logits
    np.testing.assert_allclose(found, reference, atol=1e-4)
    assert np.abs(found - plain).max() > 0.01
    assert "merged" in vit.notes[0]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(network, "online", lambda: False)
    return tmp_path / "hub"


def cached(cache: Path, made: Path, repo: str = "org/tuned") -> None:
    commit = "a" * 40
    folder = cache / f"models--{repo.replace('/', '--')}"
    shutil.copytree(made, folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)


@pytest.mark.parametrize("source", ["org/tuned", "hf-hub:org/tuned", "hf-hub:org/tuned@main"])
def test_a_hub_id_in_the_cache_needs_no_network(source: str, cache: Path, tmp_path: Path) -> None:
    module = saved(tmp_path / "made", "ViT")
    cached(cache, tmp_path / "made")
    vit = attnlib.load(source, device="cpu")
    found = vit.inspect(picture()).logits
    np.testing.assert_allclose(found, logits(module, vit.pixels(picture())), atol=1e-5)
    assert vit.name == "org/tuned"


def test_what_cannot_be_had_is_said(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no network"):
        attnlib.load("org/nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"no config\.json"):
        attnlib.load(str(tmp_path / "empty"))
    module = saved(tmp_path / "cut", "ViT")
    state = {k: v for k, v in module.state_dict().items() if "layernorm_before" not in k}
    module.save_pretrained(tmp_path / "cut", state_dict=state)
    with pytest.raises(ModelError, match="no weights for"):
        attnlib.load(str(tmp_path / "cut"))
    (tmp_path / "cut" / "model.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(ModelError, match="transformers cannot open"):
        attnlib.load(str(tmp_path / "cut"))
    (tmp_path / "cut" / "config.json").write_text("{")
    with pytest.raises(ModelError, match="not readable JSON"):
        attnlib.load(str(tmp_path / "cut"))


def test_code_in_a_repository_is_never_run(tmp_path: Path) -> None:
    saved(tmp_path, "ViT")
    config = json.loads((tmp_path / "config.json").read_text())
    config["auto_map"] = {"AutoModelForImageClassification": "evil.Model", "AutoConfig": "evil.C"}
    config["model_type"] = "evil"
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    with pytest.raises(AttnlibError):
        attnlib.load(str(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_what_the_configuration_says_is_not_said_twice(tmp_path: Path) -> None:
    saved(tmp_path, "ViT")
    with pytest.raises(ModelError, match="num_classes would change nothing"):
        attnlib.load(str(tmp_path), num_classes=4)


@pytest.mark.parametrize("shape", [(100, 80), (64, 160), (160, 64)])
def test_siglip_2_sees_images_of_any_shape(shape: tuple[int, int], tmp_path: Path) -> None:
    vision = {k: v for k, v in SIZES.items() if k != "image_size"} | {"num_patches": 16}
    config = tr.Siglip2Config(vision_config=vision, num_labels=3)
    module = filled(tr.Siglip2ForImageClassification(config))
    module.save_pretrained(tmp_path)
    processor = tr.Siglip2ImageProcessor(patch_size=16, max_num_patches=20)
    processor.save_pretrained(tmp_path)
    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
    vit = attnlib.load(str(tmp_path), device="cpu")
    batch = processor(images=image, return_tensors="pt")
    with torch.inference_mode():
        expected = module(**batch).logits[0].numpy()
    record = vit.inspect(image)
    np.testing.assert_allclose(record.logits, expected, atol=1e-5)
    assert record.layout.grid == tuple(batch["spatial_shapes"][0].tolist())
    assert vit.attribute(image, "rollout").values.shape == record.layout.grid
    assert vit.layout.query == "average over patches"
    assert vit.preparation.sources["mean"] == "preprocessor_config.json"
