"""Models whose weights were made ill: heads in a state, and tokens that are too long."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

import attnlib


def changed(vit: attnlib.Vit, change: Callable[[nn.Module], None]) -> attnlib.Vit:
    """A copy of a model with other weights."""
    module = copy.deepcopy(vit.module)
    with torch.no_grad():
        change(module)
    return vit.around(module)


def parts(module: nn.Module, layer: int) -> tuple[Tensor, Tensor]:
    """Weights ``(3, 4, 32, 128)`` and biases ``(3, 4, 32)`` of q, k and v of the demo's heads."""
    weight, bias = (
        module.get_parameter(f"blocks.{layer}.attn.qkv.{n}") for n in ("weight", "bias")
    )
    return weight.view(3, 4, 32, 128), bias.view(3, 4, 32)


def ill(vit: attnlib.Vit, state: str, layer: int, heads: list[int]) -> attnlib.Vit:
    """The demo model with some heads in a state, by construction."""

    def change(module: nn.Module) -> None:
        weight, bias = parts(module, layer)
        if state == "alike":
            weight[:2, heads] = weight[:2, heads[:1]].clone()
            bias[:2, heads] = bias[:2, heads[:1]].clone()
        elif state == "one-hot":
            weight[0, heads] *= 100
            bias[0, heads] *= 100
        elif state in ("uniform", "no queries"):
            weight[1 if state == "uniform" else 0, heads] = 0
        else:
            token = 0 if state == "sink" else 40
            # Every query asks for one direction, which the token alone has.
            towards = torch.zeros(128)
            towards[:64], towards[64:] = 1, -1
            module.get_parameter("pos_embed")[0, token] += 30 * towards
            weight[:2, heads], bias[:2, heads] = 0, 0
            bias[0, heads, 0] = 40
            weight[1, heads, 0] = towards / 4

    return changed(vit, change)


def long_at(vit: attnlib.Vit, *tokens: int) -> attnlib.Vit:
    """The model with some tokens of its input (0 is the class token) a thousand long."""

    def change(module: nn.Module) -> None:
        places = module.get_parameter("pos_embed")[0]
        for token in tokens:
            places[token] *= 1e3 / places[token].norm()

    return changed(vit, change)
