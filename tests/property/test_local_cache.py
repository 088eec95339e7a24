"""The first level of a cache against a dict that remembers what was put last, and until when."""

import math
from typing import NamedTuple, TypeAlias, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.cache.local import Local, Policy


class Put(NamedTuple):
    key: int
    ttl_s: float
    size: int


class Get(NamedTuple):
    key: int


class Discard(NamedTuple):
    key: int


class Clear(NamedTuple):
    pass


Step: TypeAlias = Put | Get | Discard | Clear

KEYS = range(13)
KEY = st.sampled_from(KEYS)
TTL_S = st.sampled_from([0.0, 1e-9, 0.01, 0.25, 1.0, 3.0, 300.0, math.inf])
SIZE = st.sampled_from([0, 1, 3, 10, 25, 31])
PUT = st.builds(Put, KEY, TTL_S, SIZE)
STEP = PUT | st.builds(Get, KEY) | PUT | st.builds(Discard, KEY) | st.builds(Clear)
PAUSE_S = st.sampled_from([0.0, 0.0, 0.001, 0.25, 1.0, 50.0])
STEPS = st.lists(st.tuples(PAUSE_S, STEP), max_size=150)
POLICIES = st.sampled_from(get_args(Policy))
STARTS = st.sampled_from([0.0, 1e6])


class Remembered:
    """All that was put, as if there were always room."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[int, float, int]] = {}

    def act(self, step: Step, value: int, now: float) -> None:
        match step:
            case Put(key, ttl_s, size):
                self._kept[key] = value, now + ttl_s, size
            case Discard(key):
                self._kept.pop(key, None)
            case Clear():
                self._kept.clear()

    def value(self, key: int, now: float) -> int | None:
        value, until, _ = self._kept.get(key, (None, 0.0, 0))
        return value if until > now else None

    def size(self, key: int) -> int:
        return self._kept[key][2]


def act(local: Local[int], step: Step, value: int, now: float) -> None:
    match step:
        case Put(key, ttl_s, size):
            local.put(key, value, now=now, ttl_s=ttl_s, size=size)
        case Get(key):
            local.get(key, now)
        case Discard(key):
            local.discard(key)
        case Clear():
            local.clear()


@settings(max_examples=300)
@given(
    policy=POLICIES,
    max_entries=st.integers(1, 8),
    max_bytes=st.sampled_from([None, 0, 10, 30, 90]),
    now=STARTS,
    steps=STEPS,
)
def test_a_hit_is_what_was_put_last_and_is_not_over_and_budgets_hold(
    policy: Policy,
    max_entries: int,
    max_bytes: int | None,
    now: float,
    steps: list[tuple[float, Step]],
) -> None:
    local = Local[int](max_entries=max_entries, max_bytes=max_bytes, policy=policy)
    remembered = Remembered()

    for value, (pause_s, step) in enumerate(steps):
        now += pause_s
        act(local, step, value, now)
        remembered.act(step, value, now)
        assert len(local) <= max_entries
        assert 0 <= local.bytes <= (math.inf if max_bytes is None else max_bytes)
        if isinstance(step, Get | Put):
            assert local.get(step.key, now) in (None, remembered.value(step.key, now))

    found = {key: local.get(key, now) for key in KEYS}
    hits = [key for key, value in found.items() if value is not None]
    assert all(found[key] == remembered.value(key, now) for key in hits)
    assert len(local) == len(hits)
    assert local.bytes == sum(map(remembered.size, hits))


@settings(max_examples=200)
@given(policy=POLICIES, now=STARTS, steps=STEPS)
def test_nobody_leaves_early_while_there_is_room(
    policy: Policy, now: float, steps: list[tuple[float, Step]]
) -> None:
    local = Local[int](max_entries=len(KEYS), policy=policy)
    remembered = Remembered()

    for value, (pause_s, step) in enumerate(steps):
        now += pause_s
        act(local, step, value, now)
        remembered.act(step, value, now)
        if isinstance(step, Get | Put):
            assert local.get(step.key, now) == remembered.value(step.key, now)

    assert all(local.get(key, now) == remembered.value(key, now) for key in KEYS)
    assert local.evictions == 0


@settings(max_examples=200)
@given(policy=POLICIES, max_entries=st.integers(1, 8), now=STARTS, steps=STEPS)
def test_who_is_kept_was_put_and_has_left_in_one_way(
    policy: Policy, max_entries: int, now: float, steps: list[tuple[float, Step]]
) -> None:
    local = Local[int](max_entries=max_entries, max_bytes=30, policy=policy)
    came = 0

    for value, (pause_s, step) in enumerate(steps):
        now += pause_s
        if isinstance(step, Put):
            # Another key each time: nobody is replaced.
            local.put((step.key, value), value, now=now, ttl_s=step.ttl_s, size=step.size)
            came += step.ttl_s > 0
        elif isinstance(step, Get):
            local.get((step.key, value - 1), now)

    assert came == len(local) + local.evictions + local.expired
