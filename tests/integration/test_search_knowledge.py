"""What is known of words, values, synonyms and curations, while each of them changes."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from inferd.config.search.query import SearchEntity, SearchQuery
from inferd.services.search.curations import Curations, curation
from inferd.services.search.index import TextIndex
from inferd.services.search.knowledge import Knowledge
from inferd.services.search.query.synonyms import SynonymSet, synonyms_of
from inferd.services.search.standing import Standing
from inferd.services.search.text_query import FacetCounts, Retrieved

CUP_OR_MUG = synonyms_of([SynonymSet(("cup", "mug"))])


class Index:
    """Has one brand, which it tells of when it is let."""

    def __init__(self) -> None:
        self.epoch = 1
        self.vocabulary = self
        self.counts = Counter({"cup": 2, "mug": 1})
        self.may_tell = asyncio.Event()

    async def search(self, asked: Any) -> Retrieved:
        await self.may_tell.wait()
        brands = FacetCounts("brand", (("Lumo", 1),), more=False)
        none = np.zeros(0, np.float32)
        return Retrieved((), none, (), {}, total=0, epoch=1, facets=(brands,))


async def test_synonyms_that_are_put_while_words_are_read_hold_and_so_do_the_words() -> None:
    index = Index()
    settings = SearchQuery(entities={"brand": SearchEntity(field="brand")})
    knowledge = Knowledge(settings, cast("TextIndex", index))
    refreshing = asyncio.create_task(knowledge.refresh())
    await asyncio.sleep(0)
    knowledge.use(CUP_OR_MUG)
    index.may_tell.set()
    await refreshing

    understood = knowledge.understand("lumo cup")
    assert [(it.kind, it.value) for it in understood.entities] == [("brand", "Lumo")]
    assert [it.synonyms for it in understood.synonyms] == [("mug",)]
    assert knowledge.terms == 3


async def test_what_is_being_put_holds_although_whoever_puts_it_leaves(tmp_path: Path) -> None:
    standing = Standing(tmp_path / "standing.json")
    heard: list[str] = []
    sets = [SynonymSet(("cup", "mug"))]
    putting = asyncio.create_task(
        standing.put(synonyms=sets, then=lambda: heard.append("in force"))
    )
    await asyncio.sleep(0)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting

    curations = Curations([curation("cup", contains=False, pins=[], hidden=["c01"])])
    assert await standing.put(curations=curations) == 2
    assert (standing.synonyms, heard) == (tuple(sets), ["in force"])
    again = Standing(tmp_path / "standing.json")
    again.load()
    assert (again.version, again.synonyms, again.curations.all) == (2, tuple(sets), curations.all)
