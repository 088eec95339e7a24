"""When a newcomer would be answered: batches of `n` rows take `1 + n` ms, and eight fit."""

from typing import Any

import pytest

from inferd.inference.scheduling import Mode, Policy, Turns, buckets_of
from inferd.inference.scheduling.arrivals import Arrivals
from inferd.inference.scheduling.bound import Bound
from inferd.inference.scheduling.forecast import REVIEW_S, Forecast
from inferd.inference.scheduling.way_home import WayHome
from support.scheduling import MS, a_latency, a_ticket

ms = pytest.approx


def a_forecast(
    *within_ms: float,
    slots: int = 1,
    home_s: float = 0.0,
    turn_s: float = 0.0,
    arrivals: Arrivals | None = None,
    **policy: Any,
) -> Forecast:
    """Return one for callers who have had so much time, all at 0.0."""
    latency = a_latency(*buckets_of(8), base=MS, per_row=MS)
    arrivals = arrivals or Arrivals()
    for within in within_ms:
        arrivals.note(0.0, 1, within * MS)
    turns = Turns()
    turns.seconds = turn_s
    return Forecast(
        Policy(max_batch=8, **policy),
        latency,
        arrivals,
        WayHome(home_s),
        turns=turns,
        bound=Bound(8, latency),
        slots=slots,
    )


def test_those_ahead_leave_in_full_batches() -> None:
    forecast = a_forecast(25)

    assert forecast.finish(0.0, 1, 0, []) == ms(2 * MS)
    assert forecast.finish(0.0, 1, 2, []) == ms(4 * MS), "together"
    assert forecast.finish(0.0, 1, 8, [3 * MS]) == ms((3 + 9 + 2) * MS)
    assert forecast.finish(0.0, 1, 10, [3 * MS]) == ms((3 + 9 + 4) * MS)
    assert forecast.strict


def test_who_does_not_fit_into_a_batch_waits_for_the_next() -> None:
    forecast = a_forecast(25)

    assert forecast.finish(0.0, 3, 5, []) == ms(9 * MS)
    assert forecast.finish(0.0, 4, 5, []) == ms((9 + 5) * MS)
    assert forecast.finish(0.0, 4, 13, [3 * MS]) == ms((3 + 2 * 9 + 5) * MS)


def test_each_batch_leaves_with_the_instance_that_is_free_first() -> None:
    forecast = a_forecast(25, slots=2)

    assert forecast.finish(0.0, 1, 0, [3 * MS]) == ms(2 * MS), "the other is idle"
    assert forecast.finish(0.0, 1, 8, [3 * MS]) == ms((3 + 2) * MS)
    assert forecast.finish(0.0, 1, 16, [3 * MS]) == ms((9 + 2) * MS)
    assert forecast.finish(0.0, 1, 8, [3 * MS, 4 * MS]) == ms((4 + 2) * MS)
    assert forecast.finish(0.0, 1, 16, [3 * MS, 4 * MS]) == ms((3 + 9 + 2) * MS)
    assert forecast.finish(5 * MS, 1, 0, [3 * MS, 4 * MS]) == ms((5 + 2) * MS), "any moment"


def test_a_full_batch_leaves_as_soon_as_it_can() -> None:
    assert a_forecast(25).next_full(1 * MS, []) == ms(10 * MS)
    assert a_forecast(25).next_full(1 * MS, [3 * MS]) == ms(12 * MS)
    assert a_forecast(25, slots=2).next_full(1 * MS, [3 * MS]) == ms(10 * MS)


def test_full_is_what_callers_have_time_for() -> None:
    forecast = a_forecast(6.5)
    assert forecast.next_full(0.0, []) == ms(6 * MS), "five rows"
    assert forecast.rows_per_s() == ms(5 / (6 * MS))
    assert forecast.finish(0.0, 1, 5, []) == ms((6 + 2) * MS)

    assert a_forecast(6.5, home_s=0.6 * MS).next_full(0.0, []) == ms(5 * MS), "four"
    assert a_forecast(0.5).next_full(0.0, []) == ms(2 * MS), "one at least"


def test_who_is_larger_than_that_has_a_batch_of_its_own() -> None:
    assert a_forecast(6.5).finish(0.0, 7, 0, []) == ms(8 * MS)
    assert a_forecast(6.5).finish(0.0, 7, 1, []) == ms((6 + 8) * MS)


def test_full_is_what_serves_most_callers() -> None:
    """Of 10 ms a batch of 9 leaves 1 to collect it in; one of 6 leaves 4, for its five rows."""
    arrivals = Arrivals()
    for call in range(1500):
        arrivals.note(call * MS / 3, 1, 10 * MS)
        arrivals.rows_per_s(call * MS / 3)
    forecast = a_forecast(arrivals=arrivals)

    assert forecast.next_full(0.5, []) - 0.5 == ms(6 * MS, abs=1.1 * MS)


