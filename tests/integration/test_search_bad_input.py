"""What nobody should send to search, sent anyway: refused by name, and the index is as it was."""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest

from inferd.v1 import search_pb2 as pb
from inferd_client import InvalidRequest
from support.seekers import AMPLE_S, METHODS, PHONES, Seeker, a_server, document
from support.server import eventually
from support.transports import Transport

MIB = 1024 * 1024
SMALL_MESSAGES = {"INFERD__SERVER__MAX_RECEIVE_BYTES": str(12 * MIB)}


@pytest.fixture(scope="module")
def shop(transport: Transport, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeker]:
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp(transport)
        _, seeker = a_server(
            stack, directory / "server", directory, transport=transport, environment=SMALL_MESSAGES
        )
        seeker.stock(PHONES)
        eventually(lambda: seeker.describe().terms > 0)
        yield seeker


@pytest.fixture(autouse=True)
def _the_index_is_as_it_was(shop: Seeker) -> Iterator[None]:
    yield
    assert {*shop.found("", page_size=100)} == {*PHONES}
    assert shop.found("pixel") == ["p7"]


def deep(levels: int) -> pb.SearchFilter:
    """Return a filter of filters."""
    filter = pb.SearchFilter(field="brand", exists=True)
    for _ in range(levels):
        filter = pb.SearchFilter(all={"filters": [filter]})
    return filter


ONE = pb.SearchFilter(field="brand", exists=True)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"query": "x" * 10_000}, "query"),
        ({"query": "phone", "page_size": 101}, "page_size"),
        ({"query": "phone", "page_size": -1}, "page_size"),
        ({"page_token": "x" * 20_000}, "page_token"),
        ({"user_id": "u" * 600}, "user_id"),
        ({"request_id": "r" * 200}, "request_id"),
        ({"sort": [{"field": "title"}]}, "sort[0].field"),
        ({"sort": [{"field": "prise_minor"}]}, "sort[0].field"),
        ({"sort": [{"field": "relevance"}, {"field": "price_minor"}]}, "sort[0].field"),
        ({"sort": [{"field": "price_minor"}] * 6}, "sort"),
        ({"facets": [{"field": "title"}]}, "facets[0].field"),
        ({"facets": [{"field": "brand", "count": 101}]}, "facets[0].count"),
        ({"facets": [{"field": f"field{each}"} for each in range(11)]}, "facets"),
        ({"facets": [{"field": "brand"}, {"field": "brand"}]}, "facets[1].field"),
        ({"context": {"country": "Germany"}}, "context.country"),
        ({"context": {"intent": 77}}, "context.intent"),
        ({"context": {"recent_queries": ["x"] * 21}}, "context.recent_queries"),
        ({"context": {"recent_clicks": [""]}}, "context.recent_clicks[0]"),
        ({"forced_arms": {"ranking": "model"}}, "forced_arms"),
        ({"filters": [{}]}, "filters[0]"),
        ({"filters": [{"exists": True}]}, "filters[0].field"),
        ({"filters": [{"field": "colour", "exists": True}]}, "filters[0].field"),
        ({"filters": [{"field": "title", "equals": {"text": "x"}}]}, "filters[0].field"),
        ({"filters": [{"field": "brand", "equals": {}}]}, "filters[0].equals"),
        ({"filters": [{"field": "brand", "equals": {"number": 1}}]}, "filters[0].equals"),
        ({"filters": [{"field": "brand", "range": {"at_least": 1}}]}, "filters[0].range"),
        ({"filters": [{"field": "price_minor", "range": {}}]}, "filters[0].range"),
        (
            {"filters": [{"field": "price_minor", "range": {"at_least": 2, "at_most": 1}}]},
            "filters[0].range",
        ),
        (
            {"filters": [{"field": "price_minor", "range": {"at_least": math.nan}}]},
            "filters[0].range",
        ),
        ({"filters": [deep(5)]}, "filters[0].all.filters[0].all.filters[0].all.filters[0].all"),
        ({"filters": [deep(40)]}, "filters[0].all.filters[0].all.filters[0].all.filters[0].all"),
        ({"filters": [ONE] * 101}, "filters"),
        ({"filters": [{"field": "brand", "any": {"filters": [ONE]}}]}, "filters[0].field"),
        (
            {"filters": [{"field": "brand", "any_of": {"values": [{"text": "x"}] * 1001}}]},
            "filters[0].any_of.values",
        ),
    ],
)
def test_a_search_that_is_wrong_is_refused_and_the_field_is_named(
    shop: Seeker, asked: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        shop.search(**asked)

    named = [each.field for each in caught.value.violations]
    assert [each[: len(field)] for each in named] == [field], caught.value


@pytest.mark.parametrize(
    "query",
    [
        "iphone\x0013",
        "\x00\x01\x02\x1b[31miphone 13\x7f",
        "i\u200bpho\u200cne\u200d 13",
        "\u202eiphone 13\u202c",
        "\u2067iphone\u2069 13",
        "\ufeffiPhone\u00a013",
        "".join(chr(ord(each) + 0xFEE0) for each in "iPhone13"),
        "ÍPHÓNÉ 13",
        "i\u0301phone 13",
    ],
)
def test_characters_that_mean_nothing_change_nothing(shop: Seeker, query: str) -> None:
    assert shop.found(query)[:2] == shop.found("iphone 13")[:2]


@pytest.mark.parametrize(
    "query",
    [
        "💥" * 200,
        "العربية שלום",
        "()\"'*:^~+-&|!{}[]\\/?AND OR NOT",
        "title:iphone OR *",
        "a " * 499,
        "x" * 1000,
        "\u202e" * 1000,
        "between and under $",
        "under $" + "9" * 400,
        "-" * 1000,
    ],
)
def test_whatever_is_written_in_a_query_is_words_and_has_an_answer(
    shop: Seeker, query: str
) -> None:
    answer = shop.search(query, highlight=True, debug=True)

    assert 0 <= answer.total <= len(PHONES)
    assert not answer.degradations


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (document("", title="x"), "id"),
        (document("x" * 513, title="x"), "id"),
        (document("x", title="x" * 10 * MIB), ""),
        (document("x", titel="x"), "fields.titel"),
        (document("x", title=5), "fields.title"),
        (document("x", price_minor="5"), "fields.price_minor"),
        (document("x", price_minor=math.inf), "fields.price_minor"),
        (document("x", price_minor=math.nan), "fields.price_minor"),
        (document("x", new="yes"), "fields.new"),
    ],
)
def test_a_document_that_is_wrong_is_refused_and_named_and_its_neighbours_are_taken(
    shop: Seeker, wrong: pb.Document, field: str
) -> None:
    [answer] = shop.index([document("good", title="good"), wrong])

    taken, refused = answer.results
    assert taken.status == pb.IndexDocumentsResponse.INDEXED
    assert refused.status == pb.IndexDocumentsResponse.REJECTED
    assert refused.problems[0].startswith(f"documents[1]{'.' + field if field else ''}")
    assert shop.delete("good") == [True]


