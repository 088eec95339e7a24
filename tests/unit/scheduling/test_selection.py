"""The heaviest set that can be in time, against all the sets there are."""

import itertools
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.inference.scheduling import Ticket
from inferd.inference.scheduling.selection import heaviest
from support.scheduling import a_ticket


def fits(tickets: Sequence[Ticket], ends: Sequence[float], rows: Sequence[int]) -> bool:
    """Whether each can be in a batch that is back in time: earliest deadline first will tell."""
    left = [rows[0], *(more - less for less, more in itertools.pairwise(rows))]
    for ticket in sorted(tickets, key=lambda each: each.deadline):
        batch = next((at for at, places in enumerate(left) if places >= ticket.rows), None)
        if batch is None or ends[batch] > ticket.deadline:
            return False
        left[batch] -= ticket.rows
    return True


def chosen(tickets: Sequence[Ticket], may_go: Sequence[bool]) -> list[Ticket]:
    return [ticket for ticket, may in zip(tickets, may_go, strict=True) if may]


jobs = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from([0.5, 1, 2, 5]), st.sampled_from("abc")),
    max_size=8,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    jobs=jobs,
    gaps=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    places=st.lists(st.integers(1, 3), min_size=4, max_size=4),
    share=st.sampled_from([1.0, 2.0]),
)
def test_no_other_set_is_worth_more(
    jobs: list[tuple[int, float, str]], gaps: list[int], places: list[int], share: float
) -> None:
    tickets = [a_ticket(due, weight=weight, caller=who) for due, weight, who in sorted(jobs)]
    ends = list(itertools.accumulate(gaps))
    rows = list(itertools.accumulate(places[: len(gaps)]))

    found = chosen(tickets, heaviest(tickets, ends, rows, {"a": share}))

    assert fits(found, ends, rows)
    best = max(
        sum(ticket.weight for ticket in subset)
        for count in range(len(tickets) + 1)
        for subset in itertools.combinations(tickets, count)
        if fits(subset, ends, rows)
    )
    assert sum(ticket.weight for ticket in found) == best


def test_nobody_goes_who_is_late_for_the_first_batch() -> None:
    assert heaviest([a_ticket(1.0, weight=9.0), a_ticket(2.0)], [2.0], [8], {}) == [False, True]


def test_back_at_the_deadline_is_in_time() -> None:
    assert heaviest([a_ticket(2.0), a_ticket(3.0)], [2.0, 3.0], [1, 2], {}) == [True, True]


def test_who_can_wait_makes_way() -> None:
    """The heavy one takes a place in the second batch, where the others cannot be."""
    tickets = [a_ticket(1.0), a_ticket(1.0), a_ticket(2.0, weight=9.0), a_ticket(2.0)]

    assert heaviest(tickets, [1.0, 2.0], [2, 3], {}) == [True, True, True, False]


def test_large_requests_take_as_many_places_as_they_have_rows() -> None:
    tickets = [a_ticket(1.0, rows=3), a_ticket(1.0, rows=2), a_ticket(1.0, rows=1)]

    assert heaviest(tickets, [1.0], [4], {}) == [True, False, True]
    assert heaviest(tickets[1:], [1.0], [4], {}) == [True, True], "all that there is room for"


def test_between_equals_callers_take_turns() -> None:
    tickets = [a_ticket(caller=caller) for caller in "aaabbc"]

    assert heaviest(tickets, [1.0], [3], {}) == [True, False, False, True, False, True]
    assert heaviest(tickets, [1.0], [4], {}) == [True, True, False, True, False, True]


def test_a_share_of_two_has_two_turns_for_one() -> None:
    tickets = [a_ticket(caller=caller) for caller in "bbbaaa"]

    assert heaviest(tickets, [1.0], [3], {"a": 2.0}) == [True, False, False, True, True, False]
    assert heaviest(tickets, [1.0], [4], {"a": 2.0}) == [True, False, False, True, True, True]


def test_a_turn_is_as_long_as_a_request_has_rows() -> None:
    tickets = [a_ticket(rows=2, caller="a"), a_ticket(caller="b"), a_ticket(caller="b")]

    assert heaviest(tickets, [1.0], [2], {}) == [False, True, True]


def test_weight_goes_before_turns() -> None:
    tickets = [a_ticket(caller="a", weight=2.0), a_ticket(caller="a", weight=2.0), a_ticket()]

    assert heaviest(tickets, [1.0], [2], {}) == [True, True, False]
