"""Windows against a list of all events, which is looked through for every answer."""

import math
import random
import statistics
from typing import NamedTuple, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.features.windows import Added, Aggregate, Function, Plan, State
from inferd.features.windows import distinct as distinct_values
from inferd.features.windows.aggregates import Answer
from inferd.features.windows.codec import Codec, Kept
from inferd.features.windows.distinct import REGISTERS, hash_of
from inferd.features.windows.quantiles import ALPHA
from inferd.features.windows.ring import Event, Ring

S = 1_000_000
MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S
T = 19_000 * DAY
"""The end of a tile of any size: windows that end here have whole tiles."""
STAMP = 2**50
HALF_LIFE_US = 20 * S
TILE_US = {10 * S: S, MINUTE: S, 10 * MINUTE: 10 * S, HOUR: MINUTE, DAY: 20 * MINUTE}
SHARES = (0.0, 0.5, 0.95, 1.0)

AGGREGATES = [
    Aggregate(
        function,
        None if function in {Function.COUNT, Function.RATE} else 0,
        window_us,
        quantile=share,
        half_life_us=HALF_LIFE_US,
    )
    for window_us in TILE_US
    for function in Function
    for share in (SHARES if function is Function.QUANTILE else (0.5,))
]
PLAN = Plan(AGGREGATES)


class Given(NamedTuple):
    """An event."""

    event_us: int
    value: float | int | bool | None


ages = st.one_of(
    st.integers(0, 90 * S),
    st.integers(0, 30 * HOUR),
    # At the edges of windows and tiles.
    st.builds(
        lambda edge, near: max(0, edge + near),
        st.sampled_from([*TILE_US, *TILE_US.values()]),
        st.integers(-1, 1),
    ),
)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-6),
    st.sampled_from([1.5, 2.5]),
)
events = st.lists(st.builds(lambda age, value: Given(T - age, value), ages, values), max_size=60)


def near(expected: float, scale: float) -> object:
    return pytest.approx(expected, rel=1e-9, abs=1e-9 * max(scale, 1.0))


def plainly(aggregate: Aggregate, inside: list[Given]) -> object:
    """Return what a list says of the events in a window."""
    if aggregate.function is Function.COUNT:
        return len(inside)
    if aggregate.function is Function.RATE:
        return near(len(inside) / (aggregate.window_us / S), 1.0)
    known = [each for each in inside if each.value is not None]
    numbers = [each.value for each in known if each.value is not None]
    if aggregate.function is Function.DISTINCT:
        return len(set(numbers))
    scale = max(map(abs, numbers), default=0.0)
    if aggregate.function is Function.SUM:
        return near(math.fsum(numbers), scale)
    if not numbers:
        return None
    return _of_some(aggregate, known, numbers, scale)


def _of_some(
    aggregate: Aggregate, known: list[Given], numbers: list[float | int], scale: float
) -> object:
    newest = max(each.event_us for each in known)
    weights = [0.5 ** ((newest - each.event_us) / HALF_LIFE_US) for each in known]
    weighed = math.fsum(w * n for w, n in zip(weights, numbers, strict=True)) / math.fsum(weights)
    exact = sorted(numbers)[math.floor(aggregate.quantile * (len(numbers) - 1))]
    return {
        Function.MEAN: near(math.fsum(numbers) / len(numbers), scale),
        Function.VARIANCE: near(statistics.pvariance(map(float, numbers)), scale * scale),
        Function.MIN: min(numbers),
        Function.MAX: max(numbers),
        Function.LAST: max(value for at, value in known if at == newest and value is not None),
        Function.QUANTILE: pytest.approx(float(exact), rel=ALPHA + 1e-9),
        Function.EWMA: near(weighed, scale),
    }[aggregate.function]


def all_plainly(given: list[Given]) -> list[object]:
    return [
        plainly(each, [event for event in given if event.event_us > T - each.window_us])
        for each in AGGREGATES
    ]


def fill(given: list[Given], *, now_us: int | None = None) -> State:
    """Return a state of events, each when it happened, or all when it is `now_us`."""
    state = State(PLAN)
    for number, (event_us, value) in enumerate(given):
        state.add(event_us, f"{number}", [value], now_us=now_us or event_us)
    return state


def by_time(given: list[Given]) -> list[Given]:
    return sorted(given, key=lambda event: event.event_us)


def assert_near(read: tuple[Answer, ...], other: tuple[Answer, ...]) -> None:
    for one, another, aggregate in zip(read, other, AGGREGATES, strict=True):
        if one is None or aggregate.function in {Function.MIN, Function.MAX, Function.LAST}:
            assert one == another
        else:
            # Values are up to 2**40; squares of them are rounded more.
            tolerance = 1e13 if aggregate.function is Function.VARIANCE else 10.0
            assert one == pytest.approx(another, rel=1e-9, abs=tolerance)


@given(given=events)
def test_all_is_as_a_list_says_if_events_come_in_order(given: list[Given]) -> None:
    assert list(fill(by_time(given)).read(T)) == all_plainly(given)


@given(given=events)
def test_all_is_as_a_list_says_in_whichever_order_they_come(given: list[Given]) -> None:
    recent = [each for each in given if each.event_us > T - DAY]

    assert list(fill(given, now_us=T).read(T)) == all_plainly(recent)


@given(given=events, later_us=st.integers(0, 2 * DAY))
def test_at_any_time_a_window_counts_up_to_one_tile_too_much(
    given: list[Given], later_us: int
) -> None:
    at_us = T + later_us

    read = fill(by_time(given)).read(at_us)

    for aggregate, count in zip(AGGREGATES, read, strict=True):
        if aggregate.function is Function.COUNT:
            since = at_us - aggregate.window_us
            least = sum(each.event_us > since for each in given)
            most = least
            if aggregate.window_us > MINUTE:
                more = since - TILE_US[aggregate.window_us]
                most = sum(each.event_us > more for each in given)
            assert isinstance(count, int)
            assert least <= count <= most


