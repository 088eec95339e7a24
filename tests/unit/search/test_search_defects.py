"""What searches are known to get wrong, each with its number in the list of such defects."""

import pytest

from inferd.v1 import search_pb2 as pb
from support.searching import House, cups

DEAREST = [f"c{number:02}" for number in range(11, 1, -1)]


def ids(pages: list[pb.SearchResponse]) -> list[str]:
    return [each.id for page in pages for each in page.hits]


def said(answer: pb.SearchResponse) -> bytes:
    """Return an answer without what is each call's own."""
    same = pb.SearchResponse.FromString(answer.SerializeToString())
    for name in ("request_id", "latency_ms", "next_page_token", "source"):
        same.ClearField(name)
    return same.SerializeToString(deterministic=True)


def fan(house: House, user: str, brand: str) -> None:
    """Have a user who only ever clicks one brand."""
    document = next(
        each
        for each in house.shelf.at(None).find([*cups(12)], {}).values()
        if each.fields["brand"] == brand
    )
    house.tastes.clicked(user, document)


async def test_16_what_one_user_likes_never_changes_what_is_cached_for_others() -> None:
    house = House()
    house.shelf.put(cups(12))
    before = await house.search("cup")
    fan(house, "ann", "b1")
    fan(house, "bob", "b0")

    mine = await house.search("cup", user_id="ann")
    others = await house.search("cup", user_id="bob")
    after = await house.search("cup")

    assert mine.source == others.source == pb.SearchResponse.CACHE_PERSONALIZED
    orders = [ids([each]) for each in (before, mine, others)]
    assert len({*map(tuple, orders)}) == 3, orders
    assert after.source == pb.SearchResponse.CACHE
    assert said(after) == said(before)


async def test_17_what_the_model_is_told_is_the_same_whoever_asks() -> None:
    house = House()
    house.shelf.put(cups(12))
    told = []
    fan(house, "ann", "b1")
    for user, session in (("", ""), ("ann", "s1"), ("bob", "s2")):
        house.ranker.rows.clear()
        await house.search("cup", user_id=user, skip_cache=True, context={"session_id": session})
        told.append([*house.ranker.rows])

    assert told[0] == told[1] == told[2]
    assert len(told[0]) == 12


async def test_17_the_ranking_of_one_user_is_the_ranking_of_all() -> None:
    house = House()
    house.shelf.put(cups(12))
    await house.search("cup", user_id="ann")
    await house.search("cup", user_id="bob")

    assert len(house.shelf.queries) == 1
    assert house.engine.cached == (1, 1)


@pytest.mark.parametrize("size", [1, 3, 5, 12, 100])
async def test_18_a_hit_of_the_cache_has_the_pages_of_a_miss(size: int) -> None:
    house = House()
    house.shelf.put(cups(12))
    missed = await house.pages("cup", page_size=size)
    hit = await house.pages("cup", page_size=size)

    assert hit[0].source == pb.SearchResponse.CACHE
    assert [len(each.hits) for each in hit] == [len(each.hits) for each in missed]
    assert max(len(each.hits) for each in hit) <= size
    assert [said(each) for each in hit] == [said(each) for each in missed]


@pytest.mark.parametrize("count", [0, 1, 19, 20, 21, 73])  # the window has 20
@pytest.mark.parametrize("size", [1, 7, 20, 50])
async def test_19_pages_have_all_that_there_is_and_nothing_twice(count: int, size: int) -> None:
    house = House()
    house.shelf.put(cups(count) | {"other": {"title": "saucer"}})
    pages = await house.pages("cup", page_size=size)

    seen = ids(pages)
    assert len(seen) == len({*seen}) == count
    assert {each.total for each in pages} == {count}
    assert not any(each.total_is_lower_bound for each in pages)
    assert len(pages) == max(1, -(-count // size)), "no page is empty but an only one"


async def test_19_pages_stay_together_while_the_index_model_and_tastes_change() -> None:
    house = House()
    house.shelf.put(cups(60))
    first = await house.search("cup", page_size=7, user_id="ann")
    expected = ids([first])
    pages, number = [first], 0
    while token := pages[-1].next_page_token:
        number += 1
        house.shelf.put({f"new{number}": {"title": "cup", "price": 1000.0}})
        house.shelf.take(f"c{number:02}")
        house.ranker.raises = None if number % 2 else RuntimeError("it is gone")
        fan(house, "ann", f"b{number % 3}")
        pages.append(await house.search("cup", page_size=7, user_id="ann", page_token=token))

    assert expected == ids(pages[:1])
    assert sorted(ids(pages)) == sorted(cups(60))


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("size", [4, 100])
async def test_20_the_sort_that_is_asked_for_is_the_order_of_all_pages(
    descending: bool, size: int
) -> None:
    house = House()
    house.shelf.put(cups(50))
    sort = [pb.SearchSort(field="price", descending=descending)]
    fan(house, "ann", "b1")
    pages = await house.pages("cup", sort=sort, page_size=size, user_id="ann")

    assert ids(pages) == sorted(cups(50), reverse=descending)
    assert not house.ranker.rows, "no model has a say in it"


async def test_20_by_relevance_the_model_has_the_say() -> None:
    house = House()
    house.shelf.put(cups(12))

    assert await house.found("cup") == DEAREST
