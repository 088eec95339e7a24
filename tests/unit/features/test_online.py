"""Views of different kinds, read together: the trouble of one is not that of the others."""

import asyncio
from collections.abc import Sequence

import pytest

from inferd.call import Call
from inferd.deadline import NEVER, Deadline
from inferd.errors import DependencyFailed
from inferd.features.definitions import Definitions
from inferd.features.online import OnlineFeatures
from inferd.features.statistics import FeatureStatistics
from inferd.features.values import Found, Lookup, Status, Value

CALL = Call("/inferd.v1.FeatureService/Get", arrived=0.0)
DEFINITIONS = Definitions.read(
    {
        "entities": [{"name": "user"}],
        "events": [{"name": "paid", "fields": [{"name": "user", "type": "string"}]}],
        "views": [
            {
                "name": "profile",
                "entity": "user",
                "features": [{"name": "age", "type": "int64", "default": 30}],
            },
            {
                "name": "habits",
                "entity": "user",
                "events": "paid",
                "features": [
                    {
                        "name": "often",
                        "type": "int64",
                        "required": True,
                        "aggregate": {"function": "count", "window": "1h"},
                    }
                ],
            },
        ],
    }
)
PROFILE, HABITS = DEFINITIONS.views["profile"], DEFINITIONS.views["habits"]


class Views:
    """Gives everybody the same, at once or when it is told to."""

    def __init__(self, cell: int) -> None:
        self._cell = cell
        self.raises: Exception | None = None
        self.go = asyncio.Event()
        self.go.set()
        self.given_up = 0

    async def fetch(self, _: Call, __: Deadline, lookups: Sequence[Lookup]) -> list[Found]:
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if self.raises is not None:
            raise self.raises
        return [
            Found(each, Status.PRESENT, event_us=1, cells=(self._cell,), source="memory")
            for each in lookups
        ]


class Bench:
    def __init__(self) -> None:
        self.stored, self.aggregated = Views(1), Views(2)
        self.statistics = FeatureStatistics(DEFINITIONS.views)
        self.online = OnlineFeatures(
            {"stored": self.stored, "aggregated": self.aggregated},
            self.statistics,
            now_us=lambda: 2,
        )

    async def values(self, *lookups: Lookup) -> list[Value]:
        found = await self.online.get(CALL, NEVER, lookups or BOTH)
        return [value for each in found for value in each.values]


A_PROFILE = Lookup(PROFILE, "ann", PROFILE.everything)
HER_HABITS = Lookup(HABITS, "ann", HABITS.everything)
BOTH = (A_PROFILE, HER_HABITS, A_PROFILE)
THERE = Value(1, Status.PRESENT, 1, "memory")
OFTEN = Value(2, Status.PRESENT, 1, "memory")
DEFAULT = Value(30, Status.TIMED_OUT, None, "default")


async def test_answers_are_in_the_order_of_what_was_asked_whatever_their_kind() -> None:
    assert await Bench().values() == [THERE, OFTEN, THERE]


async def test_what_keeps_one_kind_from_being_read_does_not_keep_the_others() -> None:
    it = Bench()
    it.stored.raises = DependencyFailed("down")
    assert await it.values() == [DEFAULT, OFTEN, DEFAULT]
    assert it.statistics.reads == {("profile", "TIMED_OUT"): 2, ("habits", "PRESENT"): 1}


async def test_if_nothing_can_be_read_that_is_an_error_only_without_a_default() -> None:
    it = Bench()
    it.stored.raises = it.aggregated.raises = DependencyFailed("down")
    assert await it.values(A_PROFILE) == [DEFAULT]
    with pytest.raises(DependencyFailed, match="habits:often"):
        await it.values(HER_HABITS)
    with pytest.raises(DependencyFailed, match="habits:often"):
        await it.values()


async def test_what_is_no_trouble_of_a_store_is_not_hidden() -> None:
    it = Bench()
    it.aggregated.raises = RuntimeError("a mistake of ours")
    with pytest.raises(RuntimeError, match="of ours"):
        await it.values()


async def test_to_compute_from_it_needs_no_answer() -> None:
    it = Bench()
    it.stored.raises = it.aggregated.raises = DependencyFailed("down")
    found = await it.online.read(CALL, NEVER, BOTH)
    assert [each.status for each in found] == [Status.TIMED_OUT] * 3
    assert not it.statistics.reads


async def test_who_leaves_has_all_kinds_given_up() -> None:
    it = Bench()
    it.stored.go.clear()
    it.aggregated.go.clear()
    reading = asyncio.create_task(it.values())
    await asyncio.sleep(1.0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert it.stored.given_up == it.aggregated.given_up == 1