def test_nothing_and_too_much_of_it_are_refused_document_by_document(shop: Seeker) -> None:
    [nothing] = shop.index([])
    [many] = shop.index([document(f"m{number}", title="many") for number in range(1001)])

    assert not nothing.results
    assert {each.status for each in many.results} == {pb.IndexDocumentsResponse.REJECTED}
    assert "1000" in many.results[0].problems[0]


def test_a_message_that_is_too_large_ends_its_stream_and_nothing_else(shop: Seeker) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        shop.index([document("huge", title="x" * 13 * MIB)])

    error: Any = caught.value
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def endless() -> bytes:
    """Return a request whose filters are deeper than messages may be."""
    body = b""
    for number in range(1000):
        # Of a filter its `all`, of several filters their first, by turns; lengths are varints.
        length, size = len(body), b""
        while length > 0x7F:
            size += bytes([length & 0x7F | 0x80])
            length >>= 7
        tag = b"\x1a" if number == 999 else b"\x0a" if number % 2 else b"\x32"
        body = tag + size + bytes([length]) + body
    return body


@pytest.mark.parametrize("body", [b"\xff\xff\xff", endless()])
def test_bytes_that_are_no_message_are_refused(shop: Seeker, body: bytes) -> None:
    with (
        grpc.insecure_channel(shop.address) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        channel.unary_unary(f"{METHODS}/Search")(body, timeout=AMPLE_S)

    error: Any = caught.value
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("click", "field"),
    [
        ({"query": "x"}, "document_id"),
        ({"document_id": "p7", "position": -1}, "position"),
        ({"document_id": "p7", "query": "x" * 10_000}, "query"),
        ({"document_id": "p7", "type": 9}, "type"),
        ({"document_id": "p7", "time_us": 2**62}, "time_us"),
        ({"document_id": "p7", "event_id": "e" * 200}, "event_id"),
    ],
)
def test_a_click_that_is_wrong_is_refused_and_named(
    shop: Seeker, click: dict[str, Any], field: str
) -> None:
    one = pb.Click(**{"type": pb.Click.CLICK, **click})
    with pytest.raises(InvalidRequest) as caught:
        shop.call("RecordClick", pb.RecordClickRequest(clicks=[one]), pb.RecordClickResponse)

    assert [each.field for each in caught.value.violations] == [f"clicks[0].{field}"]


@pytest.mark.parametrize(
    ("rpc", "asked", "field"),
    [
        ("Suggest", pb.SuggestRequest(prefix="x" * 201), "prefix"),
        ("Suggest", pb.SuggestRequest(count=51), "count"),
        ("DeleteDocuments", pb.DeleteDocumentsRequest(), "ids"),
        ("DeleteDocuments", pb.DeleteDocumentsRequest(ids=[""]), "ids[0]"),
        ("GetDocuments", pb.GetDocumentsRequest(ids=["x"] * 101), "ids"),
        ("ExplainHit", pb.ExplainHitRequest(), "document_id"),
        ("PutCurations", pb.PutCurationsRequest(curations=[{"query": " "}]), "curations[0].query"),
    ],
)
def test_other_requests_that_are_wrong_are_refused_and_the_field_is_named(
    shop: Seeker, rpc: str, asked: Any, field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        shop.call(rpc, asked, getattr(pb, f"{rpc}Response"))

    assert [each.field for each in caught.value.violations] == [field]
