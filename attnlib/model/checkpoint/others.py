"""Files that are no checkpoints, told by how they begin: what they are, and the way out."""

from __future__ import annotations

import re

_SAVE = (
    "Where the model that it was made from is at hand, run:\n"
    "import torch, safetensors.torch\n"
    "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
)
_TORCHSCRIPT = (
    "Where it can be opened, run:\n"
    "import torch, safetensors.torch\n"
    "safetensors.torch.save_file(torch.jit.load('FILE', 'cpu').state_dict(), 'model.safetensors')"
)
_NUMPY = (
    "Weights of JAX are read by timm, for the architecture that they are of; run:\n"
    "import timm, torch; model = timm.create_model('NAME'); model.load_pretrained('FILE')\n"
    "torch.save(model.state_dict(), 'weights.pth')"
)
_TENSORFLOW = (
    "Its weights have other names and shapes than PyTorch's: take the same model from timm or "
    "transformers, or write them out, and rename and turn them for it:\n"
    "import keras, safetensors.numpy; model = keras.saving.load_model('FILE')\n"
    "safetensors.numpy.save_file({w.path: w.numpy() for w in model.weights}, 'model.safetensors')"
)
_WEIGHTS = "Give the file with the weights."
_ENDS = {
    "TorchScript": ("a TorchScript program", _TORCHSCRIPT),
    "Keras": ("a Keras model", _TENSORFLOW),
    "export": ("an exported program (torch.export)", _SAVE),
    "numpy": ("a numpy archive (.npz)", _NUMPY),
}
_BEGINNINGS: dict[bytes, tuple[str, str]] = {
    b"\x89HDF\r\n\x1a\n": ("a Keras or HDF5 file", _TENSORFLOW),
    b"TFL3": ("a TensorFlow Lite model", _TENSORFLOW),
    b"GGUF": ("a GGUF file of llama.cpp", _SAVE),
    b"\x93NUMPY": ("one numpy array", _NUMPY),
    b"\x1f\x8b": ("compressed (gzip)", "Run:\ngunzip FILE"),
    b"BZh": ("compressed (bzip2)", "Run:\nbunzip2 FILE"),
    b"\xfd7zXZ\x00": ("compressed (xz)", "Run:\nunxz FILE"),
    b"\x28\xb5\x2f\xfd": ("compressed (zstd)", "Run:\nunzstd FILE"),
    b"version https://git-lfs": (
        "a Git LFS pointer, not the file it points to",
        "In its repository, run:\ngit lfs pull",
    ),
    b"\xff\xd8\xff": ("an image", _WEIGHTS),
    b"\x89PNG": ("an image", _WEIGHTS),
    b"%PDF": ("a PDF document", _WEIGHTS),
}
# The version of its format, then the name of the program that wrote it or another known field.
_ONNX = re.compile(rb"\x08[\x01-\x1f][\x12\x1a\x22\x3a\x42]")


def other(name: str, kind: str) -> str:
    """Why a file of a kind that is known by name is refused, in sentences."""
    return _said(name, *_ENDS[kind])


def beginning(name: str, head: bytes, size: int) -> str:
    """The same for a file that is known by its first bytes, or not at all.

    Args:
        head: at least its first 64 bytes.
        size: of the whole, in bytes.
    """
    if _ONNX.match(head):
        return _said(name, "an ONNX model", _SAVE)
    for begins, (what, out) in _BEGINNINGS.items():
        if head.startswith(begins):
            return _said(name, what, out)
    if size == 0:
        return f"{name} is empty: copy or save it again."
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        what = "a web page, saved instead of the file: download it again, logged in."
    elif text.startswith((b"{", b"[")):
        what = "a text (JSON), not weights: give the file of weights beside it."
    elif size < 16:
        what = "too short to hold weights: copy or save it again."
    else:
        what = f"of an unknown kind. {_SAVE}"
    kind = "safetensors" if name.endswith(".safetensors") else "safetensors or PyTorch"
    return f"{name} is not a readable {kind} file; it is {what}"


def _said(name: str, what: str, out: str) -> str:
    return f"{name} is {what}, not a checkpoint of weights. {out.replace('FILE', name)}"
