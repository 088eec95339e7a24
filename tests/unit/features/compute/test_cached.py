"""Views that are computed and cached, in virtual time, over a level that others share."""

import asyncio
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

from inferd.cache.multilevel import MultiLevel
from inferd.call import Call
from inferd.config.cache import CachePolicy
from inferd.deadline import Deadline
from inferd.features.compute.cached import Computed, ComputedCodec, ComputedViews
from inferd.features.definitions import US, Definitions, View
from inferd.features.kinds import Held
from inferd.features.rows import Row
from inferd.features.values import Found, Lookup, Status, Value
from support.caches import CALL, Store, a_level, settled
from support.guards import AMPLE_S, now

START_US = 1_800_000_000 * US
LATE = Value(None, Status.TIMED_OUT, None, "")
TTL_S = 100.0


def a_view(name: str, entity: str, **more: Any) -> dict[str, Any]:
    features = [
        {
            "name": each,
            "type": "int64",
            "transform": {"function": "text_length", "of": f"of_{entity}.{each}"},
        }
        for each in ("short", "long")
    ]
    return {"name": name, "entity": entity, "features": features, **more}


def stored(entity: str) -> dict[str, Any]:
    features = [{"name": each, "type": "string"} for each in ("short", "long")]
    return {"name": f"of_{entity}", "entity": entity, "features": features}


DEFINITIONS = Definitions.read(
    {
        "entities": [{"name": "user", "id": "int64"}, {"name": "item"}],
        "views": [
            stored("user"),
            stored("item"),
            a_view("kept", "user", cache_ttl_s=TTL_S),
            a_view("named", "item", cache_ttl_s=TTL_S),
            a_view("fresh", "user"),
        ],
    }
)
KEPT, NAMED, FRESH = (DEFINITIONS.views[each] for each in ("kept", "named", "fresh"))


class Engine:
    """Computes 1, and 10 times as much, and more the next time."""

    def __init__(self) -> None:
        self.asked: list[Held] = []
        self.seconds = 0.0
        #: Of the second feature.
        self.status = Status.PRESENT
        #: Of what is told as a whole, where that is not of the second feature.
        self.whole: Status | None = None
        self.part_by_part: list[bool] = []

    async def fetch(
        self,
        _: Call,
        deadline: Deadline,
        lookups: Sequence[Lookup],
        *,
        part_by_part: bool = False,
    ) -> list[Found]:
        self.part_by_part.append(part_by_part)
        self.asked += [each.entity_id for each in lookups]
        left_s = deadline.remaining(now())
        await asyncio.sleep(min(self.seconds, left_s))
        if self.seconds > left_s:
            return [Found(each, Status.TIMED_OUT, values=[LATE] * 2) for each in lookups]
        return [self._found(each) for each in lookups]

    def _found(self, lookup: Lookup) -> Found:
        number = len(self.asked)
        second = Value(10 * number, Status.PRESENT, START_US, "computed")
        if self.status is not Status.PRESENT:
            second = Value(None, self.status, None, "")
        both = (Value(number, Status.PRESENT, START_US, "computed"), second)
        late = self.status is Status.TIMED_OUT
        whole = self.whole or (Status.TIMED_OUT if late else Status.PRESENT)
        values = [both[place] for place in lookup.places]
        return Found(lookup, whole, event_us=START_US, source="computed", values=values)


class Bench:
    def __init__(self, shared: Store | None = None) -> None:
        self.engine = Engine()
        caches: dict[View, MultiLevel[Computed]] = {}
        self.views = ComputedViews(self.engine, caches, now_us=now_us)
        for view in (KEPT, NAMED):
            caches[view] = MultiLevel(
                view.name,
                CachePolicy(jitter=0),
                [] if shared is None else [a_level("l2", shared)],
                ComputedCodec(view),
                clock=now,
                random=Random(1).random,
                left_s=partial(self.views.left_s, view),
            )
        self.caches = caches

    async def fetch(self, *lookups: Lookup) -> list[Found]:
        return await self.views.fetch(CALL, Deadline.after(AMPLE_S, now=now()), lookups)

    async def ask(self, view: View, entity_id: int | str, *places: int, **how: Any) -> list[Value]:
        (found,) = await self.fetch(Lookup(view, entity_id, places or view.everything, **how))
        return [*found.values]


def now_us() -> int:
    return START_US + round(now() * US)


def given(first: int, source: str) -> list[Value]:
    return [Value(each, Status.PRESENT, START_US, source) for each in (first, 10 * first)]


async def test_a_view_is_computed_once_and_then_near_and_after_that_where_others_share_it() -> None:
    it = Bench(Store())
    assert await it.ask(KEPT, 7) == given(1, "computed")
    assert await it.ask(KEPT, 7) == given(1, "l1_cache")
    await settled()
    it.caches[KEPT].clear()
    assert await it.ask(KEPT, 7) == given(1, "l2_cache")
    assert it.engine.asked == [7]


