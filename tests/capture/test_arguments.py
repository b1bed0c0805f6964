"""The same attention however a model names its arguments, or has results written into buffers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib.capture.call import AttentionCall
from attnlib.capture.mode import Capture

HEADS, TOKENS, WIDTH, LAYERS = 2, 5, 8, 3

Softmax = Callable[[Tensor], Tensor]
Product = Callable[[Tensor, Tensor], Tensor]

SOFTMAX: dict[str, Softmax] = {
    "method": lambda x: x.softmax(dim=-1),
    "torch, named": lambda x: torch.softmax(input=x, dim=-1),
    "functional, named": lambda x: F.softmax(input=x, dim=-1),
    "special": lambda x: torch.special.softmax(x, -1),
}
PRODUCT: dict[str, Product] = {
    "operator": lambda a, b: a @ b,
    "matmul, named": lambda a, b: torch.matmul(input=a, other=b),
    "matmul, one named": lambda a, b: torch.matmul(a, other=b),
    "method, named": lambda a, b: a.matmul(other=b),
    "linalg": lambda a, b: torch.linalg.matmul(input=a, other=b),
    "reflected": lambda a, b: b.__rmatmul__(a),
    "bmm, named": lambda a, b: torch.bmm(input=a, mat2=b),
}


class Layers(nn.Module):
    """Some layers of attention over ``(1, H, T, d)``, spelled as told."""

    def __init__(self, softmax: Softmax, product: Product) -> None:
        super().__init__()
        self.num_heads = HEADS
        self.softmax, self.product = softmax, product
        self.maps = nn.ParameterList(torch.randn(WIDTH, WIDTH) for _ in range(2 * LAYERS))

    def forward(self, x: Tensor) -> Tensor:
        # bmm has images and heads along one dimension.
        shape = x.shape
        x = x.flatten(0, 1) if self.product is PRODUCT["bmm, named"] else x
        for layer in range(LAYERS):
            query, key = x @ self.maps[2 * layer], x @ self.maps[2 * layer + 1]
            x = x + self.product(self.softmax(query @ key.mT), x)
        return x.reshape(shape)


class Buffered(Layers):
    """The same, every result of a kind in the one buffer of that kind."""

    def __init__(self) -> None:
        super().__init__(SOFTMAX["method"], PRODUCT["operator"])
        self.scores = torch.empty(1, HEADS, TOKENS, TOKENS)
        self.weights = torch.empty_like(self.scores)
        self.product_out = torch.empty(1, HEADS, TOKENS, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        for layer in range(LAYERS):
            query, key = x @ self.maps[2 * layer], x @ self.maps[2 * layer + 1]
            torch.matmul(query, key.mT, out=self.scores)
            torch.softmax(self.scores, dim=-1, out=self.weights)
            torch.matmul(self.weights, x, out=self.product_out)
            x = x + self.product_out
        return x


class BufferedFused(Layers):
    """Queries and keys in buffers before the fused kernel."""

    def __init__(self) -> None:
        super().__init__(SOFTMAX["method"], PRODUCT["operator"])
        self.query = torch.empty(1, HEADS, TOKENS, WIDTH)
        self.key = torch.empty_like(self.query)

    def forward(self, x: Tensor) -> Tensor:
        for layer in range(LAYERS):
            torch.matmul(x, self.maps[2 * layer], out=self.query)
            torch.matmul(x, self.maps[2 * layer + 1], out=self.key)
            x = x + F.scaled_dot_product_attention(self.query, self.key, x, scale=1.0)
        return x


def by_hand(module: Layers, x: Tensor, without: int | None = None) -> tuple[list[Tensor], Tensor]:
    """Attention of every layer in float64, and the output, one layer's A V zeroed if asked."""
    found, x = [], x.double()
    for layer in range(LAYERS):
        query, key = (x @ module.maps[2 * layer + i].double() for i in (0, 1))
        scores = torch.einsum("bhqd,bhkd->bhqk", query, key)
        grown = torch.exp(scores - scores.amax(-1, keepdim=True))
        found.append(grown / grown.sum(-1, keepdim=True))
        x = x + (0 if layer == without else torch.einsum("bhqk,bhkd->bhqd", found[-1], x))
    return found, x


CASES: dict[str, Callable[[], Layers]] = {
    **{f"softmax: {n}": lambda s=s: Layers(s, PRODUCT["operator"]) for n, s in SOFTMAX.items()},
    **{f"product: {n}": lambda p=p: Layers(SOFTMAX["method"], p) for n, p in PRODUCT.items()},
    "buffers": Buffered,
    "buffers before the fused kernel": BufferedFused,
}


@pytest.fixture(params=CASES)
def module(request: pytest.FixtureRequest) -> Layers:
    torch.manual_seed(0)
    return CASES[request.param]()


@torch.no_grad()
def test_attention_that_is_kept_stays_what_it_was(module: Layers) -> None:
    x = 0.3 * torch.randn(1, HEADS, TOKENS, WIDTH)
    plain = module(x)
    calls: list[AttentionCall] = []
    checks = []

    def observe(call: AttentionCall) -> None:
        checks.append(float(call.check().amax()))
        calls.append(call.compact())

    with Capture(module, observe):
        output = module(x)
    assert torch.equal(output, plain)
    expected, _ = by_hand(module, x)
    assert len(calls) == LAYERS
    assert max(checks) < 1e-4
    for call, attention in zip(calls, expected, strict=True):
        torch.testing.assert_close(call.rows().double(), attention, atol=1e-5, rtol=0)


@torch.no_grad()
def test_an_intervention_reaches_the_model(module: Layers) -> None:
    x = 0.3 * torch.randn(1, HEADS, TOKENS, WIDTH)
    seen = 0

    def silence(call: AttentionCall) -> Tensor | None:
        nonlocal seen
        seen += 1
        return call.product() * 0 if seen == 2 else None

    with Capture(module, silence):
        output = module(x)
    _, expected = by_hand(module, x, without=1)
    torch.testing.assert_close(output.double(), expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_the_classifier_and_the_norm_are_known_by_name_too() -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(3, WIDTH), torch.randn(1, TOKENS, WIDTH)

    class Named(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            normed = F.layer_norm(input=x, normalized_shape=(WIDTH,))
            mixed = F.scaled_dot_product_attention(query=normed, key=normed, value=normed)
            return F.linear(input=mixed.mean(dim=1), weight=weight)

    calls: list[AttentionCall] = []
    with Capture(Named(), calls.append, weight) as capture:
        Named()(x)
    assert calls[0].stream is not None
    assert torch.equal(calls[0].stream, x)
    assert capture.embedding is not None
    assert capture.embedding.shape == (1, WIDTH)
