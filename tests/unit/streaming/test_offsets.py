"""How far a file is done with, and which keys there have been."""

from inferd.streaming.offsets import Offsets
from inferd.streaming.seen import Seen


def test_a_place_is_reached_only_when_all_before_it_is_done() -> None:
    offsets = Offsets(5)
    for end in (10, 20, 30):
        offsets.handed_out(end)

    offsets.finished([20])
    assert offsets.done == 5
    offsets.finished([10])
    assert offsets.done == 20
    offsets.finished([30])
    assert offsets.done == 30


def test_what_was_never_handed_out_moves_nothing() -> None:
    offsets = Offsets(0)

    offsets.finished([7])

    assert offsets.done == 0


def test_the_oldest_key_is_forgotten_when_there_are_too_many() -> None:
    seen = Seen(2)

    assert [seen.add(each) for each in "abac"] == [True, True, False, True]
    assert ["a" in seen, "b" in seen, "c" in seen] == [False, True, True]
