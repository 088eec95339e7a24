"""The text index: what is in it is found, in the right order, and counted."""

import random
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from inferd.deadline import Deadline
from inferd.errors import Exhausted, InvalidRequest, LoadFailed, TimedOut
from inferd.services.search.index_open import opened
from inferd.services.search.text_query import (
    All,
    Alternative,
    AnyOf,
    Between,
    Equals,
    Exists,
    Facet,
    Filter,
    Not,
    Sort,
    TextQuery,
    Word,
)
from inferd.services.search.text_query import Any as AnyFilter
from support.search_index import (
    COLOURS,
    document,
    found,
    found_all,
    index_of,
    settings,
    sorted_by,
    things,
    words,
)


async def test_a_document_is_found_as_soon_as_it_is_acknowledged() -> None:
    async with index_of({}) as index:
        for number in range(5):
            epoch = await index.add([document(index, f"p{number}", title=f"thing {number}")])

            assert await found(index, str(number)) == (f"p{number}",)
            assert index.epoch == epoch
        assert index.count == 5


async def test_a_document_replaces_the_one_of_its_id() -> None:
    async with index_of({"a": {"title": "old shoe"}}) as index:
        first, second = document(index, "a", title="never"), document(index, "a", title="new shoe")
        await index.add([first, second])

        assert await found(index, "shoe") == ("a",)
        assert await found(index, "old") == await found(index, "never") == ()
        assert (await index.get(["a", "b"]))["a"].fields == {"title": "new shoe"}


async def test_it_is_said_which_documents_were_there_to_be_deleted() -> None:
    async with index_of({"a": {"title": "x"}, "b": {"title": "x"}}) as index:
        deleted = await index.delete(["a", "nothing", "a"])

        assert deleted == [True, False, False]
        assert await found(index, "x") == ("b",)


async def test_a_word_is_found_as_it_is_usually_typed() -> None:
    async with index_of({"a": {"title": "Łódź CAFÉ №5"}}) as index:
        for text in ("lodz", "Cafe\u0301", "\uff23\uff21\uff26\uff25", "no5"):
            assert await found(index, text) == ("a",), text


async def test_all_required_words_are_needed_and_optional_ones_are_better() -> None:
    shoes = {"a": {"title": "red shoe"}, "b": {"title": "blue shoe"}, "c": {"title": "red lamp"}}
    async with index_of(shoes) as index:
        wanted = TextQuery((*words("shoe"), Word((Alternative("red"),), required=False)))

        assert await found(index, "red shoe") == ("a",)
        assert (await index.search(wanted)).ids == ("a", "b")
        either = tuple(Word(each.alternatives, required=False) for each in words("blue lamp"))
        assert {*(await index.search(TextQuery(either))).ids} == {"b", "c"}


async def test_alternatives_are_worth_what_they_weigh_and_words_of_several_are_phrases() -> None:
    said = {"a": {"title": "mobile phone"}, "b": {"title": "phone mobile"}, "c": {"title": "cell"}}
    async with index_of(said) as index:
        word = Word((Alternative("cell"), Alternative("mobile phone", weight=0.1)))
        hits = await index.search(TextQuery((word,)))

        assert hits.ids == ("c", "a")


async def test_the_last_word_may_have_only_begun() -> None:
    async with index_of({"a": {"title": "phonebook"}, "b": {"title": "phone"}}) as index:
        begun = TextQuery(words("phon", prefix=True))
        whole = TextQuery(words("phone", prefix=True))

        assert {*(await index.search(begun)).ids} == {"a", "b"}
        assert (await index.search(whole)).ids == ("b", "a")
        assert await found(index, "phon") == ()


async def test_a_field_counts_as_much_as_its_boost_and_neighbours_count_more() -> None:
    said = {
        "about": {"title": "thing thing", "about": "red shoe"},
        "apart": {"title": "shoe for red"},
        "title": {"title": "a red shoe"},
    }
    async with index_of(said) as index:
        assert await found(index, "red shoe") == ("title", "apart", "about")


