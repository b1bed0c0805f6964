"""Whatever module comes, what it raises is told in words: errors of attnlib, and no others."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import timm
import torch
from PIL import Image
from torch import Tensor, nn

import attnlib
from tests.capture.plain_vit import Vit, prepare

PICTURE = Image.effect_noise((64, 64), 80)


class Around(nn.Module):
    """A good model with something done to its input or its output."""

    def __init__(
        self,
        after: Callable[[Tensor], Any] = lambda out: out,
        before: Callable[[Tensor], Tensor] = lambda x: x,
    ) -> None:
        super().__init__()
        self.inner, self.after, self.before = Vit(), after, before

    def forward(self, x: Tensor) -> Any:
        return self.after(self.inner(self.before(x)))


def broken(out: Tensor) -> Tensor:
    raise KeyError("a key that is not there")


def late() -> Callable[[Tensor], Tensor]:
    """It works some times, and then no more."""
    left = [4]

    def after(out: Tensor) -> Tensor:
        left[0] -= 1
        if left[0] < 0:
            raise LookupError("no more")
        return out

    return after


class Empty(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class Attends(nn.Module):
    """Attention without a parameter."""

    def forward(self, x: Tensor) -> Tensor:
        tokens = nn.functional.avg_pool2d(x, 16).flatten(2).transpose(1, 2)
        return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens).mean(1)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.fc = nn.LSTM(64, 8, batch_first=True), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.lstm(x[:, 0])[0][:, -1])  # type: ignore[no-any-return]


class NotInTorch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise SystemError("from C")


def convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)
    )


def mixed() -> nn.Module:
    module = Vit()
    module.fc.half()
    return module


def scripted() -> nn.Module:
    return torch.jit.trace(Vit().eval(), torch.zeros(1, 3, 64, 64))  # type: ignore[no-any-return]


def whole_numbers() -> nn.Module:
    module = Vit()
    for name, value in list(module.fc.named_parameters()):
        module.fc._parameters[name] = nn.Parameter(value.long(), requires_grad=False)
    return module


MODULES: dict[str, Callable[[], nn.Module]] = {
    "good": Vit,
    "broken": lambda: Around(broken),
    "broken later": lambda: Around(late()),
    "broken before": lambda: Around(before=broken),
    "dict": lambda: Around(lambda out: {"scores": out}),
    "dict of logits": lambda: Around(lambda out: {"logits": out}),
    "tuple": lambda: Around(lambda out: (out, None)),
    "empty tuple": lambda: Around(lambda out: ()),
    "None": lambda: Around(lambda out: None),
    "string": lambda: Around(lambda out: "cat"),
    "one dimension": lambda: Around(lambda out: out[0]),
    "three dimensions": lambda: Around(lambda out: out[:, None]),
    "no classes": lambda: Around(lambda out: out[:, :0]),
    "half of the batch": lambda: Around(lambda out: torch.cat([out, out])),
    "predicted class": lambda: Around(lambda out: out.argmax(1)),
    "whole numbers": lambda: Around(lambda out: out.long()),
    "complex": lambda: Around(lambda out: out.to(torch.complex64)),
    "not finite": lambda: Around(lambda out: out * float("nan")),
    "detached": lambda: Around(lambda out: out.detach()),
    "through numpy": lambda: Around(lambda out: torch.as_tensor(out.detach().numpy())),
    "other size": lambda: Around(before=lambda x: x[..., :40]),
    "mixed types": mixed,
    "whole-numbered weights": whole_numbers,
    "half": lambda: Vit().half(),
    "double": lambda: Vit().double(),
    "no parameters": Empty,
    "attention without parameters": Attends,
    "identity": nn.Identity,
    "linear": lambda: nn.Linear(64, 5),
    "embedding": lambda: nn.Embedding(10, 5),
    "convolutions": convolutions,
    "LSTM": Recurrent,
    "no forward": nn.Module,
    "from C": NotInTorch,
    "list": lambda: nn.ModuleList([Vit()]),
    "scripted": scripted,
    "encoder": lambda: nn.TransformerEncoderLayer(64, 2),
    "features": lambda: timm.create_model(
        "vit_tiny_patch16_224", img_size=64, depth=1, features_only=True, out_indices=(0,)
    ),
    "resnet": lambda: timm.create_model("resnet10t", num_classes=5),
    "swin": lambda: timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=64, window_size=4, num_classes=5
    ),
}
WORK = ("good", "dict of logits", "tuple", "half", "double", "detached", "through numpy", "swin")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODULES)
def test_only_errors_of_attnlib(name: str) -> None:
    said: list[str] = []
    done = 0

    def tries(ask: Callable[[], object]) -> object:
        nonlocal done
        try:
            answer = ask()
        except attnlib.AttnlibError as error:
            said.append(str(error))
            return None
        done += 1
        return answer

    vit = tries(lambda: attnlib.load(MODULES[name](), transform=prepare, img_size=64))
    assert (vit is not None) == (
        name in WORK or name in ("broken later", "not finite", "attention without parameters")
    ), said
    if isinstance(vit, attnlib.Vit):
        tries(lambda: vit.inspect(PICTURE))
        tries(lambda: vit.attention(PICTURE, 0))
        for method in attnlib.methods():
            options = {"against": 1} if "contrast" in method else {}
            tries(partial(vit.attribute, PICTURE, method, 0, **options))
    assert said or done > 3
    for text in said:
        assert len(text) > 30
        assert text.rstrip(".") != text


@pytest.mark.parametrize(
    "transform",
    [
        lambda image: None,
        lambda image: image,
        lambda image: prepare(image).mul(255).to(torch.uint8),
        lambda image: prepare(image)[:1],
        lambda image: prepare(image)[0],
        lambda image: [prepare(image)],
        lambda image: broken(prepare(image)),
        lambda image: prepare(image, 3),
        lambda image: prepare(image)[:, :, :30],
        lambda image: prepare(image)[:, :0],
    ],
    ids=lambda transform: inspect.getsource(transform).strip(),
)
def test_any_transform(transform: Any) -> None:
    with pytest.raises(attnlib.AttnlibError):
        attnlib.load(Vit(), transform=transform, img_size=64).inspect(PICTURE)
    with pytest.raises(attnlib.AttnlibError):
        attnlib.load(Vit(), transform=transform, img_size=64).attribute(PICTURE, "relevance")


@pytest.mark.parametrize("bad", ["picture.png", None, 3, [[1.0]]])
def test_what_is_no_image(bad: Any) -> None:
    vit = attnlib.load(Vit(), transform=prepare, img_size=64)
    with pytest.raises(attnlib.AttnlibError, match="not a tensor of shape"):
        vit.inspect(bad)
