"""What is pinned, when it cannot be read."""

import asyncio

from inferd.errors import DependencyFailed
from inferd.services.search.curations import Curations, Pin, curation
from inferd.services.search.pages import GRACE_S
from support.searching import House, cups


async def test_an_old_answer_is_given_without_its_pins_and_that_is_said() -> None:
    house = House()
    house.shelf.put(cups(4))
    curated = curation("cup", contains=False, pins=[Pin("c00", 0)], hidden=[])
    await house.standing.put(curations=Curations([curated]))
    assert await house.found("cup") == ["c00", "c03", "c02", "c01"]

    house.shelf.put({"saucer": {"title": "saucer"}})
    await asyncio.sleep(GRACE_S + 1)
    house.shelf.raises = DependencyFailed("the disk is gone")
    answer = await house.search("cup")
    assert [it.id for it in answer.hits] == ["c03", "c02", "c01"]
    labels = [(it.stage, it.source, it.reason) for it in answer.degradations]
    assert labels == [
        ("retrieval", "cached", "DEPENDENCY_FAILED"),
        ("curations", "none", "PAGE_EXPIRED"),
    ]
    assert answer.total == 3
