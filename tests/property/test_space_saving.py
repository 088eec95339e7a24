"""Space-saving against a count of everything, with and without halving."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from inferd.features.precompute.space_saving import SpaceSaving

HALVE = -1
KEYS = st.lists(st.one_of(st.integers(0, 3), st.integers(0, 30)), max_size=300)
STEPS = st.lists(st.one_of(st.integers(0, 3), st.integers(0, 30), st.just(HALVE)), max_size=300)
COUNTERS = st.integers(1, 12)


def smallest(tracked: SpaceSaving[int]) -> int:
    """Return how often a key may have occurred that has no counter, at most."""
    return min(each.at_most for each in tracked)


@given(counters=COUNTERS, steps=STEPS)
def test_the_truth_is_within_the_bounds_of_every_key(counters: int, steps: list[int]) -> None:
    tracked, truth = SpaceSaving[int](counters), Counter[int]()
    weights: dict[int, float] = {}

    for step in steps:
        if step == HALVE:
            tracked.halve()
            weights = {key: weight / 2 for key, weight in weights.items()}
        else:
            tracked.add(step)
            truth[step] += 1
            weights[step] = weights.get(step, 0.0) + 1

    found = {each.key: each for each in tracked}
    assert len(found) == len(tracked) == min(counters, len(truth))
    for key, weight in weights.items():
        if key in found:
            assert 0 <= found[key].at_least <= weight <= found[key].at_most
        else:
            assert weight <= smallest(tracked)


@given(counters=COUNTERS, steps=STEPS)
def test_counts_are_too_large_by_no_more_than_is_promised(counters: int, steps: list[int]) -> None:
    tracked, total = SpaceSaving[int](counters), 0.0

    for step in steps:
        if step == HALVE:
            tracked.halve()
            total /= 2
        else:
            tracked.add(step)
            total += 1

    rounding = 1 if HALVE in steps else 0
    if len(tracked) == counters:
        assert smallest(tracked) <= total / counters + rounding


@given(counters=COUNTERS, keys=KEYS)
def test_without_halving_a_key_with_more_than_its_part_is_never_missed(
    counters: int, keys: list[int]
) -> None:
    tracked, truth = SpaceSaving[int](counters), Counter(keys)

    for key in keys:
        tracked.add(key)

    found = {each.key: each for each in tracked}
    assert sum(each.at_most for each in tracked) == len(keys)
    for key, count in truth.items():
        if count > len(keys) / counters:
            assert found[key].at_most - count <= len(keys) / counters


@given(counters=COUNTERS, keys=KEYS)
def test_it_yields_the_largest_counts_first(counters: int, keys: list[int]) -> None:
    tracked = SpaceSaving[int](counters)

    for key in keys:
        tracked.add(key)

    assert all(one.at_most >= next_.at_most for one, next_ in pairwise(tracked))


@given(keys=KEYS)
def test_with_a_counter_for_everybody_it_counts_exactly(keys: list[int]) -> None:
    tracked = SpaceSaving[int](100)

    for key in keys:
        tracked.add(key)

    assert {each.key: each.at_most for each in tracked} == Counter(keys)
    assert all(each.at_least == each.at_most for each in tracked)
