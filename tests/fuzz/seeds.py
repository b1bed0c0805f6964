"""Small valid files, one or more of every kind that a person may bring."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from argparse import Namespace
from collections import OrderedDict
from functools import cache
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save as save_safetensors

ARCHITECTURE = "vit_tiny_patch16_224"
OPTIONS: dict[str, Any] = {
    "img_size": 32, "depth": 1, "embed_dim": 12, "num_heads": 1, "num_classes": 3
}  # fmt: skip


def _picture(mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (18, 24, 3), dtype=np.uint8)).convert(mode)


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    written = io.BytesIO()
    picture.save(written, kind, **options)
    return written.getvalue()


@cache
def images() -> tuple[bytes, ...]:
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb, other = _picture(), _picture("RGBA")
    return (
        _saved(rgb, "PNG"),
        _saved(other, "PNG"),
        _saved(_picture("P"), "PNG", transparency=3),
        _saved(_picture("L").convert("I;16"), "PNG"),
        _saved(rgb, "JPEG", exif=exif.tobytes(), progressive=True),
        _saved(_picture("CMYK"), "JPEG"),
        _saved(rgb, "GIF", save_all=True, append_images=[_picture("L").convert("RGB")]),
        _saved(rgb, "BMP"),
        _saved(rgb, "WEBP"),
        _saved(rgb, "TIFF", compression="tiff_lzw"),
        _saved(_picture("F").point(lambda grey: grey / 256 + 0), "TIFF"),
        *([_saved(rgb, "AVIF")] if "AVIF" in Image.SAVE else []),
    )


@cache
def masks() -> tuple[bytes, ...]:
    return tuple(_saved(_picture(mode), "PNG") for mode in ("L", "1", "P", "LA", "RGB"))


TABLES = (
    b"filename,label\na.png,cat\nb/c.png,dog\n",
    b"\xef\xbb\xbfsep=;\nimage;cat;dog\na.png;1;0\nb.png;0;1\n",
    b'a.png\tcat|dog\nb.png\t"cat,dog"\n',
    ",filename,labels\n0,a.png,\"['cat', 'dog']\"\n1,c.png,7\n".encode("utf-16"),
    b"id,target\na,1.0\nc,2\n",
)
NAMES = (
    b"cat\ndog\nbird\n",
    b"0 cat\n1 dog\n2 bird",
    b"n02123045 tabby\nn02123159 tiger cat\n",
    b'["cat", "dog", "bird"]',
    b'{"id2label": {"0": "cat", "1": "dog"}, "model_type": "vit"}',
    b'{"0": ["n02123045", "cat"], "1": ["n02123159", "dog"]}',
    b'{"cat": 0, "dog": 1}',
)
COCO = json.dumps(
    {
        "images": [{"id": 1, "file_name": "a.png", "width": 24, "height": 18}],
        "categories": [{"id": 3, "name": "cat"}],
        "annotations": [
            {"image_id": 1, "category_id": 3, "bbox": [1, 2, 8, 9.5]},
            {"image_id": 1, "category_id": 3, "segmentation": [[1, 1, 9, 2, 7, 12.5]]},
            {"image_id": 1, "iscrowd": 1, "bbox": [0, 0, 1, 1]},
        ],
    }
).encode()


@cache
def archives() -> tuple[bytes, ...]:
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w", method) as made:
            made.writestr("cat/a.png", images()[0])
            made.writestr("cat/a_mask.png", masks()[0])
            made.writestr("dog/c.jpg", images()[4])
            made.writestr("labels.csv", TABLES[0])
            made.writestr("coco.json", COCO)
        found.append(written.getvalue())
    return tuple(found)


@cache
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    module = timm.create_model(ARCHITECTURE, **OPTIONS)
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


@cache
def checkpoints() -> tuple[bytes, ...]:
    about = {
        "model": state(),
        "args": Namespace(num_heads=1, img_size=32, mean=(0.5, 0.5, 0.5), arch=ARCHITECTURE),
        "class_to_idx": {"cat": 0, "dog": 1, "bird": 2},
        "epoch": np.float64(3),
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]},
    }
    found = [
        save_safetensors(state(), {"epoch": "3", "class_names": '["cat", "dog", "bird"]'}),
        save_safetensors({f"model.{n}": v.half() for n, v in state().items()}),
    ]
    for content, options in (
        (about, {}),
        (about, {"_use_new_zipfile_serialization": False}),
        (OrderedDict((n, v.bfloat16()) for n, v in state().items()), {}),
    ):
        written = io.BytesIO()
        torch.save(content, written, **options)
        found.append(written.getvalue())
    arrays = {name: value.numpy() for name, value in state().items()}
    found.append(pickle.dumps({"model": arrays, "epoch": 2}, protocol=4))
    found.append(pickle.dumps({"model": arrays}, protocol=2))
    return tuple(found)


CONFIG = json.dumps(
    {
        "architectures": ["ViTForImageClassification"],
        "model_type": "vit",
        "hidden_size": 12,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 16,
        "image_size": 32,
        "patch_size": 16,
        "num_channels": 3,
        "qkv_bias": True,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "id2label": {"0": "cat", "1": "dog"},
        "label2id": {"cat": 0, "dog": 1},
        "problem_type": "single_label_classification",
    }
).encode()
TIMM_CONFIG = json.dumps(
    {
        "architecture": ARCHITECTURE,
        "num_classes": 3,
        "num_features": 12,
        "global_pool": "token",
        "model_args": {k: v for k, v in OPTIONS.items() if k != "num_classes"},
        "pretrained_cfg": {"input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3,
                           "crop_pct": 0.9, "interpolation": "bicubic", "num_classes": 3,
                           "label_names": ["cat", "dog", "bird"], "classifier": "head",
                           "first_conv": "patch_embed.proj", "fixed_input_size": True},
    }
).encode()  # fmt: skip
PROCESSOR = json.dumps(
    {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": 32, "width": 32},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
).encode()
WORDS = (
    b"cat", b"224x448", b"global_pool=avg, num_heads=6", b"1.5e3", b"0.485, 0.456, 0.406",
    b"source=free&height=64&dim=12&depth=1&heads=1&mlp_ratio=4.0&training=True", b"yes", b"-12",
)  # fmt: skip


@cache
def transformers_weights() -> bytes:
    """Of the model that CONFIG describes."""
    import transformers

    torch.manual_seed(0)
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**json.loads(CONFIG)))
    return save_safetensors({name: value.clone() for name, value in model.state_dict().items()})
