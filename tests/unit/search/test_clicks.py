"""What users do with what they find: counted once, and told to who wants to know."""

import asyncio
from typing import Any, cast

import pytest

from inferd.call import Call
from inferd.errors import InvalidRequest
from inferd.services.search.behaviour import Act
from inferd.services.search.clicks import OLDEST_US, Click, Clicks
from inferd.services.search.index import TextIndex
from inferd.services.search.text_query import StoredDocument
from inferd.v1 import search_pb2 as pb
from support.searching import BEGIN_US, House, cups

STATUS = pb.RecordClickResponse.Status


class Counter:
    """Counts clicks, and hears of those that count."""

    def __init__(self) -> None:
        house = House()
        house.shelf.put(cups(3))
        index = cast("TextIndex", house.shelf)
        self.heard: list[tuple[Click, StoredDocument | None]] = []
        self.clicks = Clicks(
            lambda: index,
            most=10,
            listeners=[lambda click, document: self.heard.append((click, document))],
            now_us=lambda: BEGIN_US + round(asyncio.get_running_loop().time() * 1e6),
        )

    async def record(self, *clicks: dict[str, Any]) -> list[str]:
        made = [pb.Click(**{"type": pb.Click.CLICK, **each}) for each in clicks]
        call = Call("RecordClick", arrived=0.0)
        answer = await self.clicks.record(pb.RecordClickRequest(clicks=made), call)
        return [STATUS.Name(each.status) for each in answer.results]


async def test_a_click_is_told_with_what_was_clicked() -> None:
    counter = Counter()
    there = {"document_id": "c01", "query": "cup", "user_id": "ann", "position": 4}
    assert await counter.record(there, {"document_id": "gone", "type": pb.Click.CART}) == [
        "ADDED",
        "ADDED",
    ]

    (first, document), (second, nothing) = counter.heard
    assert (first.document_id, first.query, first.user_id) == ("c01", "cup", "ann")
    assert (first.position, first.act, first.time_us) == (4, Act.CLICK, BEGIN_US)
    assert document is not None
    assert document.fields["title"] == "cup"
    assert (second.act, nothing) == (Act.CART, None)


async def test_an_event_counts_once_and_without_an_id_it_is_always_another() -> None:
    counter = Counter()
    once, again = {"document_id": "c01", "event_id": "e"}, {"document_id": "c01"}

    assert await counter.record(once, once) == ["ADDED", "DUPLICATE"]
    assert await counter.record(once) == ["DUPLICATE"]
    assert await counter.record(again, again) == ["ADDED", "ADDED"]
    assert len(counter.heard) == 3
    assert counter.clicks.counts == {("click", "ADDED"): 3, ("click", "DUPLICATE"): 2}


async def test_what_is_too_old_to_count_is_told_so_and_what_is_wrong_harms_no_other() -> None:
    counter = Counter()
    old = {"document_id": "c01", "time_us": BEGIN_US - OLDEST_US - 1}

    assert await counter.record(old, {"document_id": ""}, {"document_id": "c02"}) == [
        "TOO_OLD",
        "REJECTED",
        "ADDED",
    ]
    with pytest.raises(InvalidRequest, match="required"):
        await counter.record({"document_id": ""})
    with pytest.raises(InvalidRequest, match="10"):
        await counter.record(*[{"document_id": "c01"}] * 11)
    assert [click.document_id for click, _ in counter.heard] == ["c02"]


async def test_a_clock_that_is_a_little_ahead_is_taken_for_ours() -> None:
    counter = Counter()
    await counter.record({"document_id": "c01", "time_us": BEGIN_US + 1_000_000})

    assert counter.heard[0][0].time_us == BEGIN_US
    with pytest.raises(InvalidRequest, match="time_us"):
        await counter.record({"document_id": "c01", "time_us": BEGIN_US + 120_000_000})


async def test_others_have_their_turn_after_every_click() -> None:
    counter = Counter()
    recording = asyncio.create_task(counter.record(*[{"document_id": "c01"}] * 5))
    seen: set[int] = set()
    while not recording.done():
        seen.add(len(counter.heard))
        await asyncio.sleep(0)

    assert seen >= {1, 2, 3, 4, 5}
