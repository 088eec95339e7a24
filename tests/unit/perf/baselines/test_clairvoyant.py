"""The clairvoyant's bound, against all schedules there are of a few calls."""

import random
from collections.abc import Sequence
from functools import partial
from itertools import combinations

import pytest

from inferd_perf.simulation.clairvoyant import (
    MOST_CALLS,
    Bound,
    Want,
    bound,
    most_agreeable,
    most_poured,
)


def affine(rows: int, *, base: float = 2.0, each: float = 1.0) -> float:
    return base + each * rows


def stepped(rows: int) -> float:
    return 3.0 if rows <= 2 else 4.0


def best_of_all_schedules(
    wants: Sequence[Want], seconds: object, max_batch: int, now: float = 0.0
) -> int:
    """Try every set of calls as the next batch, and what follows."""
    assert callable(seconds)
    best = 0
    for rows in range(1, min(max_batch, len(wants)) + 1):
        for chosen in combinations(range(len(wants)), rows):
            batch = [wants[at] for at in chosen]
            ends = max(now, *(want.arrives for want in batch)) + seconds(rows)
            if any(ends > want.due for want in batch):
                continue
            rest = [want for at, want in enumerate(wants) if at not in chosen]
            after = best_of_all_schedules(rest, seconds, max_batch, ends)
            best = max(best, rows + after)
    return best


def some_calls(seed: int, *, count: int, slacks: Sequence[int]) -> list[Want]:
    """Return calls at whole seconds, so that what touches a deadline touches it exactly."""
    rng = random.Random(seed)
    arrivals = [float(rng.randint(0, 10)) for _ in range(count)]
    return [Want(at, at + rng.choice(slacks)) for at in arrivals]


@pytest.mark.parametrize("seconds", [affine, stepped, partial(affine, base=0.0)])
@pytest.mark.parametrize("seed", range(8))
def test_with_one_deadline_class_it_is_the_best_of_all_schedules(
    seconds: object, seed: int
) -> None:
    assert callable(seconds)
    wants = some_calls(seed, count=6, slacks=(5,))

    assert bound(wants, seconds, 3) == Bound(best_of_all_schedules(wants, seconds, 3), reached=True)


@pytest.mark.parametrize("seed", range(16))
def test_with_mixed_deadlines_no_schedule_is_better(seed: int) -> None:
    wants = some_calls(seed, count=6, slacks=(3, 5, 9))

    assert bound(wants, affine, 3).calls >= best_of_all_schedules(wants, affine, 3)


def calls(*times: tuple[int, int]) -> list[Want]:
    return [Want(float(arrives), float(due)) for arrives, due in times]


#: Calls of which just one of the relaxations knows how many can be served.
REVEALING = {
    "arriving earlier": calls((0, 3), (0, 3), (2, 7), (2, 11), (3, 6)),
    "due later": calls((0, 5), (1, 4), (2, 7), (4, 16), (4, 16), (6, 15)),
    "poured": calls((0, 40), *[(20, due) for due in range(23, 29)]),
    "by patience": calls((0, 3), (0, 3), (2, 14), (5, 8), (8, 11), (8, 13)),
}


@pytest.mark.parametrize("wants", REVEALING.values(), ids=REVEALING.keys())
def test_each_relaxation_can_be_the_one_that_counts(wants: list[Want]) -> None:
    best = best_of_all_schedules(wants, affine, 3)

    assert bound(wants, affine, 3) == Bound(best, reached=False)


def test_calls_that_have_the_executor_to_themselves_are_all_served() -> None:
    wants = [Want(10.0 * at, 10.0 * at + 3.0) for at in range(20)]

    assert bound(wants, affine, 8) == Bound(20, reached=True)


def test_a_start_is_put_off_for_the_sake_of_a_batch() -> None:
    wants = [Want(0.0, 6.0), Want(2.0, 6.0)]

    assert most_agreeable(wants, affine, 2) == 2, "2 to 6 together; one by one, 0 to 3 and 3 to 6"
    assert most_agreeable([Want(0.0, 6.0), Want(2.0, 5.9)][:1], affine, 2) == 1


def test_what_is_poured_is_no_more_than_time_permits() -> None:
    wants = [Want(0.0, 10.0) for _ in range(100)]

    assert most_poured(wants, partial(affine, base=0.0), 8) == 10
    assert most_poured(wants, affine, 8) == 8, "ten seconds at 1.25 each"


def test_nobody_comes() -> None:
    assert bound([], affine, 8) == Bound(0, reached=True)


def test_it_refuses_what_would_take_too_long() -> None:
    with pytest.raises(ValueError, match="are more than"):
        bound([Want(0.0, 1.0)] * (MOST_CALLS + 1), affine, 8)
