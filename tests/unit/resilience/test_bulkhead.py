"""How many calls of one service may be under way, and who goes first when it is full."""

import pytest

from inferd.config import resilience as config
from inferd.resilience.bulkhead import Bulkhead

ORDER = ["SHEDDABLE", "SHEDDABLE_PLUS", "CRITICAL", "CRITICAL_PLUS"]


def filled(bulkhead: Bulkhead, criticality: str) -> int:
    while bulkhead.has_room(criticality):
        bulkhead.enter()
    return bulkhead.in_flight


def test_each_criticality_fills_its_part_and_the_most_critical_all() -> None:
    bulkhead = Bulkhead("shop.Ranking", config.Bulkhead(max_calls=100))

    assert [filled(bulkhead, each) for each in ORDER] == [60, 80, 95, 100]


def test_calls_of_all_kinds_count_against_every_part() -> None:
    bulkhead = Bulkhead("shop.Ranking", config.Bulkhead(max_calls=10))
    filled(bulkhead, "CRITICAL")

    assert not bulkhead.has_room("SHEDDABLE")
    assert bulkhead.has_room("CRITICAL_PLUS")


def test_who_leaves_makes_room() -> None:
    bulkhead = Bulkhead("shop.Ranking", config.Bulkhead(max_calls=10))
    filled(bulkhead, "CRITICAL_PLUS")

    bulkhead.leave()

    assert bulkhead.has_room("CRITICAL_PLUS")


@pytest.mark.parametrize("criticality", ORDER)
def test_in_the_smallest_there_is_room_for_one_of_any_kind(criticality: str) -> None:
    bulkhead = Bulkhead("shop.Ranking", config.Bulkhead(max_calls=1))

    assert filled(bulkhead, criticality) == 1


def test_a_share_of_everything_is_everything() -> None:
    shares = {"critical_share": 1.0, "sheddable_plus_share": 0.29, "sheddable_share": 0.1}
    bulkhead = Bulkhead("shop.Ranking", config.Bulkhead(max_calls=100, **shares))

    assert filled(bulkhead, "SHEDDABLE_PLUS") == 29
    assert filled(bulkhead, "CRITICAL") == 100


def test_nobody_may_fill_more_than_those_who_matter_more() -> None:
    with pytest.raises(ValueError, match="must be in this order"):
        config.Bulkhead(max_calls=100, critical_share=0.7)


def test_refusals_are_counted_by_criticality() -> None:
    bulkhead = Bulkhead("shop.Ranking", config.Bulkhead(max_calls=1))
    for each in ("CRITICAL", "SHEDDABLE", "SHEDDABLE"):
        filled(bulkhead, each)

    assert bulkhead.refused == {"CRITICAL": 1, "SHEDDABLE": 2}
    assert repr(bulkhead) == "<Bulkhead shop.Ranking 1/1>"
