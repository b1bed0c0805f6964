"""The bounded store against a plain model of least-recently-used caching."""

from __future__ import annotations

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from attnlib.dashboard.state.cache import BoundedCache

operations = st.lists(
    st.tuples(st.sampled_from(["put", "get"]), st.integers(0, 9), st.integers(0, 60)), max_size=80
)


@given(operations)
def test_follows_least_recently_used_within_its_limit(steps: list[tuple[str, int, int]]) -> None:
    cache: BoundedCache[int] = BoundedCache(100, lambda value: value)
    model: OrderedDict[int, int] = OrderedDict()
    for action, key, value in steps:
        if action == "put":
            cache.put(key, value)
            model.pop(key, None)
            model[key] = value
            while sum(model.values()) > 100:
                model.popitem(last=False)
        else:
            assert cache.get(key) == model.get(key)
            if key in model:
                model.move_to_end(key)
        assert cache.nbytes == sum(model.values()) <= 100
        assert len(cache) == len(model)


def test_a_value_larger_than_the_limit_is_not_kept() -> None:
    cache: BoundedCache[int] = BoundedCache(10, lambda value: value)
    cache.put("small", 4)
    cache.put("large", 11)
    assert "large" not in cache
    assert cache.get("small") == 4


def test_of_makes_a_value_once() -> None:
    cache: BoundedCache[int] = BoundedCache(10, lambda value: value)
    calls: list[int] = []

    def make() -> int:
        calls.append(1)
        return 3

    assert (cache.of("a", make), cache.of("a", make)) == (3, 3)
    assert len(calls) == 1


@given(operations)
def test_values_that_grow_are_measured_again(steps: list[tuple[str, int, int]]) -> None:
    """Against a model that measures everything anew at each access."""
    cache: BoundedCache[list[int]] = BoundedCache(100, sum, grows=True)
    model: OrderedDict[int, list[int]] = OrderedDict()

    def within() -> None:
        while sum(map(sum, model.values())) > 100:
            model.popitem(last=False)

    lent: list[int] = []
    for action, key, amount in steps:
        if action == "put":
            lent = [amount]
            cache.put(key, lent)
            within()
            model.pop(key, None)
            model[key] = lent
            within()
        else:
            within()
            found = cache.get(key)
            assert found is model.get(key)
            if found is not None:
                model.move_to_end(key)
                lent = found
        # Whoever was handed the value last makes it grow afterwards.
        lent.append(amount // 3)
    cache.get("none")
    within()
    assert cache.nbytes == sum(map(sum, model.values())) <= 100
    assert len(cache) == len(model)


def test_what_nobody_holds_is_measured_once_more_and_then_no_longer() -> None:
    measured: list[int] = []

    class Value:
        size = 5

    def size(value: Value) -> int:
        measured.append(value.size)
        return value.size

    cache: BoundedCache[Value] = BoundedCache(100, size, grows=True)
    value = Value()
    cache.put("a", value)
    value.size = 7
    cache.get("other")
    value.size = 9
    cache.get("other")
    assert (measured, cache.nbytes) == ([5, 7, 9], 9), "as long as it is held it may grow"
    value.size = 11
    del value
    for _ in range(3):
        cache.get("other")
    assert (measured, cache.nbytes) == ([5, 7, 9, 11], 11)


def test_a_value_that_outgrows_the_cache_is_dropped() -> None:
    cache: BoundedCache[list[int]] = BoundedCache(10, sum, grows=True)
    value = [4]
    cache.put("a", value)
    value.append(7)
    assert cache.get("a") is None
    assert cache.nbytes == 0