@pytest.mark.parametrize(
    "keys",
    [
        [("price", False)],
        [("price", True)],
        [("brand", False), ("price", True)],
        [("new", True), ("brand", True), ("price", False)],
    ],
)
async def test_hits_are_sorted_exactly_over_all_of_them(keys: list[tuple[str, bool]]) -> None:
    documents = things(120, seed=1)
    expected = sorted_by(documents, keys)
    sort = tuple(Sort(name, descending) for name, descending in keys)
    async with index_of({}) as index:
        for part in range(4):  # so that the index is in parts
            some = [*documents.items()][part::4]
            await index.add([document(index, id, **fields) for id, fields in some])
        for offset in range(0, 120, 17):
            hits = await found_all(index, sort=sort, offset=offset, window=17)
            assert hits.ids == expected[offset : offset + 17]
            assert hits.total == 120


async def test_what_is_equally_relevant_is_in_the_order_it_was_written_in() -> None:
    ids = [f"p{number:02}" for number in random.Random(1).sample(range(100), 60)]
    async with index_of({}) as index:
        for first in range(0, 60, 10):  # so that the index is in parts
            some = [document(index, id, title="thing") for id in ids[first : first + 10]]
            await index.add(some)
            for text in ("thing", ""):
                pages = [await found(index, text, offset=at, window=7) for at in range(0, 60, 7)]
                assert [id for page in pages for id in page] == ids[: first + 10]


async def test_equal_prices_may_be_sorted_by_relevance() -> None:
    said = {
        "a": {"title": "lamp", "about": "red", "price": 5},
        "b": {"title": "red", "price": 5},
        "c": {"title": "lamp", "about": "red", "price": 4},
    }
    async with index_of(said) as index:
        by_id = await found(index, "red", sort=(Sort("price"),))
        by_relevance = await found(index, "red", sort=(Sort("price"), Sort("relevance")))

        assert by_id == ("c", "a", "b")
        assert by_relevance == ("c", "b", "a")


def fits(given: Filter, fields: dict[str, Any]) -> bool:
    """Return what a filter says, read plainly."""
    match given:
        case All(filters):
            return all(fits(each, fields) for each in filters)
        case AnyFilter(filters):
            return any(fits(each, fields) for each in filters)
        case Not(filters):
            return not any(fits(each, fields) for each in filters)
        case _:
            said = fields.get(given.field, [])
            return holds(given, said if isinstance(said, list) else [said])


def holds(given: Equals | AnyOf | Between | Exists, said: list[Any]) -> bool:
    match given:
        case Equals(_, value):
            return value in said
        case AnyOf(_, values):
            return any(value in said for value in values)
        case Between(_, low, high):
            return any((low is None or low <= x) and (high is None or x <= high) for x in said)
        case Exists(_, exists):
            return bool(said) is exists


def some_filter(rng: random.Random, depth: int = 0) -> Filter:
    if depth < 3 and rng.random() < 0.5:
        kind = rng.choice((All, AnyFilter, Not))
        return kind(tuple(some_filter(rng, depth + 1) for _ in range(rng.randrange(3))))
    return rng.choice(
        (
            Equals("brand", rng.choice(("Acme", "acme", "Brown & Co"))),
            Equals("tags", rng.choice(COLOURS)),
            Equals("new", rng.random() < 0.5),
            Equals("price", 0.0),
            AnyOf("price", (9.99, 250)),
            AnyOf("tags", ("red", "blue")),
            AnyOf("brand", ()),
            Between("price", at_least=9.99, at_most=10.0),
            Between("price", at_most=-0.0),
            Between("price", at_least=300, at_most=200),
            Exists(rng.choice(("tags", "price", "new")), rng.random() < 0.5),
        )
    )


async def test_filters_let_through_what_they_say_and_nothing_else() -> None:
    documents, rng = things(150, seed=2), random.Random(3)
    async with index_of(documents) as index:
        scores = dict(zip(*_scored(await found_all(index, "red", window=200)), strict=True))
        for _ in range(150):
            wanted = some_filter(rng)
            hits = await found_all(index, "red", filters=(wanted,), window=200)
            expected = {id for id in scores if fits(wanted, documents[id])}
            assert {*hits.ids} == expected, wanted
            assert hits.total == len(expected)
            assert dict(zip(*_scored(hits), strict=True)) == {id: scores[id] for id in expected}


def _scored(hits: Any) -> tuple[tuple[str, ...], list[float]]:
    return hits.ids, hits.text_scores.tolist()


