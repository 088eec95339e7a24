"""What the scheduler decides by: forecasts, arrivals and run times, for any input."""

import itertools
import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.inference.scheduling import LatencyModel, Policy
from inferd.inference.scheduling.arrivals import ALIKE, EPOCH_S, TICK_S, Arrivals
from inferd.inference.scheduling.bound import Bound
from inferd.inference.scheduling.forecast import Forecast
from inferd.inference.scheduling.latency import MOST_LEVEL
from inferd.inference.scheduling.turns import Turns
from inferd.inference.scheduling.way_home import WayHome

MS = 0.001
#: Sums of floats are not exact.
EPSILON = 1e-9


def served_in_order(
    now: float, ahead: int, ends: list[float], takes_s: Callable[[int], float], *, slots: int
) -> float:
    """Return when the last of `ahead` + 1 rows would be answered, by doing it all on paper."""
    free = sorted([*(max(now, end) for end in ends), *[now] * (slots - len(ends))])
    left = ahead + 1
    while left > 8:
        left -= 8
        free = sorted([*free[1:], free[0] + takes_s(8)])
    return free[0] + takes_s(left)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    ahead=st.integers(0, 60),
    ends_ms=st.lists(st.floats(0.0, 5.0), max_size=3),
    slots=st.integers(1, 3),
    base_ms=st.floats(0.5, 5.0),
    per_row_ms=st.floats(0.0, 1.0),
)
def test_the_forecast_is_what_would_come_if_nothing_changed(
    ahead: int, ends_ms: list[float], slots: int, base_ms: float, per_row_ms: float
) -> None:
    latency = LatencyModel(range(1, 9))
    for rows in latency.buckets:
        latency.seed(rows, (base_ms + per_row_ms * rows) * MS)
    arrivals = Arrivals()
    for within_s in (0.001, 1.0):
        arrivals.note(0.0, 1, within_s)
    policy = Policy(max_batch=8, instances=slots)
    forecast = Forecast(
        policy,
        latency,
        arrivals,
        WayHome(policy.guard_s),
        turns=Turns(),
        bound=Bound(policy.max_batch, latency),
        slots=slots,
    )
    # Runs under way began within the time that one takes: nobody is free twice before another.
    ends = sorted(min(end, base_ms) * MS for end in ends_ms[:slots])

    finish = forecast.finish(0.0, 1, ahead, ends)

    exact = served_in_order(0.0, ahead, ends, latency.expect, slots=slots)
    assert not forecast.strict
    assert finish == pytest.approx(exact)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    times_ms=st.lists(st.floats(0.0, 20.0), min_size=1, max_size=60),
    within_ms=st.lists(st.floats(1.0, 100.0), min_size=60, max_size=60),
)
def test_what_is_remembered_of_arrivals_is_what_arrived_of_late(
    times_ms: list[float], within_ms: list[float]
) -> None:
    arrivals, now, seen = Arrivals(), 0.0, []
    for step, within in zip(times_ms, within_ms, strict=False):
        now += step * MS
        arrivals.note(now, 1, within * MS)
        seen.append((now, within * MS))
        recent = [each for at, each in seen if at > now - EPOCH_S + EPSILON]
        older = [each for at, each in seen if at > now - 3 * EPOCH_S]
        assert min(older) <= arrivals.within_s.least <= min(recent)
        if max(recent) > ALIKE * min(recent):
            assert not arrivals.alike
        if max(older) <= ALIKE * min(older):
            assert arrivals.alike
        assert 0 <= arrivals.rows_per_s(now) <= len(seen) / TICK_S


seconds = st.floats(1e-6, 1.0)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    buckets=st.sets(st.integers(1, 64), min_size=1, max_size=8),
    seeds=st.lists(st.tuples(st.integers(1, 64), seconds), max_size=10),
    runs=st.lists(st.tuples(st.integers(1, 64), seconds), max_size=60),
)
def test_more_rows_never_take_less_time(
    buckets: set[int], seeds: list[tuple[int, float]], runs: list[tuple[int, float]]
) -> None:
    latency = LatencyModel(sorted(buckets))
    largest = max(buckets)
    for rows, seconds in seeds:
        latency.seed(min(rows, largest), seconds)
    for rows, seconds in runs:
        latency.observe(min(rows, largest), seconds)

    predicted = [latency.predict(rows) for rows in range(1, largest + 1)]

    assert all(less <= more for less, more in itertools.pairwise(predicted))
    # A run counts at most double for the bucket it is nearest to, and for others by the level.
    most = 2 * MOST_LEVEL**2 * max([seconds for _, seconds in (*seeds, *runs)], default=0.0)
    assert all(0 <= each <= most * math.e + EPSILON for each in predicted)