async def test_of_what_is_kept_single_features_can_be_asked_for() -> None:
    """Defect 7 of the design documents: what was asked for in part is taken for the whole."""
    it = Bench()
    assert await it.ask(KEPT, 7, 1) == given(1, "computed")[1:]
    assert await it.ask(KEPT, 7, 1, 0) == given(1, "l1_cache")[::-1]
    assert it.engine.asked == [7]


async def test_a_hundred_who_ask_at_once_have_it_computed_once() -> None:
    it = Bench()
    it.engine.seconds = 0.01
    answers = await asyncio.gather(*(it.ask(KEPT, 7) for _ in range(100)))
    assert answers == [given(1, "computed")] * 100
    assert it.engine.asked == [7]


async def test_it_is_good_for_its_time_wherever_it_is_kept() -> None:
    shared = Store()
    first, second = Bench(shared), Bench(shared)
    await first.ask(KEPT, 7)
    await asyncio.sleep(TTL_S - 1)
    assert await second.ask(KEPT, 7) == given(1, "l2_cache")
    await asyncio.sleep(1.1)
    assert (await second.ask(KEPT, 7))[0].source == "computed"
    assert (await first.ask(KEPT, 7))[0].source != "l1_cache"


async def test_what_was_late_is_given_and_not_kept() -> None:
    it = Bench(Store())
    it.engine.status = Status.TIMED_OUT
    late = await it.ask(KEPT, 7)
    assert [each.status for each in late] == [Status.PRESENT, Status.TIMED_OUT]
    await settled()
    it.engine.status = Status.PRESENT
    assert await it.ask(KEPT, 7) == given(2, "computed")
    assert await it.ask(KEPT, 7) == given(2, "l1_cache")


async def test_what_was_late_does_not_make_other_parts_of_its_view_late() -> None:
    it = Bench(Store())
    it.engine.status = Status.TIMED_OUT
    (found,) = await it.fetch(Lookup(KEPT, 7, (0,)))
    assert found.status is Status.PRESENT
    assert found.values[0].value == 1


async def test_what_is_lacking_for_good_beside_what_was_late_is_not_kept_either() -> None:
    it = Bench(Store())
    it.engine.status, it.engine.whole = Status.TIMED_OUT, Status.PRESENT
    await it.ask(KEPT, 7)
    it.engine.status = Status.PRESENT
    assert await it.ask(KEPT, 7) == given(2, "computed")


async def test_what_is_kept_is_computed_for_whoever_asks_for_a_part_of_it() -> None:
    it = Bench()
    await it.ask(KEPT, 7)
    await it.ask(FRESH, 7)
    assert it.engine.part_by_part == [True, False]


async def test_what_there_is_none_of_is_kept_as_that() -> None:
    it = Bench(Store())
    it.engine.status = Status.MISSING
    await it.ask(KEPT, 7)
    await settled()
    for _ in range(2):
        first, second = await it.ask(KEPT, 7)
        assert first.value == 1
        assert second == Value(None, Status.MISSING, None, "")
        it.caches[KEPT].clear()
    assert it.engine.asked == [7]


async def test_what_is_asked_as_of_a_point_in_time_is_neither_read_from_a_cache_nor_kept() -> None:
    """Defect 8 of the design documents: points in time that are answered with the latest."""
    it = Bench()
    await it.ask(KEPT, 7)
    assert await it.ask(KEPT, 7, as_of_us=START_US) == given(2, "computed")
    assert await it.ask(KEPT, 7) == given(1, "l1_cache")


async def test_views_that_are_kept_and_views_that_are_not_are_read_together() -> None:
    it = Bench()
    await it.ask(KEPT, 7)
    await it.ask(NAMED, "a:b")
    lookups = [
        Lookup(NAMED, "a:b", (0,)),
        Lookup(FRESH, 8, (0,)),
        Lookup(KEPT, 7, (0,)),
        Lookup(FRESH, 9, (0,)),
    ]
    found = await it.fetch(*lookups)
    assert [each.lookup for each in found] == lookups
    assert [each.values[0].source for each in found] == [
        "l1_cache",
        "computed",
        "l1_cache",
        "computed",
    ]


async def test_if_nothing_comes_in_time_that_is_no_error() -> None:
    it = Bench()
    it.engine.seconds = 1.0
    lookup = Lookup(KEPT, 7, (0, 1))
    (found,) = await it.views.fetch(CALL, Deadline.after(0.02, now=now()), [lookup])
    assert found.status is Status.TIMED_OUT
    assert [each.status for each in found.values] == [Status.TIMED_OUT] * 2


def test_a_blob_that_is_damaged_is_none() -> None:
    codec, value = ComputedCodec(KEPT), Computed(START_US, Row(START_US - 1, (1, None), "computed"))
    blob = codec.encode(value)
    assert codec.decode(blob) == value
    for damaged in (b"", blob[:2], blob[:-1], blob[:10] + bytes(len(blob) - 10)):
        assert codec.decode(damaged) is None