async def test_values_are_counted_among_all_that_fits_not_only_among_the_hits() -> None:
    documents = things(150, seed=4)
    asked = tuple(Facet(name, 3) for name in ("brand", "tags", "price", "new"))
    async with index_of({}) as index:
        for part in range(3):
            some = [*documents.items()][part::3]
            await index.add([document(index, id, **fields) for id, fields in some])
        hits = await found_all(index, filters=(Exists("price"),), facets=asked, window=1)
    priced = [fields for fields in documents.values() if "price" in fields]
    for facet in hits.facets:
        said = [fields.get(facet.field, []) for fields in priced]
        values = [each for one in said for each in (one if isinstance(one, list) else [one])]
        counts = Counter(values)
        assert [number for _, number in facet.counts] == [n for _, n in counts.most_common(3)]
        assert all(counts[value] == number for value, number in facet.counts)
        assert facet.more is (len(counts) > 3)


async def test_a_value_that_is_rare_in_every_part_of_the_index_is_counted_in_all() -> None:
    async with index_of({}) as index:
        for part in range(4):
            twice = [f"{part}-{place // 2}" for place in range(60)]
            tags = enumerate([*twice, "common"])
            await index.add([document(index, f"p{part}-{at}", tags=[tag]) for at, tag in tags])
        hits = await found_all(index, facets=(Facet("tags", 1),))

        assert hits.facets[0].counts == (("common", 4),)


async def test_hits_come_with_their_documents_and_the_numbers_of_them() -> None:
    said = {"a": {"title": "x", "price": 3, "tags": ["u", "v"]}, "b": {"title": "x y", "new": True}}
    async with index_of(said) as index:
        hits = await found_all(index, "x")

        assert [each.id for each in hits.documents] == [*hits.ids] == ["a", "b"]
        assert hits.documents[0].fields == {"title": "x", "price": 3.0, "tags": ("u", "v")}
        assert hits.columns["price"].tolist()[0] == 3.0
        assert str(hits.columns["new"].tolist()) == "[nan, 1.0]"


async def test_facets_are_left_out_when_there_is_no_time_for_them() -> None:
    seconds = count()  # every look at the clock is a second later
    async with opened(settings(), clock=lambda: float(next(seconds))) as index:
        await index.add([document(index, "a", title="x", brand="Acme")])
        asked = TextQuery(words("x"), facets=(Facet("brand"),))
        all_of_it = await index.search(asked, Deadline.after(100, now=next(seconds)))
        hits_only = await index.search(asked, Deadline.after(3.5, now=next(seconds)))

        assert all_of_it.complete
        assert all_of_it.facets[0].counts == (("Acme", 1),)
        assert hits_only.ids == ("a",)
        assert (hits_only.facets, hits_only.complete) == ((), False)
        with pytest.raises(TimedOut):
            await index.search(asked, Deadline.after(0.5, now=next(seconds)))


async def test_what_is_left_out_is_neither_found_nor_counted() -> None:
    async with index_of({id: {"title": "x", "brand": id} for id in "abc"}) as index:
        hits = await found_all(index, "x", without=("b", "z"), facets=(Facet("brand"),))

        assert hits.ids == ("a", "c")
        assert hits.total == 2
        assert hits.facets[0].counts == (("a", 1), ("c", 1))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"filters": (Equals("prise", 1.0),)}, "filters[0].field"),
    ({"filters": (Equals("price", "1"),)}, "filters[0].equals"),
    ({"filters": (Equals("new", 1.0),)}, "filters[0].equals"),
    ({"filters": (Equals("brand", True),)}, "filters[0].equals"),
    ({"filters": (Equals("title", "x"),)}, "filters[0].field"),
    ({"filters": (All((Between("brand", at_most=1),)),)}, "filters[0].all.filters[0].range"),
    ({"filters": (Between("price"),)}, "filters[0].range"),
    ({"filters": (Between("price", at_least=float("nan")),)}, "filters[0].range"),
    ({"sort": (Sort("tags"),)}, "sort[0].field"),
    ({"sort": (Sort("relevance"), Sort("price"))}, "sort[0].field"),
    ({"facets": (Facet("title"),)}, "facets[0].field"),
    ({"window": 1001}, "page_size"),
    ({"offset": 10_000}, "page_token"),
]


