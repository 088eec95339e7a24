"""Who waits, in order, and what they add up to."""

from inferd.inference.scheduling import Ticket
from inferd.inference.scheduling.queue import Queue
from support.scheduling import a_ticket


def a_queue(*tickets: Ticket, by_arrival: bool = False) -> Queue:
    queue = Queue(by_arrival=by_arrival)
    for ticket in tickets:
        queue.insert(queue.place(ticket), ticket)
    return queue


def test_the_earliest_deadline_is_first_and_equals_keep_their_order() -> None:
    tickets = [a_ticket(due) for due in (3.0, 1.0, 2.0, 1.0, 3.0)]

    queue = a_queue(*tickets)

    assert list(queue) == [tickets[at] for at in (1, 3, 2, 0, 4)]
    assert queue[0] is tickets[1]
    assert len(queue) == 5


def test_by_arrival_deadlines_do_not_matter() -> None:
    tickets = [a_ticket(3.0, arrived=0.1), a_ticket(9.0, arrived=0.0)]

    assert list(a_queue(*tickets, by_arrival=True)) == tickets[::-1]


def test_a_level_goes_before_the_next_and_who_is_put_back_between() -> None:
    low, high, back, later = (a_ticket(due, level=1 + (due == 1.0)) for due in (1.0, 2.0, 3.0, 9.0))
    queue = a_queue(low, high, back, later)

    queue.put_back(queue.find(back))

    assert list(queue) == [high, later, back, low]
    assert back.put_back
    assert [queue.find(each) for each in (high, later, back, low)] == [0, 1, 2, 3]


def test_those_who_are_put_back_are_in_order_among_themselves() -> None:
    tickets = [a_ticket(due) for due in (1.0, 2.0, 3.0)]
    queue = a_queue(*tickets)

    queue.put_back(queue.find(tickets[1]))
    queue.put_back(queue.find(tickets[0]))

    assert list(queue) == [tickets[2], tickets[0], tickets[1]]


def test_a_place_is_where_a_ticket_will_be() -> None:
    queue = a_queue(*(a_ticket(due) for due in (1.0, 2.0, 2.0, 3.0)))

    assert [queue.place(a_ticket(due)) for due in (0.5, 1.0, 2.0, 2.5, 3.0, 9.0)] == [
        0, 1, 3, 3, 4, 4,
    ]  # fmt: skip
    assert a_queue().place(a_ticket()) == 0


def test_it_finds_nobody_who_does_not_wait_here() -> None:
    here, gone, never = a_ticket(1.0), a_ticket(2.0), a_ticket(1.0)
    queue = a_queue(here, gone)
    queue.remove((1,))

    assert queue.find(here) == 0
    assert queue.find(gone) == -1
    assert queue.find(never) == -1
    assert queue.find(a_ticket(9.0)) == -1


def test_it_counts_who_waits() -> None:
    queue = a_queue(
        a_ticket(rows=3, caller="a", level=1, weight=2.0),
        a_ticket(rows=2, caller="a", level=2),
        a_ticket(caller="b", level=2),
    )

    assert queue.rows == 6
    assert queue.by_caller == {"a": 5, "b": 1}
    assert queue.by_level == {1: 1, 2: 2}
    assert queue.by_weight == {2.0: 1, 1.0: 2}


def test_it_forgets_who_has_left() -> None:
    queue = a_queue(a_ticket(rows=3, caller="a", weight=2.0), a_ticket(rows=2, level=1))
    queue.put_back(0)

    queue.remove((0, 1))

    assert len(queue) == queue.rows == 0
    assert queue.by_caller == queue.by_level == queue.by_weight == {}


def test_any_positions_can_be_removed() -> None:
    tickets = [a_ticket(float(at)) for at in range(6)]
    for positions in ((), (0,), (0, 1), (1, 2), (0, 2), (5,), (0, 5), (1, 3, 5), range(6)):
        queue = a_queue(*tickets)
        queue.remove(positions)
        assert list(queue) == [each for at, each in enumerate(tickets) if at not in positions]
