"""Gradient2: a limit to the calls in the server that shrinks when calls get slower."""

from inferd.inference.scheduling import Reason
from inferd_perf.simulation.baselines.gradient import LEAST, Gradient2, GradientLimit
from unit.perf.baselines.rules import MS, a_setting, a_ticket, dropped, enter, leaves


def a_limit(*, most: float = 200.0) -> GradientLimit:
    return GradientLimit(tolerance=1.5, window_s=0.1, queue=4.0, most=most)


def windows(limit: GradientLimit, *, since: int, count: int, ms: float, peak: int = 1000) -> None:
    """Have windows pass in which twelve calls end after `ms` each."""
    for window in range(since, since + count):
        for call in range(12):
            limit.entered(peak)
            limit.sample(0.1 * window + 0.009 * call, ms * MS)


def test_the_limit_grows_while_calls_are_as_fast_as_ever() -> None:
    limit = a_limit()
    windows(limit, since=0, count=20, ms=5.0)

    assert LEAST + 10 < limit.value < LEAST + 0.8 * 20


def test_the_limit_shrinks_when_calls_get_slower() -> None:
    limit = a_limit()
    windows(limit, since=0, count=100, ms=5.0)
    before = limit.value

    windows(limit, since=100, count=3, ms=50.0)

    assert limit.value < 0.8 * before


def test_the_limit_stays_within_its_bounds() -> None:
    limit = a_limit(most=30.0)
    windows(limit, since=0, count=100, ms=5.0)
    assert limit.value == 30.0
    windows(limit, since=100, count=30, ms=500.0)
    assert limit.value == LEAST


def test_a_limit_that_nobody_comes_near_does_not_move() -> None:
    limit = a_limit()
    windows(limit, since=0, count=20, ms=5.0, peak=9)

    assert limit.value == LEAST


def test_a_little_slower_is_tolerated() -> None:
    limit = a_limit()
    windows(limit, since=0, count=50, ms=5.0)
    before = limit.value
    windows(limit, since=50, count=5, ms=7.0)

    assert limit.value > before


def test_who_comes_over_the_limit_is_refused_and_a_place_is_free_when_somebody_goes() -> None:
    policy = Gradient2(a_setting())
    tickets = [a_ticket() for _ in range(int(LEAST))]
    enter(policy, *tickets)

    refused = policy.enter(0.0, a_ticket())
    assert refused is not None
    assert refused.reason is Reason.SHED

    assert policy.cancel(tickets[-1])
    enter(policy, a_ticket())
    assert policy.enter(0.0, a_ticket()) is not None


def test_who_runs_has_a_place_until_the_run_is_over() -> None:
    policy = Gradient2(a_setting())
    enter(policy, *[a_ticket() for _ in range(int(LEAST))])
    run = policy.pick(0.0)
    assert run is not None
    assert policy.enter(0.0, a_ticket()) is not None

    policy.finished(6 * MS, run)
    enter(policy, *[a_ticket() for _ in run.tickets])
    assert policy.enter(6 * MS, a_ticket()) is not None


def test_who_is_past_the_deadline_is_left_out_and_makes_room() -> None:
    policy = Gradient2(a_setting())
    late, fine = a_ticket(1.0), [a_ticket() for _ in range(int(LEAST) - 1)]
    enter(policy, late, *fine)

    assert leaves(policy, 2.0) == fine[:8]
    assert dropped(policy, 2.0) == [late]
    enter(policy, a_ticket())
