"""The inspection of many images: order, batches, refusals, and going on where it stopped."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import attnlib
from attnlib.dashboard.state import inspection, presence, results
from attnlib.dashboard.state.inspection import BATCH_S, LARGEST_BATCH, Inspection
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.results import Inspected
from attnlib.data.collection import Sample
from attnlib.data.image import sha256
from attnlib.errors import AttnlibError, NotFinite, OutOfMemory

Found = list[Inspected | Exception]


WHITE = Image.new("RGB", (32, 32), "white")


def sample(name: str, picture: Image.Image) -> Sample:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return Sample(name, out.getvalue(), sha256(out.getvalue()), None)


def samples(count: int) -> tuple[Sample, ...]:
    rng = np.random.default_rng(0)
    shape = (count, 32, 32, 3)
    pictures = map(Image.fromarray, rng.integers(0, 256, shape, dtype=np.uint8))
    return tuple(sample(f"{i}.png", picture) for i, picture in enumerate(pictures))


class Fake:
    """Stands for the store: notes the batches, and takes seconds for each image and batch."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.waiting, self.now = seconds, 0.0, 0.0
        self.batches: list[list[str]] = []
        self.fails_at: set[str] = set()
        self.hook: Any = None

    def clock(self) -> float:
        return self.now

    def inspect(self, choice: ModelChoice, vit: attnlib.Vit, batch: list[Sample]) -> Found:
        self.batches.append([s.name for s in batch])
        self.now += self.waiting + self.seconds * len(batch)
        if self.hook:
            self.hook()
        if self.fails_at & {s.name for s in batch}:
            raise OutOfMemory("The device ran out of memory.")
        return [AttnlibError(f"{s.name} is odd") for s in batch]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    made = Fake()
    monkeypatch.setattr(inspection.results, "inspect", made.inspect)
    yield made


def job(fake: Fake, vit: attnlib.Vit, count: int) -> Inspection:
    return Inspection(ModelChoice(), vit, samples(count), clock=fake.clock)


def test_outcomes_are_the_models_own(vit: attnlib.Vit) -> None:
    given = samples(5)
    found = Inspection(ModelChoice(), vit, given)
    found.run()
    assert (found.finished, found.failure, found.done, found.refusals) == (True, "", 5, [])
    for item in given:
        record = vit.inspect(Image.open(io.BytesIO(item.data)))
        outcome = found.outcomes[item.name]
        np.testing.assert_allclose(outcome.probabilities, record.probabilities, atol=1e-5)
        np.testing.assert_allclose(outcome.embedding, record.embedding, atol=1e-4)
        assert outcome.entropy == pytest.approx(float(record.entropy.mean()), abs=1e-5)


def test_batches_grow_while_they_are_quick(fake: Fake, vit: attnlib.Vit) -> None:
    fake.seconds = 0.001
    job(fake, vit, 40).run()
    assert [len(b) for b in fake.batches] == [1, 2, 4, 8, 8, 8, 8, 1]
    assert max(map(len, fake.batches)) == LARGEST_BATCH


def test_batches_of_a_slow_model_stay_short(fake: Fake, vit: attnlib.Vit) -> None:
    fake.seconds = 0.5
    job(fake, vit, 9).run()
    assert [len(b) for b in fake.batches] == [1, 2, *[1] * 6], "two at once are tried, once"


@pytest.mark.parametrize("seconds", [0.06, 0.11, 0.19])
def test_no_batch_but_a_trial_goes_past_its_time(
    fake: Fake, vit: attnlib.Vit, seconds: float
) -> None:
    fake.seconds = seconds
    job(fake, vit, 60).run()
    sizes = [len(b) for b in fake.batches]
    assert sum(size * seconds > BATCH_S for size in sizes) == 1
    settled = sizes[5]
    assert sizes[5:-1] == [settled] * len(sizes[5:-1])
    assert settled * seconds <= BATCH_S < 2 * settled * seconds


def test_a_batch_that_mostly_waits_is_large(fake: Fake, vit: attnlib.Vit) -> None:
    """On a busy machine a pass takes long whatever it holds."""
    fake.seconds, fake.waiting = 0.001, 0.6
    job(fake, vit, 47).run()
    assert [len(b) for b in fake.batches] == [1, 2, 4, 8, 8, 8, 8, 8]


