"""The index goes on while it is written anew, and pages of its earlier states can be turned."""

import asyncio
import os
from pathlib import Path

import pytest

from inferd.config.search.index import IndexField
from inferd.errors import Unavailable
from inferd.services.search.index_open import opened
from inferd.services.search.pages import PageExpired
from inferd.services.search.text_query import Equals, Exists, Sort, TextQuery
from support.search_index import FIELDS, document, found, index_of, settings, things, words


@pytest.mark.parametrize("on_disk", [True, False])
async def test_what_is_written_during_a_rebuild_is_in_the_new_index(
    tmp_path: Path, on_disk: bool
) -> None:
    documents = things(300, seed=1)
    async with index_of(documents, tmp_path if on_disk else None) as index:
        rebuilding = asyncio.create_task(index.rebuild())
        searches = 0
        written: list[str] = []
        while not rebuilding.done():
            id = f"new{len(written)}"
            await index.add([document(index, id, title="new thing")])
            await index.delete([min(documents)])
            del documents[min(documents)]
            written.append(id)
            searches += len(await found(index, "new"))
        rebuilt = await rebuilding

        assert rebuilt.documents >= 300 - len(written)
        assert searches
        assert index.epoch >= rebuilt.epoch
        assert {*await index.get(written)} == {*written}
        assert index.count == len(documents) + len(written)
        assert {*await index.get([*documents])} == {*documents}
        assert index.vocabulary.counts["new"] == len(written)
        assert await index.delete([written[0]]) == [True]
    if on_disk:
        names = {*os.listdir(tmp_path)}
        assert names == {"2", "current.json", "server.lock"}
        async with index_of({}, tmp_path) as index:
            assert index.count == len(documents) + len(written) - 1


async def test_an_index_is_rebuilt_once_at_a_time() -> None:
    async with index_of(things(50, seed=2)) as index:
        rebuilding = asyncio.create_task(index.rebuild())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="already"):
            await index.rebuild()
        assert (await rebuilding).documents == 50
        assert (await index.rebuild()).documents == 50


async def test_whoever_asked_for_a_rebuild_may_leave(tmp_path: Path) -> None:
    async with index_of(things(200, seed=3), tmp_path) as index:
        for after in range(1, 12):  # turns of the loop, so that every step is left once
            leaving = asyncio.create_task(index.rebuild())
            for _ in range(after):
                await asyncio.sleep(0.002)
            leaving.cancel()
            await index.add([document(index, f"n{after}", title="late")])
            await asyncio.gather(leaving, return_exceptions=True)
        assert index.count == 211
    async with index_of({}, tmp_path) as index:
        assert index.count == 211
        assert index.vocabulary.counts["late"] == 11


async def test_an_index_is_closed_while_it_is_rebuilt(tmp_path: Path) -> None:
    documents = things(500, seed=4)
    async with index_of(documents, tmp_path) as index:
        rebuilding = asyncio.create_task(index.rebuild())
        await asyncio.sleep(0.001)
    await asyncio.gather(rebuilding, return_exceptions=True)
    async with index_of({}, tmp_path) as index:
        assert index.count == 500


async def test_a_document_that_was_read_before_a_rebuild_is_not_taken_for_a_later_one() -> None:
    async with index_of({"a": {"title": "x"}, "b": {"title": "x"}}) as index:
        assert await found(index, "x") == ("a", "b")
        await index.delete(["b"])
        await index.rebuild()
        await index.add([document(index, "c", title="x")])

        assert await found(index, "x") == ("a", "c")


async def test_an_index_of_other_fields_is_rewritten_when_it_is_opened(tmp_path: Path) -> None:
    async with index_of({"a": {"title": "x", "brand": "Acme", "price": 5}}, tmp_path):
        pass
    fields = {**FIELDS, "price": IndexField(type="keyword"), "size": IndexField(type="keyword")}
    del fields["brand"]
    async with opened(settings(tmp_path, fields=fields)) as index:
        await index.add([document(index, "b", title="x", size="XL")])
        assert await found(index, "x", filters=(Equals("size", "XL"),)) == ("b",)
        assert await found(index, "x", filters=(Exists("price"),)) == ()  # a number is no keyword
    async with index_of({}, tmp_path) as index:  # what was given is still there
        assert await found(index, "x", filters=(Equals("brand", "Acme"),)) == ("a",)
        assert await found(index, "x", filters=(Equals("price", 5.0),)) == ("a",)
        assert index.count == 2


async def test_a_field_that_becomes_sortable_is_sorted_by_the_first_of_its_values(
    tmp_path: Path,
) -> None:
    tagged = {"a": {"tags": ["v", "u"]}, "b": {"tags": ["u", "z"]}, "c": {}, "d": {"tags": ["w"]}}
    async with index_of(tagged, tmp_path):
        pass
    fields = {**FIELDS, "tags": IndexField(type="keyword", sortable=True)}
    async with opened(settings(tmp_path, fields=fields)) as index:
        assert await found(index, sort=(Sort("tags"),)) == ("b", "a", "d", "c")
        assert await found(index, sort=(Sort("tags", descending=True),)) == ("d", "a", "b", "c")


async def test_an_earlier_state_is_searched_as_it_was_until_it_has_expired() -> None:
    now = 0.0
    async with opened(settings(page_s=60, page_snapshots=3), clock=lambda: now) as index:
        await index.add([document(index, "a", title="x")])
        before = index.epoch
        assert index.keep(before)
        await index.delete(["a"])

        assert await found(index, "x") == ()
        asked = TextQuery(words("x"))
        now = 59.0
        assert (await index.search(asked, epoch=before)).ids == ("a",)
        now = 61.0
        with pytest.raises(PageExpired) as raised:
            await index.search(asked, epoch=before)
        assert raised.value.violations[0].field == "page_token"
        assert raised.value.reason == "PAGE_EXPIRED"
        assert not index.keep(before)