def test_a_batch_fills_until_it_leaves() -> None:
    arrivals = Arrivals()
    for call in range(500):
        arrivals.note(call * MS, 1, 30 * MS)
        arrivals.rows_per_s(call * MS)
    forecast = a_forecast(arrivals=arrivals)

    assert forecast.finish(0.5, 1, 0, [0.503]) == ms(0.503 + 5 * MS, abs=0.1 * MS), "three more"
    assert forecast.finish(0.5, 1, 0, [0.520]) == ms(0.520 + 9 * MS, abs=0.1 * MS), "up to full"


def test_where_times_differ_nobody_else_is_expected() -> None:
    arrivals = Arrivals()
    for call in range(500):
        arrivals.note(call * MS, 1, (30 if call % 2 else 90) * MS)
        arrivals.rows_per_s(call * MS)

    assert a_forecast(arrivals=arrivals).finish(0.5, 1, 0, [0.503]) == ms(0.503 + 2 * MS)
    protecting = a_forecast(arrivals=arrivals, mode=Mode.FAIL_FAST)
    assert protecting.finish(0.5, 1, 0, [0.504]) == ms(0.504 + 4 * MS, abs=1 * MS), "half of them"
    assert protecting.strict


def test_where_times_differ_full_is_as_many_as_fit() -> None:
    forecast = a_forecast(6.5, 90)

    assert forecast.next_full(0.0, []) == ms(9 * MS)
    assert forecast.finish(0.0, 1, 1.5, []) == ms(4 * MS), "parts of rows count"
    assert not forecast.strict
    assert forecast.rows_per_s() == ms(8 / (9 * MS))


def test_only_who_is_promised_an_answer_has_the_margin() -> None:
    promised, left_to_choose = a_forecast(25), a_forecast(5, 25)
    for forecast in (promised, left_to_choose):
        forecast._latency.observe(8, 9.1 * MS)
    margin = promised._latency.margin

    assert margin > 1.04
    assert promised.finish(0.0, 1, 0, []) == ms(2 * MS * margin, rel=0.01)
    assert left_to_choose.finish(0.0, 1, 0, []) == ms(2 * MS, rel=0.01)


def test_each_batch_waits_for_its_turn() -> None:
    forecast = a_forecast(25, turn_s=2 * MS)

    assert forecast.finish(0.0, 1, 0, []) == ms((2 + 2) * MS)
    assert forecast.finish(0.0, 1, 8, []) == ms((2 + 9 + 2 + 2) * MS)
    assert forecast.rows_per_s() == ms(8 / (11 * MS))
    assert a_forecast(6.5, turn_s=2 * MS).next_full(0.0, []) == ms(6 * MS), "three rows"


def test_callers_are_looked_at_now_and_then() -> None:
    arrivals = Arrivals()
    forecast = a_forecast(25, arrivals=arrivals)
    assert forecast.next_full(0.0, []) == ms(9 * MS)
    arrivals.note(1 * MS, 1, 15 * MS)
    arrivals.note(1 * MS, 1, 90 * MS)

    forecast.finish(0.9 * REVIEW_S, 1, 0, [])
    assert forecast.strict, "not yet"
    forecast.finish(REVIEW_S, 1, 0, [])
    assert not forecast.strict


def test_who_joins_makes_the_first_of_its_batch_late_unless_it_can_wait() -> None:
    forecast = a_forecast(25)
    first = a_ticket(2.5 * MS)

    assert forecast.makes_late(0.0, a_ticket(3.5 * MS), 1, [first], [])
    assert not forecast.makes_late(0.0, a_ticket(4.5 * MS), 1, [first], []), "2 ms, and 2 more"
    assert not forecast.makes_late(0.0, a_ticket(3.5 * MS), 1, [a_ticket(3.1 * MS)], [])


def test_who_comes_between_makes_those_late_who_move_to_the_next_batch() -> None:
    forecast = a_forecast(25)
    waiting = [a_ticket((20 + at) * MS) for at in range(8)]

    assert not forecast.makes_late(0.0, a_ticket(20 * MS), 0, waiting, [])
    waiting[-1] = a_ticket(10.5 * MS)
    assert forecast.makes_late(0.0, a_ticket(20 * MS), 0, waiting, []), "9 ms, and 2 more"
    waiting[-1] = a_ticket(11.5 * MS)
    assert not forecast.makes_late(0.0, a_ticket(20 * MS), 0, waiting, [])