def test_batches_shrink_when_the_machine_gets_busy(fake: Fake, vit: attnlib.Vit) -> None:
    fake.seconds = 0.001

    def busy() -> None:
        fake.seconds = 0.2 if len(fake.batches) >= 4 else 0.001

    fake.hook = busy
    job(fake, vit, 40).run()
    assert [len(b) for b in fake.batches][3:8] == [8, 8, 4, 2, 2]


def test_batches_grow_again_when_larger_ones_cost_hardly_more(fake: Fake, vit: attnlib.Vit) -> None:
    def change() -> None:
        number = len(fake.batches)
        # Quick; then each image takes long; then each pass waits, whatever it holds.
        fake.seconds = 0.2 if 4 <= number < 8 else 0.001
        fake.waiting = 0.6 if number >= 8 else 0.0

    fake.hook = change
    job(fake, vit, 50).run()
    sizes = [len(b) for b in fake.batches]
    assert sizes[4:8] == [8, 4, 2, 2]
    # One image alone was quick when it was last tried, so that it is tried again first.
    assert sizes[8:-1] == [2, 1, 2] + [4] * len(sizes[11:-1])
    assert len(sizes) > 12


def test_the_chosen_image_goes_first_also_later(fake: Fake, vit: attnlib.Vit) -> None:
    found = job(fake, vit, 12)
    found.first = "9.png"

    def choose() -> None:
        if len(fake.batches) == 2:
            found.first = "11.png"

    fake.hook = choose
    found.run()
    assert fake.batches[0] == ["9.png"]
    assert fake.batches[2] == ["11.png"]
    assert sorted(name for b in fake.batches for name in b) == sorted(f"{i}.png" for i in range(12))


def test_it_goes_on_where_it_stopped(fake: Fake, vit: attnlib.Vit) -> None:
    found = job(fake, vit, 20)
    fake.fails_at = {"9.png"}
    found.run()
    assert found.finished and "ran out of memory" in found.failure
    assert found.done == 7 and found.waits("9.png") and not found.waits("6.png")
    fake.fails_at, before = set(), len(fake.batches)
    found.start(wait=30)
    assert (found.finished, found.failure, found.done) == (True, "", 20)
    again = {name for b in fake.batches[before:] for name in b}
    assert again == {f"{i}.png" for i in range(7, 20)}, "what is done is not done again"


def test_it_stops_for_a_session_that_is_gone(
    fake: Fake, vit: attnlib.Vit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "connected", lambda session: False)
    monkeypatch.setattr("attnlib.dashboard.state.runner.GRACE_S", -1.0)
    found = job(fake, vit, 20)
    found.run()
    assert "page was closed" in found.failure
    assert found.done < 20
    monkeypatch.setattr(presence, "connected", lambda session: True)
    found.run()
    assert (found.failure, found.done) == ("", 20)


class Overflowing(nn.Module):
    """The demo model, whose logits are not finite for an image that is white all over."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.passes = 0

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        logits = self.module(pixels)
        white = pixels.flatten(1).std(dim=1) < 0.2
        return torch.where(white[:, None], torch.full_like(logits, torch.inf), logits)


@pytest.fixture
def overflowing(vit: attnlib.Vit) -> attnlib.Vit:
    return vit.around(Overflowing(vit.module))


@pytest.mark.parametrize("place", [0, 3, 11])
def test_an_image_with_values_that_are_not_finite_is_refused_alone(
    overflowing: attnlib.Vit, place: int
) -> None:
    given = [*samples(12)]
    given[place] = sample("white.png", WHITE)
    choice = ModelChoice(f"overflowing {place}")
    found = Inspection(choice, overflowing, tuple(given))
    found.run()
    assert (found.failure, found.done) == ("", 12)
    assert [refusal.name for refusal in found.refusals] == ["white.png"]
    assert "not finite" in found.refusals[0].reason
    assert set(found.outcomes) == {s.name for s in given} - {"white.png"}


def test_the_library_says_which_kind_of_failure_it_was(overflowing: attnlib.Vit) -> None:
    with pytest.raises(NotFinite):
        overflowing.inspect(WHITE)


def test_a_batch_without_such_an_image_costs_one_pass(overflowing: attnlib.Vit) -> None:
    module = overflowing.module
    assert isinstance(module, Overflowing)
    module.passes = 0
    results.inspect(ModelChoice("overflowing once"), overflowing, list(samples(8)))
    assert module.passes == 1
