from typing import Any

import pytest

from inferd.errors import LoadFailed
from inferd.inference.room import NoRoom, Room
from inferd.inference.version import ModelVersion
from support.fake_models import FakeVersion


def loaded(name: str, size: int, last_used: float) -> ModelVersion:
    version: Any = FakeVersion(name)
    version.statistics.memory_bytes = size
    version.last_used = last_used
    result: ModelVersion = version
    return result


A, B, C = loaded("a", 30, 3.0), loaded("b", 30, 1.0), loaded("c", 30, 2.0)


def room(max_bytes: int = 100, *pinned: str) -> Room:
    return Room(max_bytes, frozenset(pinned))


def names(versions: list[ModelVersion]) -> list[str]:
    return [each.name for each in versions]


def test_without_a_limit_everything_fits() -> None:
    unlimited = room(0)
    unlimited.require_possible("m", 2**60)

    assert unlimited.lacking(2**60, [A, B, C]) == 0


def test_what_is_loaded_and_what_is_reserved_takes_room() -> None:
    here = room()
    assert here.lacking(10, [A, B, C]) == 0
    assert here.lacking(11, [A, B, C]) == 1

    here.reserve(("d", 1), 10)
    assert here.lacking(10, [A, B, C]) == 10

    here.release(("d", 1))
    here.release(("d", 1))
    assert here.lacking(10, [A, B, C]) == 0


def test_what_is_larger_than_everything_can_never_be_loaded() -> None:
    room().require_possible("m", 100)
    with pytest.raises(LoadFailed, match=r"'m' needs 101 bytes, and .* is 100") as caught:
        room().require_possible("m", 101)

    assert not isinstance(caught.value, NoRoom)


@pytest.mark.parametrize(
    ("lacking", "gone"), [(0, []), (1, ["b"]), (30, ["b"]), (31, ["b", "c"]), (90, ["b", "c", "a"])]
)
def test_the_least_recently_used_go_and_no_more_than_must(lacking: int, gone: list[str]) -> None:
    assert names(room().victims("m", 50, lacking, [A, B, C])) == gone


def test_pinned_models_never_go() -> None:
    assert names(room(100, "b").victims("m", 50, 40, [A, B, C])) == ["c", "a"]


def test_nobody_goes_when_that_would_not_be_enough() -> None:
    with pytest.raises(NoRoom, match=r"'m' needs 50 bytes, 10 more than repository\.max_memory"):
        room(100, "b").victims("m", 50, 70, [A, B, C])
