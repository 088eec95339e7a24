"""What is read of one entity's windows, and what becomes of the events that are given to it."""

from collections.abc import Sequence
from typing import Any

import pytest

from inferd.features.windows import Added, Aggregate, Function, Plan, State
from inferd.features.windows.recent import CAPACITY

S = 1_000_000
MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S
#: The end of a tile of any size.
T = 19_000 * DAY
STAMP = 2**50


def one(function: Function, window_us: int, *, quantile: float = 0.5) -> Aggregate:
    of = None if function in {Function.COUNT, Function.RATE} else 0
    return Aggregate(function, of, window_us, quantile, half_life_us=10 * S)


def state_of(*aggregates: Aggregate) -> State:
    return State(Plan(aggregates))


def fill(state: State, events: Sequence[tuple[int, float | int | str | bool | None]]) -> None:
    for number, (event_us, value) in enumerate(events):
        added = state.add(event_us, f"{number}", [value], now_us=event_us)
        assert added is Added.ADDED


def again(state: State, *aggregates: Aggregate) -> State:
    decoded = State.decode(Plan(aggregates), state.encode(STAMP))
    assert decoded is not None
    return decoded


@pytest.mark.parametrize("window_us", [10 * S, MINUTE, 10 * MINUTE, HOUR, DAY, 7 * DAY])
def test_an_event_at_the_end_counts_and_one_a_whole_window_earlier_does_not(window_us: int) -> None:
    state = state_of(one(Function.COUNT, window_us))
    fill(state, [(T - window_us, 1), (T - window_us + 1, 1), (T, 1)])

    assert state.read(T) == (2,)


@pytest.mark.parametrize("window_us", [MINUTE, HOUR])
def test_an_event_on_a_boundary_is_in_one_of_two_windows(window_us: int) -> None:
    state = state_of(one(Function.COUNT, window_us))
    fill(state, [(T, 1)])

    assert (state.read(T), state.read(T + window_us)) == ((1,), (0,))


@pytest.mark.parametrize("window_us", [MINUTE, HOUR, DAY])
def test_without_new_events_a_window_becomes_empty_not_stale(window_us: int) -> None:
    """Defect 13 of the design documents: a past that is told forever."""
    plan = Plan([one(function, window_us) for function in Function])
    state, nothing = State(plan), State(plan).read(T)
    fill(state, [(T + second * S, 3.0) for second in range(30)])

    assert None not in state.read(T + 30 * S)
    assert state.read(T + 30 * S + 2 * window_us) == nothing
    kept = plan.codec.decode(state.encode(2**40))
    assert kept is not None
    assert not kept.events
    assert not any(kept.tiles)


def test_of_nothing_there_are_zero_and_there_is_no_mean() -> None:
    state = state_of(*(one(function, HOUR) for function in Function))

    read = dict(zip(Function, state.read(T), strict=True))

    zero = {Function.COUNT, Function.SUM, Function.DISTINCT, Function.RATE}
    assert read == {function: 0 if function in zero else None for function in Function}


@pytest.mark.parametrize("window_us", [MINUTE, HOUR])
def test_every_function_of_four_events(window_us: int) -> None:
    state = state_of(*(one(function, window_us) for function in Function))
    fill(state, [(T - 30 * S, 2), (T - 20 * S, 4), (T - 10 * S, 4), (T, 6)])

    read = dict(zip(Function, state.read(T), strict=True))

    # Weights 1/8, 1/4, 1/2 and 1.
    assert read.pop(Function.EWMA) == pytest.approx((0.25 + 1 + 2 + 6) / 1.875)
    assert read.pop(Function.QUANTILE) == pytest.approx(4, rel=0.01)
    assert read == {
        Function.COUNT: 4,
        Function.SUM: 16,
        Function.MEAN: 4,
        Function.VARIANCE: 2,
        Function.MIN: 2,
        Function.MAX: 6,
        Function.LAST: 6,
        Function.DISTINCT: 3,
        Function.RATE: 4 / (window_us / S),
    }


def test_a_value_that_is_not_there_is_counted_but_in_no_aggregate_of_its_field() -> None:
    known = Aggregate(Function.COUNT, 0, HOUR)
    state = state_of(one(Function.COUNT, HOUR), known, one(Function.MEAN, HOUR))
    fill(state, [(T - 2, 5.0), (T - 1, None), (T, 7.0)])

    assert state.read(T) == (3, 2, 6.0)


def test_truths_are_summed_as_one_and_zero() -> None:
    functions = (Function.SUM, Function.MIN, Function.MAX, Function.LAST, Function.DISTINCT)
    aggregates = [one(function, HOUR) for function in functions]
    state = state_of(*aggregates)
    fill(state, [(T - 2, True), (T - 1, False), (T, True)])

    assert again(state, *aggregates).read(T) == (2, 0, 1, 1, 2)


def test_what_no_float_can_hold_has_no_value() -> None:
    state = state_of(*(one(each, HOUR) for each in (Function.SUM, Function.VARIANCE, Function.MAX)))
    fill(state, [(T - 1, 1.5e308), (T, 1.6e308)])

    assert state.read(T) == (None, None, 1.6e308)


def test_the_last_is_the_last_by_event_time() -> None:
    state = state_of(one(Function.LAST, MINUTE), one(Function.LAST, HOUR))
    fill(state, [(T, 1.0), (T - S, 2.0), (T - MINUTE - S, 3.0)])

    assert state.read(T) == (1.0, 1.0)


def test_an_event_that_comes_late_is_counted_at_its_own_time() -> None:
    state = state_of(one(Function.COUNT, MINUTE), one(Function.COUNT, HOUR))
    fill(state, [(T, 1)])

    assert state.add(T - 30 * MINUTE, "late", [1], now_us=T) is Added.ADDED
    assert state.read(T) == (1, 2)
    assert state.read(T + 30 * MINUTE) == (0, 1)
    assert state.newest_us == T


