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
