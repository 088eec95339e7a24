"""Order within a key, and none between keys."""

from inferd.streaming.lanes import Lanes


def test_one_of_each_key_at_a_time_and_in_order() -> None:
    lanes: Lanes[str] = Lanes()

    assert [lanes.enter(each[0], each) for each in ("a1", "b1", "a2", "a3")] == [
        True,
        True,
        False,
        False,
    ]
    assert lanes.leave("a") == "a2"
    assert not lanes.enter("a", "a4")
    assert [lanes.leave("a"), lanes.leave("a"), lanes.leave("a")] == ["a3", "a4", None]


def test_nothing_is_kept_of_a_key_that_is_done_with() -> None:
    lanes: Lanes[int] = Lanes()
    lanes.enter("a", 1)
    lanes.enter("b", 2)

    assert lanes.leave("a") is None
    assert len(lanes) == 1
    assert lanes.enter("a", 3)
