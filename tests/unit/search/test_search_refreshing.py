"""What is read from the index again and again is read again, whatever happened before."""

import asyncio
from typing import Any, cast

import pytest

from inferd.config.search.query import SearchQuery
from inferd.config.search.suggest import SearchSuggest
from inferd.errors import Unavailable
from inferd.services.search.index import TextIndex
from inferd.services.search.knowledge import REFRESH_S, Knowledge
from inferd.services.search.schema import IndexSchema
from inferd.services.search.suggesting import Suggesting


class Index:
    """Cannot be searched."""

    def __init__(self, error: Exception) -> None:
        self.schema, self.epoch = IndexSchema({}), 1
        self.asked = 0
        self._error = error

    async def search(self, asked: Any) -> Any:
        self.asked += 1
        raise self._error


@pytest.mark.parametrize("error", [Unavailable("not now"), ValueError("unforeseen")])
async def test_words_and_suggestions_are_read_again_after_any_error(error: Exception) -> None:
    broken, also = Index(error), Index(error)
    settings = SearchSuggest(refresh_s=REFRESH_S)
    suggesting = Suggesting(
        settings,
        lambda: cast("TextIndex", also),
        clock=asyncio.get_running_loop().time,
        now_us=lambda: 0,
    )
    running = [
        asyncio.create_task(Knowledge(SearchQuery(), cast("TextIndex", broken)).run()),
        asyncio.create_task(suggesting.run()),
    ]
    await asyncio.sleep(2.5 * REFRESH_S)

    assert (broken.asked, also.asked) == (3, 3)
    for each in running:
        each.cancel()
    await asyncio.wait(running)
