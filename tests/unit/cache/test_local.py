"""The first level of a cache: who is there for how long, and who leaves when it is full."""

import math
from typing import get_args

import pytest

from inferd.cache.local import Local, Policy

POLICIES: list[Policy] = list(get_args(Policy))


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest) -> Policy:
    chosen: Policy = request.param
    return chosen


def test_what_was_put_is_there_until_its_own_time_is_over(policy: Policy) -> None:
    local = Local[str](max_entries=10, policy=policy)
    local.put("short", "a", now=100.0, ttl_s=1.0)
    local.put("long", "b", now=100.0, ttl_s=60.0)

    assert local.get("short", 100.999) == "a"
    assert local.get("short", 101.0) is None
    assert local.get("long", 101.0) == "b"
    assert local.get("never", 101.0) is None
    assert (local.hits, local.misses, local.expired, local.evictions) == (2, 2, 1, 0)
    assert len(local) == 1


def test_what_is_over_is_removed_by_who_asks_for_it(policy: Policy) -> None:
    local = Local[str](max_entries=10, policy=policy)
    local.put("k", "a", now=0.0, ttl_s=1.0, size=7)

    local.get("k", 2.0)

    assert (len(local), local.bytes) == (0, 0)


def test_a_later_value_replaces_an_earlier_one_and_its_time_and_size(policy: Policy) -> None:
    local = Local[str](max_entries=10, max_bytes=100, policy=policy)
    local.put("k", "a", now=0.0, ttl_s=100.0, size=90)
    local.put("k", "b", now=1.0, ttl_s=1.0, size=20)

    assert local.get("k", 1.5) == "b"
    assert (len(local), local.bytes, local.evictions) == (1, 20, 0)
    assert local.get("k", 2.0) is None


def test_what_is_put_again_lives_past_its_first_end(policy: Policy) -> None:
    local = Local[str](max_entries=10, policy=policy)
    local.put("k", "a", now=0.0, ttl_s=1.0)
    local.put("k", "b", now=0.5, ttl_s=10.0)

    local.put("other", "c", now=5.0, ttl_s=1.0)

    assert local.get("k", 5.0) == "b"


def test_it_may_be_kept_for_ever(policy: Policy) -> None:
    local = Local[str](max_entries=1, policy=policy)

    local.put("k", "a", now=0.0, ttl_s=math.inf)

    assert local.get("k", 1e12) == "a"


@pytest.mark.parametrize("ttl_s", [0.0, -1.0, math.nan])
def test_what_has_no_time_to_live_is_not_kept_nor_what_was_there(ttl_s: float) -> None:
    local = Local[str](max_entries=10)
    local.put("k", "a", now=0.0, ttl_s=10.0)

    local.put("k", "b", now=1.0, ttl_s=ttl_s)

    assert local.get("k", 1.0) is None


def test_what_is_larger_than_the_budget_is_not_kept_nor_what_was_there(policy: Policy) -> None:
    local = Local[str](max_entries=10, max_bytes=100, policy=policy)
    local.put("k", "a", now=0.0, ttl_s=10.0, size=50)
    local.put("other", "b", now=0.0, ttl_s=10.0, size=50)

    local.put("k", "too large", now=0.0, ttl_s=10.0, size=101)

    assert local.get("k", 0.0) is None
    assert local.get("other", 0.0) == "b"
    assert (local.bytes, local.evictions) == (50, 1)


def test_a_large_value_takes_the_room_of_as_many_as_it_needs(policy: Policy) -> None:
    local = Local[int](max_entries=100, max_bytes=100, policy=policy)
    for key in range(10):
        local.put(key, key, now=0.0, ttl_s=10.0, size=10)

    local.put("large", 1, now=0.0, ttl_s=10.0, size=75)

    assert local.get("large", 0.0) == 1
    assert (len(local), local.bytes, local.evictions) == (3, 95, 8)


def test_without_a_budget_of_bytes_only_entries_count(policy: Policy) -> None:
    local = Local[int](max_entries=2, policy=policy)

    for key in range(5):
        local.put(key, key, now=0.0, ttl_s=10.0, size=10**12)

    assert (len(local), local.bytes, local.evictions) == (2, 2 * 10**12, 3)


def test_who_is_over_makes_room_before_who_is_not(policy: Policy) -> None:
    local = Local[int](max_entries=100, policy=policy)
    for key in range(50):
        local.put(key, key, now=0.0, ttl_s=1000.0)
    for key in range(50, 100):
        local.put(key, key, now=0.0, ttl_s=1.0)

    for key in range(100, 150):
        local.put(key, key, now=1.01, ttl_s=1000.0)

    assert all(local.get(key, 1.01) == key for key in (*range(50), *range(100, 150)))
    assert (local.expired, local.evictions) == (50, 0)


def test_many_who_are_over_make_room_for_one_who_is_large(policy: Policy) -> None:
    local = Local[int](max_entries=100, max_bytes=100, policy=policy)
    for key in range(5):
        local.put(key, key, now=0.0, ttl_s=1000.0, size=10)
    for key in range(5, 10):
        local.put(key, key, now=0.0, ttl_s=1.0, size=10)

    local.put("large", 1, now=1.01, ttl_s=1000.0, size=50)

    assert all(local.get(key, 1.01) == key for key in range(5))
    assert local.get("large", 1.01) == 1
    assert (local.expired, local.evictions, local.bytes) == (5, 0, 100)


def test_who_is_over_leaves_with_later_values_though_there_is_room(policy: Policy) -> None:
    local = Local[int](max_entries=1000, policy=policy)
    for key in range(100):
        local.put(key, key, now=0.0, ttl_s=1.0, size=1)

    for key in range(100, 150):
        local.put(key, key, now=2.0, ttl_s=1000.0, size=1)

    assert (len(local), local.bytes, local.expired) == (50, 50, 100)


def test_what_is_discarded_is_gone_and_leaves_its_room(policy: Policy) -> None:
    local = Local[str](max_entries=10, max_bytes=10, policy=policy)
    local.put("k", "a", now=0.0, ttl_s=10.0, size=10)

    local.discard("k")
    local.discard("never there")

    assert local.get("k", 0.0) is None
    assert (len(local), local.bytes, local.evictions, local.expired) == (0, 0, 0, 0)


def test_it_works_on_after_all_was_forgotten(policy: Policy) -> None:
    local = Local[int](max_entries=3, max_bytes=30, policy=policy)
    for key in range(5):
        local.put(key, key, now=0.0, ttl_s=10.0, size=10)

    local.clear()
    assert (len(local), local.bytes) == (0, 0)
    assert local.get(4, 0.0) is None
    for key in range(5):
        local.put(key, key, now=20.0, ttl_s=10.0, size=10)

    assert (len(local), local.bytes, local.evictions) == (3, 30, 4)


def test_the_same_value_is_given_not_a_copy(policy: Policy) -> None:
    local = Local[tuple[int, ...]](max_entries=3, policy=policy)
    value = (1, 2)

    local.put("k", value, now=0.0, ttl_s=1.0)

    assert local.get("k", 0.0) is value


def test_there_has_to_be_room_for_one() -> None:
    with pytest.raises(ValueError, match="max_entries is 0"):
        Local[int](max_entries=0)
