"""Whether the Hugging Face Hub can be asked, and what to say where it cannot."""

from __future__ import annotations

import socket
import urllib.request
from urllib.parse import urlsplit

import huggingface_hub
import timm

from attnlib.errors import ModelError

OFFLINE_HINT = (
    "Without a network these work: the demo model, a checkpoint file of your own, an uploaded "
    "safetensors file, or an architecture with random weights (“timm, random weights” in the "
    "sidebar; pretrained=False in Python)."
)


def unreachable(name: str) -> ModelError:
    """That there is no network, and what works without."""
    return ModelError(
        f"The weights of {name} could not be fetched: there is no network. {OFFLINE_HINT}"
    )


def online() -> bool:
    """Whether the hub's name can be resolved; without this a client retries for a minute."""
    if urllib.request.getproxies():
        return True
    try:
        socket.getaddrinfo(urlsplit(huggingface_hub.constants.ENDPOINT).hostname, 443)
    except OSError:
        return False
    return True


def cached(name: str) -> bool:
    """Whether some weights of a timm name, hub id or folder are on this machine."""
    if name.startswith("local-dir:"):
        return True
    of_hub = name.startswith(("hf-hub:", "hf_hub:"))
    config = None if of_hub else timm.get_pretrained_cfg(name)
    repo = name.partition(":")[2].partition("@")[0] if config is None else config.hf_hub_id
    files = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors")
    try:
        found = [huggingface_hub.try_to_load_from_cache(repo, file) for file in files if repo]
    except ValueError:
        return False
    return any(isinstance(path, str) for path in found)
