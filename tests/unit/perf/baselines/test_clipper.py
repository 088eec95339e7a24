"""Clipper: additive increase, multiplicative decrease, earliest deadline first."""

from inferd_perf.simulation.baselines.clipper import Clipper
from unit.perf.baselines.rules import a_setting, a_ticket, dropped, enter, leaves, serve


def test_the_size_grows_with_every_full_batch_that_is_fast_enough() -> None:
    policy = Clipper(a_setting(20.0), step=1.0)
    assert policy.limit == 1

    serve(policy, 0.0, for_ms=3.0, tickets=[a_ticket()])
    serve(policy, 10.0, for_ms=3.0, tickets=[a_ticket(), a_ticket()])
    assert policy.limit == 3

    serve(policy, 20.0, for_ms=3.0, tickets=[a_ticket()])
    assert policy.limit == 3, "a batch that is not full says nothing"


def test_the_size_shrinks_in_proportion_when_a_batch_misses_the_objective() -> None:
    policy = Clipper(a_setting(20.0), step=4.0, back_off=0.5, objective=1.0)
    serve(policy, 0.0, for_ms=3.0, tickets=[a_ticket()])
    serve(policy, 10.0, for_ms=3.0, tickets=[a_ticket() for _ in range(5)])
    assert policy.limit == 8, "no more than fit into a batch"

    serve(policy, 20.0, for_ms=20.1, tickets=[a_ticket()])
    assert policy.limit == 4
    serve(policy, 50.0, for_ms=20.1, tickets=[a_ticket()])
    serve(policy, 80.0, for_ms=20.1, tickets=[a_ticket()])
    serve(policy, 110.0, for_ms=20.1, tickets=[a_ticket()])
    assert policy.limit == 1, "and no fewer than one"


def test_the_earliest_deadlines_go_and_only_the_expired_are_dropped() -> None:
    policy = Clipper(a_setting(20.0), step=1.0)
    expired, doomed, patient = a_ticket(1.0), a_ticket(2.0), a_ticket(90.0)
    enter(policy, patient, doomed, expired)

    assert leaves(policy, 1.5) == [doomed], "it will be late, and nobody predicts it"
    assert dropped(policy, 1.5) == [expired]


def test_the_head_limits_the_batch_where_that_is_asked_for() -> None:
    limited = Clipper(a_setting(20.0), step=7.0, head_limited=True)
    serve(limited, 0.0, for_ms=2.4, tickets=[a_ticket()])
    tickets = [a_ticket(104.5, at_ms=100.0), *[a_ticket(190.0, at_ms=100.0) for _ in range(7)]]
    enter(limited, *tickets)

    assert limited.limit == 8
    assert leaves(limited, 100.0) == tickets[:4], "0.92 of 4.5 ms: four take 4"
