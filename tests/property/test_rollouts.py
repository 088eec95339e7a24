"""Who gets a new version keeps it while its share grows; windows are what a recount says."""

from hypothesis import given
from hypothesis import strategies as st

from inferd.app.rollouts import placed
from inferd.config.rollouts import Rollout as Settings
from inferd.experiments.guardrails import UnitSums
from inferd.inference.rollout import Rollout
from inferd.resilience.comparison import BUCKETS, Recently

PERCENT = st.floats(0, 100)
EVENTS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4), st.integers(-3, 9)))
"""How much later than the one before, whose, and how much."""


def rollout(percent: float) -> Rollout:
    settings = Settings(stable=1, canary=2, percent=percent)
    return Rollout("m", settings, placed("rollout:m:2"))


@given(PERCENT, PERCENT, st.text(min_size=1))
def test_a_larger_share_moves_nobody_back(one: float, other: float, key: str) -> None:
    few, many = sorted((one, other))

    assert rollout(many).gets_canary(key) >= rollout(few).gets_canary(key)


@given(EVENTS)
def test_a_window_holds_what_came_in_its_buckets(events: list[tuple[int, int, int]]) -> None:
    recent, now, seen = Recently(10.0 * BUCKETS), 0, list[tuple[int, int]]()
    for later, _, value in events:
        now += later
        recent.add(value, now)
        seen.append((now // 10, value))

    found = recent.moments(now)

    values = [value for bucket, value in seen if bucket > now // 10 - BUCKETS]
    expected = len(values), sum(values), sum(value * value for value in values)
    assert (found.count, found.total, found.squares) == expected


@given(EVENTS)
def test_sums_of_units_are_those_of_a_recount(events: list[tuple[int, int, int]]) -> None:
    sums, now, units = UnitSums(10.0 * BUCKETS), 0, dict[str, tuple[int, int]]()
    for later, number, amount in events:
        now += later
        units = {who: it for who, it in units.items() if it[0] > now // 10 - BUCKETS}
        sums.moments(now)
        who = str(number)
        sums.came(who, now)
        sums.did(who, amount)
        since, before = units.get(who, (now // 10, 0))
        units[who] = since, before + amount

    found = sums.moments(now)

    values = [value for _, value in units.values()]
    expected = len(values), sum(values), sum(value * value for value in values)
    assert (found.count, found.total, found.squares) == expected
