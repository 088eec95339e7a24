"""What waiting for a core costs is counted, and forecast."""

import pytest

from inferd.inference.scheduling import LatencyModel, Policy, Scheduler, Ticket, Turns, buckets_of

MS = 0.001


def test_the_wait_is_counted_from_when_it_began() -> None:
    turns = Turns()
    turns.hold(1.0)
    turns.hold(2.0)
    turns.go(3.0)

    assert turns.seconds == pytest.approx(0.1 * 2.0)


def test_who_does_not_wait_brings_the_average_down() -> None:
    turns = Turns()
    turns.hold(0.0)
    turns.go(1.0)
    before = turns.seconds

    turns.go(2.0)

    assert turns.seconds == pytest.approx(0.9 * before)


def test_a_wait_that_came_to_nothing_is_not_counted() -> None:
    turns = Turns()
    turns.hold(0.0)
    turns.give_up()
    turns.go(5.0)

    assert turns.seconds == 0.0


def test_where_batches_wait_for_their_turn_the_door_closes_earlier() -> None:
    latency = LatencyModel(buckets_of(4))
    for rows in latency.buckets:
        latency.seed(rows, 10 * MS)
    turns = Turns()
    free, waiting = (
        Scheduler(Policy(max_batch=4, guard_s=0.0), latency, each) for each in (None, turns)
    )
    for _ in range(50):
        turns.hold(0.0)
        turns.go(8 * MS)
    for scheduler in (free, waiting):
        assert scheduler.enter(0.0, Ticket(rows=1, deadline=1.0, arrived=0.0)) is None
        assert scheduler.pick(0.0) is not None

    tight = [Ticket(rows=1, deadline=25 * MS, arrived=0.0) for _ in range(2)]

    assert free.enter(0.0, tight[0]) is None, "10 ms, and 10 more"
    assert waiting.enter(0.0, tight[1]) is not None, "and 8 until it is its turn"
