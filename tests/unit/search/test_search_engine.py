"""What is kept of what was found, and what may be given of it when the index does not answer."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from inferd.call import Call
from inferd.config.search import Search
from inferd.config.search.behaviour import SearchBehaviour as BehaviourSettings
from inferd.deadline import NEVER
from inferd.errors import DependencyFailed, Unavailable
from inferd.services.search.behaviour import SearchBehaviour
from inferd.services.search.engine import METHOD, Engine, Models, Wanted, Work
from inferd.services.search.finding import Ranked
from inferd.services.search.index import TextIndex
from inferd.services.search.query.understood import Intent, Part, Understood
from inferd.services.search.text_query import Alternative, Retrieved, StoredDocument, Word
from support.guards import a_toolbox

PART = Part("cup", Word((Alternative("cup"),)), frequency=3)


class Index:
    """Finds one cup, in whatever state of the index it is asked for."""

    def __init__(self) -> None:
        self.down = False
        self.complete = True

    async def search(self, asked: Any, deadline: Any, epoch: int | None) -> Retrieved:
        if self.down:
            raise DependencyFailed("the disk is gone")
        return Retrieved(
            ids=("a",),
            text_scores=np.ones(1, np.float32),
            documents=(StoredDocument(1, "a", {}),),
            columns={},
            total=1,
            epoch=epoch or 5,
            complete=self.complete,
        )


def wanted(part: Part = PART) -> Wanted:
    understood = Understood("cup", "cup", (part,), Intent.CATEGORY)
    return Wanted(understood, (), (), (), frozenset(), by_relevance=True, learnt=True)


class Searches:
    """Searches the index, through the engine."""

    def __init__(self) -> None:
        self.index, self.clock = Index(), asyncio.get_running_loop().time
        self.engine = Engine(
            Search(),
            index=lambda: cast("TextIndex", self.index),
            behaviour=SearchBehaviour(BehaviourSettings()),
            models=cast("Models", None),
            toolbox=a_toolbox(self.clock),
        )

    async def found(self, it: Wanted, epoch: int | None = None) -> Ranked:
        with self.engine.endpoint.answering(Call(METHOD, arrived=self.clock())) as answer:
            return await self.engine.make(answer, self.work(it, epoch))

    def known(self, it: Wanted, epoch: int) -> Ranked | None:
        return self.engine.known(self.work(it, epoch), epoch)

    def work(self, it: Wanted, epoch: int | None) -> Work:
        return Work(it, epoch, "", 0, NEVER.at, 0)


async def test_what_was_found_whole_is_kept_for_its_state_of_the_index() -> None:
    searches = Searches()
    found = await searches.found(wanted())

    assert searches.known(wanted(), 5) is found
    assert searches.known(wanted(), 6) is None


async def test_an_answer_without_the_facets_it_had_no_time_for_is_not_kept() -> None:
    searches = Searches()
    searches.index.complete = False
    await searches.found(wanted())

    assert searches.known(wanted(), 5) is None
    searches.index.down = True
    with pytest.raises(Unavailable):
        await searches.found(wanted())


async def test_an_old_answer_is_given_however_many_documents_have_its_words_by_now() -> None:
    searches = Searches()
    found = await searches.found(wanted())
    searches.index.down = True

    assert await searches.found(wanted(replace(PART, frequency=4))) is found


async def test_a_page_of_one_state_of_the_index_is_never_taken_from_another() -> None:
    searches = Searches()
    found = await searches.found(wanted())
    searches.index.down = True

    assert await searches.found(wanted(), epoch=5) is found
    with pytest.raises(Unavailable):
        await searches.found(wanted(), epoch=4)
