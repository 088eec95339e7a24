"""How big a batch should be: batches of `n` rows take `1 + n` ms, and eight fit."""

import math
from itertools import accumulate
from typing import Any

from inferd.inference.scheduling import buckets_of
from inferd.inference.scheduling.bound import Bound
from inferd.inference.scheduling.sizes import Crowd, Sizes
from inferd.inference.scheduling.way_home import WayHome
from support.scheduling import MS, a_latency

#: The rows that full batches serve in a second.
FULL_PER_S = 8 / (9 * MS)


def best(
    *due_ms: float, home_s: float = 0.0, worth: list[float] | None = None, **crowd: Any
) -> int:
    """Return the best size for those who are due at these times, one row each, now."""
    latency = a_latency(*buckets_of(8), base=MS, per_row=MS)
    sizes = Sizes(Bound(8, latency), latency, WayHome(home_s))
    rest: dict[str, Any] = {"rows_each": 1.0, "rows_per_s": FULL_PER_S, "load": 0.0, **crowd}
    if worth is not None:
        rest["worth"] = [0.0, *accumulate(worth)]
    return sizes.best(0.0, Crowd([due * MS for due in due_ms], **rest))


def test_who_can_wait_goes_along() -> None:
    assert best(*[9.0] * 8) == 8


def test_one_who_is_tight_is_worth_a_small_batch_where_that_costs_nobody() -> None:
    assert best(3.5, *[100.0] * 7) == 2, "3 ms; a batch of three would be late"
    assert best(3.5, *[12.0] * 7) == 2, "the seven are back at 3 + 8"


def test_one_who_is_tight_is_left_where_saving_it_costs_others() -> None:
    assert best(3.5, *[9.5] * 7) == 7, "two now make six late; seven only the tight"


def test_another_instance_takes_the_others() -> None:
    assert best(3.5, *[9.5] * 7, free=[0.0]) == 2
    assert best(3.5, *[9.5] * 7, free=[2 * MS]) == 2, "free at 2, and 7 ms for the six"
    assert best(3.5, *[9.5] * 7, free=[4 * MS]) == 7, "that is too late for them"


def test_each_instance_takes_one_batch_at_a_time() -> None:
    due = [3.5, 3.5, *[10.5] * 16]

    assert best(*due, free=[0.0, 0.0]) == 2, "with eight on each of the others"
    assert best(*due, free=[0.0]) == 8, "after one or two, eight would be back at 11 or 12"


def test_the_worth_of_those_who_are_lost_counts() -> None:
    assert best(3.5, *[9.5] * 7, worth=[10.0, *[1.0] * 7]) == 2
    assert best(3.5, *[9.5] * 7, worth=[5.0, *[1.0] * 7]) == 7


def test_when_time_is_dear_a_small_batch_costs_those_it_does_not_serve() -> None:
    due = [3.5, *[100.0] * 7]

    assert best(*due, load=0.9) == 2, "time is not dear yet"
    assert best(*due, load=1.0) == 2, "it costs 0.7 to take two in 3 ms"
    assert best(2.5, *[100.0] * 7, load=1.0) == 1, "and as much to take one in 2 ms"
    assert best(*due, load=1.5) == 2, "it is no dearer"
    assert best(*due, load=3.0) == 7, "most who come will be lost anyhow"


def test_the_price_is_that_of_those_for_whom_there_is_no_place() -> None:
    due, worth = [3.5, *[100.0] * 7], [1.0] * 8

    assert best(*due, load=1.0, worth=worth, price=1.0) == 2
    assert best(*due, load=1.0, worth=worth, price=3.0) == 7


def test_who_will_come_in_a_hurry_and_is_worth_more_is_not_made_to_wait() -> None:
    patient = [1000.0] * 8
    worth = [1.0] * 8

    assert best(*patient, worth=worth, hurried=[(5 * MS, 100.0, 1000.0)]) == 2, "3 ms and 2"
    assert best(*patient, worth=worth, hurried=[(7.5 * MS, 100.0, 1000.0)]) == 4
    assert best(*patient, worth=worth, hurried=[(5 * MS, 100.0, 100.0)]) == 8, "worth no more"
    assert best(*patient, worth=worth, hurried=[(11.5 * MS, 100.0, 1000.0)]) == 8, "time enough"
    late_s = 1 * MS
    hurried = [(7.5 * MS, 100.0, 1000.0)]
    assert best(*patient, worth=worth, hurried=hurried, home_s=late_s) == 3, "4 ms, and 2, and 1"


def test_the_way_home_is_kept_back() -> None:
    assert best(3.5, *[100.0] * 7, home_s=1 * MS) == 1, "2 ms, and 1 for the way"


def test_large_requests_need_sizes_that_hold_them() -> None:
    assert best(*[100.0] * 3, rows_each=2.5) == 8, "three of them are 7.5 rows"
    assert best(5.5, *[100.0] * 3, rows_each=2.0) == 4, "5 ms for two of them"
    assert best(1.0, rows_each=3.0) == 3, "the smallest that holds one, though it will be late"


def test_nobody_is_lost_who_does_not_hurry() -> None:
    assert best(*[math.inf] * 3) == 3


def test_where_callers_are_alike_the_largest_batch_leaves_that_is_in_time_for_all_in_it() -> None:
    assert best(3.5, *[100.0] * 7, alike=True) == 7
    assert best(3.5, 4.5, *[7.5] * 6, alike=True) == 6, "7 ms"
    assert best(*[6.5] * 8, alike=True) == 5, "6 ms"
    assert best(*[9.0] * 8, alike=True) == 8
    assert best(*[9.0] * 8, alike=True, home_s=0.1 * MS) == 7
    assert best(*[1.0] * 8, alike=True) == 1, "there is always one"
    assert best(5.5, *[100.0] * 3, rows_each=2.0, alike=True) == 6


def test_each_batch_waits_for_its_turn() -> None:
    assert best(3.5, *[11.0] * 7) == 2, "the six are back at 3 + 7"
    assert best(3.5, *[11.0] * 7, turn_s=2 * MS) == 7