@pytest.mark.parametrize(("wrong", "field"), WRONG)
async def test_a_wrong_query_is_told_what_is_wrong(wrong: dict[str, Any], field: str) -> None:
    async with index_of({"a": {"title": "x"}}) as index:
        with pytest.raises(InvalidRequest) as raised:
            await found(index, "x", **wrong)

        assert field in raised.value.violations[0].field
        assert await found(index, "x") == ("a",)


async def test_a_query_of_odd_texts_finds_nothing_and_breaks_nothing() -> None:
    async with index_of({"a": {"title": "x"}}) as index:
        for text in ("", " ", "\0", "*", '"', "x" * 10_000, "\u202ex\u200b", "AND OR NOT", "[1 TO"):
            word = Word((Alternative(text), Alternative(text, prefix=True)))
            assert (await index.search(TextQuery((word,)))).ids in {(), ("a",)}
        assert (await index.search(TextQuery((Word(()),)))).ids == ()


async def test_why_a_document_is_no_hit_is_told_and_how_it_is_one() -> None:
    async with index_of({"a": {"title": "red shoe", "price": 5}}) as index:
        dear = TextQuery(words("red"), filters=(Exists("price"), Between("price", at_least=6)))
        hidden = TextQuery(words("red"), without=("a",))

        assert await index.explain(dear, "a") == ("", "filter:1")
        assert await index.explain(hidden, "a") == ("", "hidden")
        assert await index.explain(TextQuery(words("blue")), "a") == ("", "no_word")
        assert await index.explain(TextQuery(words("red")), "b") == ("", "absent")
        explained, lost = await index.explain(TextQuery(words("red")), "a")
        assert "idf" in explained
        assert lost == ""


async def test_the_vocabulary_is_what_a_recount_says_whatever_was_done(tmp_path: Path) -> None:
    rng, documents = random.Random(5), things(40, seed=6)
    told: Counter[str] = Counter()
    async with index_of({}, tmp_path) as index:
        index.vocabulary.listeners.append(told.update)
        for _ in range(30):
            some = rng.choices([*documents], k=5)
            if rng.random() < 0.4:
                await index.delete(some)
            else:
                changed = [{**documents[id], "title": rng.choice(COLOURS)} for id in some]
                await index.add(
                    [document(index, id, **each) for id, each in zip(some, changed, strict=True)]
                )
        before = dict(index.vocabulary.counts)
        there = await index.get([*documents])
    async with index_of({}, tmp_path) as index:
        assert dict(index.vocabulary.counts) == before

    counted: Counter[str] = Counter()
    for each in there.values():
        for name in ("title", "about"):
            counted.update({*str(each.fields[name]).split()})
    assert before == counted
    assert {word: by for word, by in told.items() if by} == before


async def test_too_many_documents_are_refused_and_those_that_are_there_stay() -> None:
    async with index_of({"a": {"title": "x"}}, max_documents=2, max_waiting=2) as index:
        more = [document(index, id, title="x") for id in "bc"]
        with pytest.raises(Exhausted, match="full"):
            await index.add(more)
        with pytest.raises(Exhausted, match="wait"):
            await index.delete(["x", "y", "z"])

        assert await found(index, "x") == ("a",)


async def test_one_server_writes_and_the_next_only_when_it_has_gone(tmp_path: Path) -> None:
    async with index_of({"a": {"title": "x"}}, tmp_path) as index:
        epoch = index.epoch
        with pytest.raises(LoadFailed, match="another server"):
            async with index_of({}, tmp_path):
                pass
        assert await found(index, "x") == ("a",)
    async with index_of({}, tmp_path) as index:
        assert await found(index, "x") == ("a",)
        assert index.epoch > epoch


async def test_a_file_that_is_no_index_is_named(tmp_path: Path) -> None:
    async with index_of({"a": {"title": "x"}}, tmp_path):
        pass
    for path, said in (("1/meta.json", r"search\.index\.directory"), ("current.json", "current")):
        (tmp_path / path).write_text("{")
        with pytest.raises(LoadFailed, match=said):
            async with index_of({}, tmp_path):
                pass


def test_what_a_field_cannot_be_is_refused_at_the_start() -> None:
    for wrong in (
        {"type": "text", "sortable": True},
        {"type": "keyword", "boost": 2.0},
        {"type": "number", "suggest": True},
    ):
        with pytest.raises(ValueError, match="type"):
            settings(fields={"x": wrong})
