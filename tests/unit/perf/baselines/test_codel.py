"""CoDel and adaptive LIFO: when a queue stands, the newest go first and the old are dropped."""

from inferd.inference.scheduling import Ticket
from inferd_perf.simulation.baselines.codel import Codel, CodelLifo
from unit.perf.baselines.rules import MS, a_setting, a_ticket, dropped, enter, leaves


def an_overloaded(*, max_batch: int = 2) -> CodelLifo:
    """Where a queue has stood for longer than an interval, and is empty now."""
    policy = CodelLifo(a_setting(max_batch=max_batch), target_s=5 * MS, interval_s=100 * MS)
    for at_ms in (0.0, 60.0, 120.0, 180.0, 240.0):
        ticket = a_ticket(at_ms=at_ms - 8.0)
        enter(policy, ticket)
        run = policy.pick(at_ms * MS)
        assert run is not None, "nobody is dropped who is younger than twice the target"
        policy.finished((at_ms + 3) * MS, run)
    return policy


def test_a_queue_that_does_not_stand_is_first_come_first_served() -> None:
    policy = CodelLifo(a_setting(max_batch=2))
    tickets = [a_ticket(at_ms=at) for at in (0.0, 1.0, 2.0)]
    enter(policy, *tickets)

    assert leaves(policy, 50.0) == tickets[:2], "however old: a burst is not overload"
    assert dropped(policy, 50.0) == []


def test_a_queue_that_stands_is_last_come_first_served() -> None:
    policy = an_overloaded()
    tickets = [a_ticket(at_ms=at) for at in (294.0, 296.0, 298.0)]
    enter(policy, *tickets)

    assert leaves(policy, 300.0) == tickets[1:]
    assert dropped(policy, 300.0) == []


def test_who_has_waited_for_twice_the_target_is_let_go_under_overload() -> None:
    policy = an_overloaded()
    old, young = a_ticket(at_ms=289.0), a_ticket(at_ms=291.0)
    enter(policy, old, young)

    assert leaves(policy, 300.0) == [young]
    assert dropped(policy, 300.0) == [old]


def test_a_batch_from_the_end_of_the_queue_holds_what_fits() -> None:
    policy = an_overloaded(max_batch=4)
    tickets: list[Ticket] = [a_ticket(at_ms=295.0 + at, rows=rows) for at, rows in
                             enumerate((1, 3, 2, 1))]  # fmt: skip
    enter(policy, *tickets)

    assert leaves(policy, 300.0) == tickets[2:]


def test_overload_begins_and_ends_with_the_least_delay_of_an_interval() -> None:
    codel = Codel(target_s=5 * MS, interval_s=100 * MS)

    def overloaded(at_ms: float, delay_ms: float) -> bool:
        codel.note(at_ms * MS, delay_ms * MS)
        return codel.overloaded

    assert not overloaded(0.0, 9.0), "one delay alone says nothing"
    assert overloaded(1.0, 9.0)
    assert overloaded(50.0, 1.0), "the interval is not over"
    assert not overloaded(102.0, 9.0), "one short delay, and the queue did not stand"
    assert not overloaded(150.0, 9.0)
    assert overloaded(203.0, 9.0)


def test_a_server_that_keeps_up_is_never_overloaded_however_long_it_runs() -> None:
    policy = CodelLifo(a_setting(max_batch=2), target_s=5 * MS, interval_s=100 * MS)
    for at_ms in range(1000, 2000, 50):
        tickets = [a_ticket(at_ms=at_ms - 4.0 + at) for at in range(3)]
        enter(policy, *tickets)
        run = policy.pick(at_ms * MS)
        assert run is not None
        assert list(run.tickets) == tickets[:2], "in order of arrival"
        policy.finished((at_ms + 3) * MS, run)
        rest = policy.pick((at_ms + 3) * MS)
        assert rest is not None
        policy.finished((at_ms + 6) * MS, rest)
