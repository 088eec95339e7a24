"""The pages of one answer, put together, are that answer: no gaps, no duplicates, no surprises."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.errors import InvalidRequest
from inferd.services.search.index import TextIndex
from inferd.services.search.pages import Kept, Page, PageTokens, shown
from inferd.services.search.text_query import Sort, TextQuery
from support.search_index import COLOURS, document, found, index_of, things, words

TOKENS = PageTokens(b"a key of some bytes", b"server")
pages = st.builds(
    Page,
    epoch=st.integers(0, 2**63),
    shown=st.integers(0, 2**31),
    rest=st.lists(st.integers(0, 999), unique=True).map(tuple),
)


@given(pages, st.text())
def test_a_token_is_the_page_it_was_made_of(page: Page, query: str) -> None:
    assert TOKENS.page(TOKENS.token(page, query), query) == page


@given(pages, st.text(), st.data())
def test_whatever_is_changed_in_a_token_it_is_refused(
    page: Page, query: str, data: st.DataObject
) -> None:
    token = TOKENS.token(page, query)
    place = data.draw(st.integers(0, len(token)))
    other = data.draw(st.text(max_size=2))
    changed = token[:place] + other + token[place + data.draw(st.integers(0, 2)) :]
    if changed == token:
        return
    with pytest.raises(InvalidRequest) as raised:
        TOKENS.page(changed, query)
    assert raised.value.violations[0].field == "page_token"


@given(st.text())
def test_a_text_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="page_token"):
        TOKENS.page(text, "")


@given(pages, st.text(), st.text())
def test_a_token_is_good_for_its_query_only(page: Page, query: str, other: str) -> None:
    token = TOKENS.token(page, query)
    if query != other:
        with pytest.raises(InvalidRequest, match="another request"):
            TOKENS.page(token, other)
    with pytest.raises(InvalidRequest, match="none that this server made"):
        PageTokens(b"another key", b"server").page(token, query)


@given(
    total=st.integers(0, 60),
    window=st.integers(0, 25),
    depth=st.integers(1, 80),
    pins=st.lists(st.integers(0, 70), max_size=5),
    sizes=st.lists(st.integers(1, 30), min_size=1),
    seed=st.integers(0, 99),
)
def test_pages_together_are_the_whole_answer_with_pins_in_their_places(
    *, total: int, window: int, depth: int, pins: list[int], sizes: list[int], seed: int
) -> None:
    text_order = [f"d{number}" for number in range(total)]
    order = [*range(min(window, total))]
    random.Random(seed).shuffle(order)
    pinned = [(place, f"pin{number}") for number, place in enumerate(pins)]
    page: Page | None = Page(1, 0, tuple(order))
    whole: list[str] = []
    for turn in range(200):
        if page is None:
            break
        assert len(whole) == page.shown
        size = sizes[turn % len(sizes)]
        said = shown(page, size, window=len(order), total=total, depth=depth, pins=pinned)
        hits = [text_order[place] for place in said.window]
        hits += text_order[said.offset : said.offset + said.count]
        for place, id in said.pins:
            hits.insert(place, id)
        assert len(hits) <= size
        whole += hits
        page = said.next

    ranked = [text_order[place] for place in order] + text_order[len(order) :]
    without_pins = [id for id in whole if not id.startswith("pin")]
    assert page is None
    assert len(whole) == min(total + len(pins), depth)
    assert len({*whole}) == len(whole)
    assert without_pins == ranked[: len(without_pins)]
    for place, id in pinned:
        if depth > total + len(pins) and pins.count(place) == 1:
            assert whole.index(id) <= max(place, *pins) + len(pins)
    if len(pinned) == 1 and pinned[0][0] < min(total + 1, depth):
        assert whole[pinned[0][0]] == "pin0"


@given(
    st.lists(st.tuples(st.floats(0, 10), st.sampled_from(["add", "keep", "look"])), max_size=60),
    st.integers(1, 5),
)
def test_a_state_is_kept_for_as_long_as_was_promised_and_no_more_than_fit(
    happenings: list[tuple[float, str]], at_most: int
) -> None:
    kept: Kept[int] = Kept(keep_s=10.0, at_most=at_most)
    now, newest, promised = 0.0, 0, 0.0
    kept.add(0, 0, now)
    for after, what in happenings:
        now += after
        if what == "add":
            newest += 1
            kept.add(newest, newest, now)
        elif what == "keep":
            assert kept.prolong(newest, now)
            promised = now + 10.0
        assert kept.get(newest, now) == newest
        assert len(kept) <= at_most + 1
        assert kept.get(newest + 1, now) is None
    assert all(kept.get(epoch, now + 1000) is None for epoch in range(newest))
    assert kept.get(newest, promised + 1000) == newest


async def all_pages(index: TextIndex, query: TextQuery, rng: random.Random) -> list[str]:
    """Return the ids of all pages, each asked for with the token of the one before.

    The window is in an order of its own, and the index is changed before every page.
    """
    asked = repr(query)
    window = await index.search(query)
    order = [*range(len(window.ids))]
    rng.shuffle(order)
    page: Page | None = Page(window.epoch, 0, tuple(order))
    whole: list[str] = []
    while page is not None:
        assert index.keep(page.epoch)
        page = TOKENS.page(TOKENS.token(page, asked), asked)
        await change(index, rng)
        best = await index.search(query, epoch=page.epoch)
        said = shown(page, 7, window=len(best.ids), total=best.total, depth=1000)
        whole += [best.ids[place] for place in said.window]
        if said.count:
            rest = TextQuery(query.words, sort=query.sort, offset=said.offset, window=said.count)
            whole += (await index.search(rest, epoch=page.epoch)).ids
        page = said.next
    return whole


async def change(index: TextIndex, rng: random.Random) -> None:
    """Add some documents, replace some and delete some."""
    some = [f"p{rng.randrange(200):03}" for _ in range(20)]
    await index.add([document(index, id, title=f"{rng.choice(COLOURS)} thing") for id in some])
    await index.delete([f"p{rng.randrange(200):03}" for _ in range(10)])
    if rng.random() < 0.1:
        await index.rebuild()


@given(
    text=st.sampled_from(["", "red", "shoe"]),
    sort=st.sampled_from([(), (Sort("price"),), (Sort("brand", True), Sort("relevance"))]),
    seed=st.integers(0, 2**32),
)
@settings(deadline=None, max_examples=15)
def test_pages_stay_together_while_the_index_changes(
    text: str, sort: tuple[Sort, ...], seed: int
) -> None:
    async def turn() -> None:
        async with index_of(things(90, seed), page_snapshots=200) as index:
            query = TextQuery(words(text), sort=sort, window=15)
            expected = await found(index, text, sort=sort, window=200)
            whole = await all_pages(index, query, random.Random(seed))
            assert whole[15:] == [*expected[15:]]
            assert sorted(whole[:15]) == sorted(expected[:15])

    asyncio.run(turn())
