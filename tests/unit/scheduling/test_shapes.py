"""Each shape has its factor."""

import pytest

from inferd.inference.scheduling import LatencyModel, Policy, Scheduler, Ticket, buckets_of
from inferd.inference.scheduling.shapes import ENOUGH, MOST, Shapes

MS = 0.001


def test_a_shape_that_is_not_known_takes_as_long_as_any() -> None:
    shapes = Shapes()

    assert shapes.factor("short") == 1.0
    assert not shapes.learnt("short")
    assert shapes.learnt(None), "where there are no shapes there is nothing to learn"


def test_the_first_runs_count_alike_and_later_ones_are_forgotten() -> None:
    shapes = Shapes()
    for off in (2.0, 8.0):
        shapes.note("long", off)
    assert shapes.factor("long") == pytest.approx(4.0)

    for _ in range(40):
        shapes.note("long", 0.5)
    assert shapes.factor("long") == pytest.approx(0.5, rel=0.01)
    assert shapes.longest == 1.0


def test_it_is_learnt_after_some_runs() -> None:
    shapes = Shapes()
    for _ in range(ENOUGH):
        assert not shapes.learnt("long")
        shapes.note("long", 2.0)

    assert shapes.learnt("long")
    assert shapes.longest == pytest.approx(2.0)


def test_callers_cannot_fill_its_memory() -> None:
    shapes = Shapes()
    for length in range(MOST + 10):
        shapes.note(length, 3.0)
        shapes.note("always", 2.0)

    assert shapes.factor("always") == pytest.approx(2.0)
    assert shapes.factor(0) == 1.0, "the one that was not seen for longest is forgotten"


def a_model() -> LatencyModel:
    latency = LatencyModel(buckets_of(4))
    for rows in latency.buckets:
        latency.seed(rows, (2 + rows) * MS)
    return latency


def test_every_shape_is_predicted_by_its_own_runs() -> None:
    latency = a_model()
    for _ in range(40):
        for shape, factor in (("short", 0.5), ("long", 4.0)):
            latency.observe(2, 4 * MS * factor, shape)

    assert latency.expect(2) * latency.margin == pytest.approx(latency.predict(2))
    ratio = latency.predict(4, "long") / latency.predict(4, "short")
    assert ratio == pytest.approx(8.0, rel=0.05)
    assert latency.predict(2, "long") >= 15.9 * MS
    assert latency.longest_s >= latency.predict(4, "long")


def test_a_new_shape_does_not_change_what_is_known_of_others() -> None:
    latency = a_model()
    before = latency.predict(2)

    for _ in range(ENOUGH):
        latency.observe(2, 40 * MS, "long")

    assert latency.expect(2) == pytest.approx(4 * MS)
    assert latency.predict(2) == pytest.approx(before)


def test_who_takes_longer_is_given_up_earlier() -> None:
    latency = a_model()
    for _ in range(20):
        latency.observe(1, 3 * MS, "short")
        latency.observe(1, 30 * MS, "long")
    scheduler = Scheduler(Policy(max_batch=4, guard_s=0.0), latency)
    busy = Ticket(rows=1, deadline=9.0, arrived=0.0, key="short")
    assert scheduler.enter(0.0, busy) is None
    assert scheduler.pick(0.0) is not None
    short = Ticket(rows=1, deadline=60 * MS, arrived=0.0, key="short")
    long = Ticket(rows=1, deadline=70 * MS, arrived=0.0, key="long")
    for ticket in (short, long):
        assert scheduler.enter(0.0, ticket) is None

    assert scheduler.wake_at(0.0) < 42 * MS, "when the long one must have begun"
    assert [drop.ticket for drop in scheduler.given_up(45 * MS)] == [long]