def test_an_event_that_is_in_no_window_any_more_is_too_old() -> None:
    state = state_of(one(Function.COUNT, HOUR))

    assert state.add(T - HOUR, "a", [1], now_us=T) is Added.TOO_OLD
    assert state.add(T - HOUR + 1, "a", [1], now_us=T) is Added.ADDED
    assert (state.newest_us, state.read(T)) == (T - HOUR + 1, (1,))


def test_an_event_that_comes_again_is_a_duplicate_also_after_a_restart() -> None:
    aggregate = one(Function.COUNT, HOUR)
    state = state_of(aggregate)
    fill(state, [(T, 1)])

    state = again(state, aggregate)

    assert state.add(T, "0", [1], now_us=T) is Added.DUPLICATE
    assert state.read(T) == (1,)


def test_so_many_ids_are_known_and_none_is_the_empty_one() -> None:
    state = state_of(one(Function.COUNT, HOUR))
    for number in range(CAPACITY + 1):
        state.add(T, f"{number}", [1], now_us=T)

    assert state.add(T, "1", [1], now_us=T) is Added.DUPLICATE
    assert state.add(T, "0", [1], now_us=T) is Added.ADDED
    assert state.add(T, "", [1], now_us=T) is Added.ADDED
    assert state.add(T, "", [1], now_us=T) is Added.ADDED


def test_an_id_need_not_be_proper_unicode() -> None:
    state = state_of(one(Function.COUNT, HOUR))

    assert state.add(T, "\ud800", [1], now_us=T) is Added.ADDED
    assert state.add(T, "\ud800", [1], now_us=T) is Added.DUPLICATE


def test_a_full_ring_makes_a_small_window_hop_by_a_second_and_loses_nothing() -> None:
    state = state_of(one(Function.COUNT, MINUTE), one(Function.SUM, MINUTE))
    events = 20 * 60
    fill(state, [(T - MINUTE + (number + 1) * MINUTE // events, 1) for number in range(events)])

    assert state.read(T) == (events, events)
    # Ten of them are too old, in a tile that is not.
    assert state.read(T + S // 2) == (events, events)
    assert state.read(T + S) == (events - 20, events - 20)
    # These are all in the ring.
    assert state.read(T + MINUTE - S // 2) == (10, 10)


def test_a_large_window_counts_at_most_one_tile_too_much() -> None:
    state = state_of(one(Function.COUNT, HOUR))
    fill(state, [(T + minute * MINUTE + S, 1) for minute in range(60)])

    # The first event is 10 s too old, in a tile that is not; and at last the tile is, too.
    assert state.read(T + HOUR + 11 * S) == (60,)
    assert state.read(T + HOUR + MINUTE) == (59,)


def test_windows_of_all_sizes_are_read_from_the_same_events() -> None:
    lengths = (MINUTE, 10 * MINUTE, HOUR, DAY, 7 * DAY)
    state = state_of(*(one(Function.COUNT, length) for length in lengths))
    ages = (0, MINUTE, 2 * MINUTE, 10 * MINUTE, 59 * MINUTE, HOUR, 5 * HOUR, DAY, 6 * DAY)
    fill(state, [(T - age, 1) for age in sorted(ages, reverse=True)])

    assert state.read(T) == (1, 3, 5, 7, 9)


def test_many_events_take_no_more_room_than_few() -> None:
    functions = ("count", "sum", "mean", "variance", "min", "max")
    state = state_of(*(one(Function(function), HOUR) for function in functions))
    sizes = []
    for number in range(30_000):
        state.add(T + number * HOUR // 15_000, f"{number}", [number * 0.1], now_us=T)
        if number % 15_000 == 14_999:
            sizes.append(len(state.encode(STAMP)))

    # The first has 60 tiles, the second 120, as its clock stood still.
    assert max(sizes) < 20 * 1024


def test_a_blob_begins_as_the_stores_have_it() -> None:
    blob = state_of(one(Function.COUNT, HOUR)).encode(STAMP)

    assert blob[:10] == b"\x92\xcf" + STAMP.to_bytes(8)


def test_a_state_of_another_plan_is_none_of_this() -> None:
    blob = state_of(one(Function.COUNT, HOUR)).encode(STAMP)

    assert State.decode(Plan([one(Function.COUNT, HOUR), one(Function.RATE, HOUR)]), blob)
    assert State.decode(Plan([one(Function.MAX, HOUR)]), blob) is None
    assert State.decode(Plan([one(Function.COUNT, DAY)]), blob) is None
    assert State.decode(Plan([Aggregate(Function.COUNT, 0, HOUR)]), blob) is None


def test_a_state_of_another_field_is_none_of_this() -> None:
    spent = [Aggregate(Function.SUM, 0, HOUR)]
    blob = State(Plan(spent, ["amount"])).encode(STAMP)

    assert State.decode(Plan(spent, ["amount"]), blob)
    assert State.decode(Plan(spent, ["tax"]), blob) is None


@pytest.mark.parametrize("values", [("a", "b"), (b"a", b"b"), (False, True), (1, 2), (0.5, 1.5)])
def test_the_last_may_be_of_any_type(values: Sequence[Any]) -> None:
    last = Aggregate(Function.LAST, 0, HOUR)
    first, second = values
    state = state_of(last)
    state.add(T - 2, "", [second], now_us=T)
    state.add(T - 1, "", [first], now_us=T)
    for each in (state, State.decode(Plan([last]), state.encode(STAMP))):
        assert each is not None
        (answer,) = each.read(T)
        assert answer == first
        assert type(answer) is type(first)
