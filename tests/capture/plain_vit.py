"""A Vision Transformer in other people's words, and a preparation of images for small ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


def prepare(image: Image.Image) -> Tensor:
    """64 x 64 pixels, ``(3, 64, 64)`` from -1 to 1."""
    small = image.convert("RGB").resize((64, 64))
    values = torch.tensor(list(small.tobytes()), dtype=torch.float32).reshape(64, 64, 3)
    return values.permute(2, 0, 1) / 127.5 - 1


class Block(nn.Module):
    def __init__(self, width: int, heads: int, attention: Attention) -> None:
        super().__init__()
        self.heads, self.attention = heads, attention
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        b, t, d = x.shape
        shaped = self.to_qkv(self.first(x)).reshape(b, t, 3, self.heads, d // self.heads)
        q, k, v = shaped.permute(2, 0, 3, 1, 4)
        x = x + self.out(self.attention(q, k, v).transpose(1, 2).reshape(b, t, d))
        return x + self.mlp(self.second(x))  # type: ignore[no-any-return]


class Vit(nn.Module):
    """Nothing in it is named as in timm: ``self.cls`` is the class token, not a layer.

    Args:
        pool: ``"cls"``, ``"mean"`` over patches or ``"all"`` over all tokens.
        last: the class token comes after the patches.
        by_column: patches come column by column.
        attention: from q, k and v ``(B, H, T, d)`` to ``A V``.
        channels: of the input.
    """

    def __init__(
        self,
        pool: str = "cls",
        last: bool = False,
        by_column: bool = False,
        attention: Attention = F.scaled_dot_product_attention,
        channels: int = 3,
        depth: int = 2,
        width: int = 32,
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.pool, self.last, self.by_column = pool, last, by_column
        self.embed = nn.Conv2d(channels, width, 16, 16)
        self.cls = nn.Parameter(torch.randn(1, 1, width))
        self.place = nn.Parameter(torch.randn(1, 17, width))
        self.layers = nn.ModuleList(Block(width, 4, attention) for _ in range(depth))
        self.norm, self.fc = nn.LayerNorm(width), nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        x = (x.mT if self.by_column else x).flatten(2).transpose(1, 2)
        cls = self.cls.expand(len(x), -1, -1)
        x = torch.cat([x, cls] if self.last else [cls, x], dim=1) + self.place
        for layer in self.layers:
            x = layer(x)
        x = self.norm(x)
        patches = x[:, :-1] if self.last else x[:, 1:]
        at = -1 if self.last else 0
        pooled = {"cls": x[:, at], "mean": patches.mean(1), "all": x.mean(1)}[self.pool]
        return self.fc(pooled)  # type: ignore[no-any-return]
