"""What is asked for: all that is wrong is told at once, and what is not said has a default."""

from typing import Any

import pytest

from inferd.config.search.index import IndexField
from inferd.errors import InvalidRequest
from inferd.services.search.questions import (
    DEFAULT_FACETS,
    DEFAULT_SIZE,
    Bounds,
    Question,
    question,
)
from inferd.services.search.schema import IndexSchema
from inferd.services.search.text_query import Facet, Sort
from inferd.v1 import search_pb2 as pb

SCHEMA = IndexSchema(
    {
        "title": IndexField(type="text"),
        "brand": IndexField(type="keyword", facet=True),
        "price": IndexField(type="number", sortable=True),
    }
)
BOUNDS = Bounds(100)


def asked(**said: Any) -> Question:
    return question(pb.SearchRequest(**said), SCHEMA, BOUNDS)


def test_what_is_not_said_has_a_default_and_every_question_an_id() -> None:
    first, second = asked(query="x", facets=[pb.FacetRequest(field="brand")]), asked(query="x")

    assert first.size == DEFAULT_SIZE
    assert first.facets == (Facet("brand", DEFAULT_FACETS),)
    assert first.by_relevance
    assert len({first.request_id, second.request_id, ""}) == 3


@pytest.mark.parametrize(
    ("sort", "by_relevance"),
    [((), True), (("relevance",), True), (("price",), False), (("price", "relevance"), False)],
)
def test_what_is_sorted_by_something_else_is_not_by_relevance(
    sort: tuple[str, ...], by_relevance: bool
) -> None:
    it = asked(sort=[pb.SearchSort(field=each) for each in sort])

    assert it.sort == tuple(Sort(each) for each in sort)
    assert it.by_relevance is by_relevance


def test_pages_are_of_one_answer_only_if_who_asks_and_what_for_are_the_same() -> None:
    same = asked(query="x", user_id="u", page_size=3, request_id="r", highlight=True)
    assert asked(query="x", user_id="u").identity == same.identity
    others = [
        asked(query="y", user_id="u"),
        asked(query="x", user_id="v"),
        asked(query="x", user_id="u", verbatim=True),
        asked(query="x", user_id="u", sort=[pb.SearchSort(field="price")]),
        asked(query="x", user_id="u", filters=[pb.SearchFilter(field="brand", exists=True)]),
    ]
    assert len({each.identity for each in (same, *others)}) == 6


def test_all_that_is_wrong_is_told_at_once_with_where_the_request_is() -> None:
    wrong = pb.SearchRequest(
        query="x" * 1001,
        page_size=-1,
        context=pb.SearchContext(country="de", recent_clicks=["x", ""]),
        facets=[pb.FacetRequest(field="brand", count=101)],
        forced_arms={"a": "b"},
    )
    with pytest.raises(InvalidRequest) as caught:
        question(wrong, SCHEMA, BOUNDS, "request.")

    assert {each.field for each in caught.value.violations} == {
        "request.query",
        "request.page_size",
        "request.context.country",
        "request.context.recent_clicks[1]",
        "request.facets[0].count",
        "request.forced_arms",
    }