@given(given=events, order=st.randoms(use_true_random=False), later_us=st.integers(0, 2 * DAY))
def test_neither_the_order_nor_duplicates_nor_being_bytes_in_between_matters(
    given: list[Given], order: random.Random, later_us: int
) -> None:
    numbered = list(enumerate(each for each in given if each.event_us > T - DAY))
    shuffled = order.sample(numbered, len(numbered))
    state, other = State(PLAN), State(PLAN)

    for number, (event_us, value) in numbered:
        assert state.add(event_us, f"{number}", [value], now_us=T) is Added.ADDED
    for number, (event_us, value) in shuffled:
        other.add(event_us, f"{number}", [value], now_us=T)
        other = again(other)
        assert other.add(event_us, f"{number}", [value], now_us=T) is Added.DUPLICATE

    assert other.newest_us == state.newest_us
    assert_near(other.read(T + later_us), state.read(T + later_us))


@given(given=events, later_us=st.integers(0, 2 * DAY))
def test_a_state_that_was_bytes_goes_on_alike(given: list[Given], later_us: int) -> None:
    state = fill(given)
    other = again(state)

    assert other.read(T) == state.read(T)
    at_us = T + later_us
    assert other.add(at_us, "", [1.0], now_us=at_us) == state.add(at_us, "", [1.0], now_us=at_us)
    assert other.read(at_us) == state.read(at_us)


def again(state: State) -> State:
    decoded = State.decode(PLAN, state.encode(STAMP))
    assert decoded is not None
    return decoded


BLOB = fill([Given(T - age * MINUTE, float(age)) for age in range(90)]).encode(STAMP)


@given(blob=st.binary(max_size=300))
def test_bytes_are_no_state(blob: bytes) -> None:
    assert State.decode(PLAN, blob) is None
    assert State.decode(PLAN, BLOB[:10] + blob) is None


@given(
    body=st.lists(
        st.recursive(st.integers(-(2**63), 2**63) | st.floats() | st.binary(), st.lists), max_size=6
    )
)
def test_what_a_checksum_allows_need_not_be_a_state(body: object) -> None:
    codec = Codec(PLAN.levels, 0)

    assert codec.decode(codec.encode(STAMP, cast("Kept", body))) is None


@given(place=st.integers(10, len(BLOB) - 1), flip=st.integers(1, 255))
def test_no_byte_of_a_state_can_be_another(place: int, flip: int) -> None:
    broken = bytearray(BLOB)
    broken[place] ^= flip

    assert State.decode(PLAN, bytes(broken)) is None


@given(cut=st.integers(0, len(BLOB) - 1))
def test_no_part_of_a_state_is_one(cut: int) -> None:
    assert State.decode(PLAN, BLOB[:cut]) is None


@given(
    capacity=st.integers(1, 8),
    acts=st.lists(st.tuples(st.sampled_from(["add", "pop", "between"]), st.integers(0, 20))),
)
def test_a_ring_is_a_list_that_is_sorted_and_cut(
    capacity: int, acts: list[tuple[str, int]]
) -> None:
    ring, model = Ring(capacity), list[Event]()
    for number, (act, time) in enumerate(acts):
        if act == "add":
            event: Event = (time, (number, True))
            model = sorted([*model, event], key=lambda event: event[0])
            over, model = model[:-capacity], model[-capacity:]
            assert ring.add(event) == (over[0] if over else None)
        elif act == "pop":
            assert ring.pop_until(time) == [event for event in model if event[0] <= time]
            model = [event for event in model if event[0] > time]
        else:
            inside = [event for event in model if 5 < event[0] <= time]
            assert ring.between(5, time) == inside
        assert ring.all() == model


@settings(max_examples=30)
@given(start=st.integers(0, 2**40), counts=st.lists(st.integers(1, 5_000), max_size=5, min_size=1))
def test_distinct_values_are_counted_within_five_standard_errors(
    start: int, counts: list[int]
) -> None:
    # Each overlaps the one before by half.
    parts, begin, end = [], start, start
    for count in counts:
        begin, end = begin + (end - begin) // 2, max(end, begin + (end - begin) // 2 + count)
        parts.append(distinct_values.gather(map(hash_of, range(begin, end))))

    estimate = distinct_values.estimate(distinct_values.fold(parts))

    assert estimate == pytest.approx(end - start, rel=5 * 1.04 / math.sqrt(REGISTERS))


LONG = [each for each in AGGREGATES if each.window_us > MINUTE]
steps = st.one_of(
    st.integers(0, 3), st.integers(0, 20 * S), st.integers(0, 2 * HOUR), st.sampled_from([10 * S])
)


@settings(max_examples=200)
@given(
    aggregates=st.sampled_from([LONG, AGGREGATES, [Aggregate(Function.COUNT, None, 601 * S)]]),
    turns=st.lists(st.tuples(steps, st.none() | st.integers(0, 2 * HOUR)), max_size=40),
)
def test_a_state_that_is_read_again_and_again_says_what_one_says_that_is_read_once(
    aggregates: list[Aggregate], turns: list[tuple[int, int | None]]
) -> None:
    plan = Plan(aggregates)
    state, now_us = State(plan), T
    for number, (passes_us, age_us) in enumerate(turns):
        now_us += passes_us
        if age_us is not None:
            state.add(now_us - age_us, f"{number}", [number], now_us=now_us)
        fresh = State.decode(plan, state.encode(STAMP))
        assert fresh is not None
        assert state.read(now_us) == fresh.read(now_us)
