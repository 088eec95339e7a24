"""The hot-key tracker: who takes over from whom, and how the past fades."""

from collections.abc import Iterable

from inferd.features.precompute.space_saving import SpaceSaving


def counted(counters: int, keys: Iterable[str]) -> SpaceSaving[str]:
    tracked = SpaceSaving[str](counters)
    for key in keys:
        tracked.add(key)
    return tracked


def bounds(tracked: SpaceSaving[str]) -> dict[str, tuple[int, int]]:
    return {each.key: (each.at_least, each.at_most) for each in tracked}


def test_a_key_without_a_counter_takes_over_the_smallest() -> None:
    tracked = counted(2, "aaabbc")

    assert bounds(tracked) == {"a": (3, 3), "c": (1, 3)}


def test_a_hot_key_is_found_among_many_that_come_once() -> None:
    tracked = counted(10, (key for n in range(1000) for key in ("hot", str(n), str(-n))))

    hottest = next(iter(tracked))
    assert hottest.key == "hot"
    assert hottest.at_most >= 1000


def test_what_is_hot_today_overtakes_what_was_yesterday() -> None:
    tracked = counted(4, ["yesterday"] * 1000)

    for _ in range(8):
        tracked.halve()
        for _ in range(5):
            tracked.add("today")

    assert next(iter(tracked)).key == "today"


def test_what_is_asked_for_no_more_may_not_have_occurred_in_the_end() -> None:
    tracked = counted(4, ["once"] * 5)

    for _ in range(3):
        tracked.halve()

    assert bounds(tracked) == {"once": (0, 1)}


def test_halving_when_nothing_was_counted_changes_nothing() -> None:
    tracked = counted(1, "")

    tracked.halve()
    tracked.add("a")

    assert bounds(tracked) == {"a": (1, 1)}
