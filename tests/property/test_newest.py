"""Lists of the newest events against a list of all events, which is sorted for every answer."""

import random
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from inferd.features.windows import Added, Aggregate, Function, Newest, Plan, State
from inferd.features.windows.aggregates import Answer

S = 1_000_000
HOUR = 3600 * S
T = 1_700_000_000 * S
STAMP = 2**50

PLAN = Plan(
    [
        Newest(0, 3 * HOUR, 5),
        Aggregate(Function.COUNT, None, HOUR),
        Newest(2, HOUR, 3),
        Newest(0, HOUR, 3),
    ],
    ["item", "amount", "kind"],
)
ALONE = Plan([Newest(0, HOUR, 2)], ["item"])


class Given(NamedTuple):
    """An event."""

    event_us: int
    item: str | None
    kind: str | None


ages = st.integers(0, 4 * HOUR) | st.sampled_from([0, 0, 1, HOUR, 3 * HOUR])
texts = st.sampled_from(["", "a", "b", "ä", None])
happened = st.builds(lambda age, *said: Given(T - age, *said), ages, texts, texts)
events = st.lists(happened, max_size=16)


def plainly(given: list[Given], at_us: int) -> tuple[Answer, ...]:
    """Return what a list of all events says."""
    rows = sorted(each for each in given if None not in each and each.event_us <= at_us)[::-1]
    long = [each for each in rows if each.event_us > at_us - 3 * HOUR]
    short = [each for each in rows if each.event_us > at_us - HOUR][:3]
    return (
        tuple(each.item for each in long[:5] if each.item is not None),
        tuple(each.kind for each in short if each.kind is not None),
        tuple(each.item for each in short if each.item is not None),
    )


def lists(state: State, at_us: int) -> tuple[Answer, ...]:
    longer, _, *short = state.read(at_us)
    return longer, *short


def fill(given: list[Given], *, now_us: int | None = None) -> State:
    """Return a state of events, each when it happened, or all when it is `now_us`."""
    state = State(PLAN)
    for number, (event_us, item, kind) in enumerate(given):
        state.add(event_us, f"{number}", [item, 1.0, kind], now_us=now_us or event_us)
    return state


def again(state: State) -> State:
    decoded = State.decode(PLAN, state.encode(STAMP))
    assert decoded is not None
    return decoded


@given(given=events, later_us=st.integers(0, 4 * HOUR))
def test_lists_are_as_a_list_of_all_says_in_whichever_order_events_come(
    given: list[Given], later_us: int
) -> None:
    state = fill(given, now_us=T)

    assert lists(state, T) == plainly(given, T)
    assert lists(state, T + later_us) == plainly(given, T + later_us)


@given(given=events, order=st.randoms(use_true_random=False))
def test_neither_the_order_nor_duplicates_nor_being_bytes_in_between_matters(
    given: list[Given], order: random.Random
) -> None:
    numbered = [it for it in enumerate(given) if it[1].event_us > T - 3 * HOUR]
    state = State(PLAN)
    for number, (event_us, item, kind) in order.sample(numbered, len(numbered)):
        assert state.add(event_us, f"{number}", [item, None, kind], now_us=T) is Added.ADDED
        state = again(state)
        assert state.add(event_us, f"{number}", [item, None, kind], now_us=T) is Added.DUPLICATE

    assert lists(state, T) == plainly(given, T)


@given(given=events, ahead=st.lists(st.integers(1, 300 * S), max_size=5))
def test_what_is_ahead_of_its_time_waits_for_it_and_pushes_nothing_out(
    given: list[Given], ahead: list[int]
) -> None:
    coming = [Given(T + ahead_us, "soon", "soon") for ahead_us in ahead]
    state = fill([*coming, *given], now_us=T)

    assert lists(state, T) == plainly(given, T)
    assert lists(state, T + 300 * S) == plainly([*given, *coming], T + 300 * S)


@given(times=st.lists(st.integers(-300 * S, 300 * S), max_size=30))
def test_however_many_events_there_are_few_are_kept(times: list[int]) -> None:
    state = fill([Given(T + time_us, "item", "kind") for time_us in times], now_us=T)
    most = fill([Given(T + number, "item", "kind") for number in range(-5, 6)], now_us=T)

    spare = 12 * len(times)  # for ids, and for the tiles of the count
    assert len(state.encode(STAMP)) <= len(most.encode(STAMP)) + spare


@given(times=st.lists(st.integers(0, 2 * HOUR), max_size=20))
def test_a_view_of_nothing_but_a_list_needs_no_tiles(times: list[int]) -> None:
    state = State(ALONE)
    for number, age_us in enumerate(times):
        state.add(T - age_us, "", [f"{number:02}"], now_us=T)
    known = sorted((T - age_us, f"{number:02}") for number, age_us in enumerate(times))

    inside = [text for at_us, text in reversed(known) if at_us > T - HOUR]
    assert state.read(T) == (tuple(inside[:2]),)
    decoded = State.decode(ALONE, state.encode(STAMP))
    assert decoded is not None
    assert decoded.read(T) == state.read(T)
