"""Search over the wire: documents come and go, queries are understood, and clicks count."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from inferd.v1 import search_pb2 as pb
from inferd_client import InvalidRequest, NotFound
from support.seekers import (
    METHODS,
    PHONES,
    RANKER,
    Seeker,
    a_server,
    document,
    write_ranker,
)
from support.server import eventually
from support.transports import Transport

CACHED = pb.SearchResponse.CACHE
PERSONAL = pb.SearchResponse.CACHE_PERSONALIZED
COMPUTED = pb.SearchResponse.COMPUTED
UNDER_500_DOLLARS_MINOR = 46_000.0
KILLED_AT = 30


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ranker(tmp_path_factory.mktemp("models"))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def seeker(
    transport: Transport, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Seeker]:
    """One server for all tests that have documents of their own, by a word of their own."""
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp(transport) / "server"
        _, seeker = a_server(stack, directory, models, transport=transport, ranker=dict(RANKER))
        yield seeker


@pytest.fixture(scope="module")
def shop(
    transport: Transport, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Seeker]:
    """One server for all tests that leave its documents as they are."""
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp(transport) / "shop"
        _, seeker = a_server(stack, directory, models, transport=transport, ranker=dict(RANKER))
        seeker.stock(PHONES)
        eventually(lambda: seeker.describe().terms > 0)
        yield seeker


def lot(word: str, count: int) -> dict[str, dict[str, Any]]:
    """Return things that one word finds, of rising price."""
    return {
        f"{word}{number:03}": {
            "title": f"{word} number{number}",
            "brand": f"Brand {number % 3}",
            "price_minor": 100.0 * number,
        }
        for number in range(count)
    }


# -- documents -------------------------------------------------------------------------


def test_what_is_acknowledged_is_found_at_once_and_what_is_deleted_is_not(seeker: Seeker) -> None:
    for number in range(5):
        [answer] = seeker.index([document(f"kayak{number}", title=f"kayak {number}")])
        assert answer.index_epoch
        assert f"kayak{number}" in seeker.found("kayak")
    assert seeker.delete("kayak3", "nothing", "kayak1") == [True, False, True]
    assert {*seeker.found("kayak")} == {"kayak0", "kayak2", "kayak4"}
    assert seeker.delete("kayak3") == [False]


def test_a_document_of_the_same_id_takes_the_place_of_the_one_before(seeker: Seeker) -> None:
    seeker.stock({"tent": {"title": "old tent"}})
    seeker.stock({"tent": {"title": "new canvas"}})

    assert "tent" not in seeker.found("old tent", verbatim=True)
    assert seeker.found("canvas", verbatim=True) == ["tent"]


def test_every_request_of_a_stream_is_answered_in_order_and_the_wrong_harm_no_other(
    seeker: Seeker,
) -> None:
    answers = seeker.index(
        [document("sled", title="sled")],
        [document("", title="sled"), document("sleigh", titel="sled")],
        [document("toboggan", title="sled", price_minor=math.nan)],
        [document("luge", title="sled", price_minor="dear"), document("bob", title="sled")],
        [pb.Document(id="skeleton", fields={"title": pb.DocumentValue()})],
    )

    statuses = [[it.status for it in each.results] for each in answers]
    ok, no = pb.IndexDocumentsResponse.INDEXED, pb.IndexDocumentsResponse.REJECTED
    assert statuses == [[ok], [no, no], [no], [no, ok], [no]]
    problems = [it.problems[0] for each in answers for it in each.results if it.problems]
    assert problems[0].startswith("documents[0].id: ")
    assert "documents[1].fields.titel: " in problems[1]
    assert "title" in problems[1], "the nearest name is told"
    assert "documents[0].fields.price_minor: " in problems[2]
    assert "documents[0].fields.price_minor: " in problems[3]
    assert problems[4] == "documents[0].fields.title: there must be a value"
    assert {*seeker.found("sled")} == {"sled", "bob"}


def test_documents_are_read_as_they_were_given(seeker: Seeker) -> None:
    given = document("vase", title="Vase", brand=["Ming", "Qing"], price_minor=5.5, new=False)
    seeker.index([given])
    request = pb.GetDocumentsRequest(ids=["vase", "no such"])
    answer = seeker.call("GetDocuments", request, pb.GetDocumentsResponse)

    assert [*answer.documents] == [given]


# -- what is found ---------------------------------------------------------------------


def test_what_a_query_means_is_found_and_told(shop: Seeker) -> None:
    answer = shop.search("ipone 13 under $500")

    assert [each.id for each in answer.hits] == ["i13"]
    assert answer.total == 1
    it = answer.understood
    assert it.text == "iphone 13"
    assert [(each.written, each.taken_for) for each in it.corrections] == [("ipone", "iphone")]
    assert {(each.kind, each.value) for each in it.entities} >= {("brand", "Apple")}
    [price] = [each.range for each in it.filters if each.field == "price_minor"]
    assert price.at_most == UNDER_500_DOLLARS_MINOR
    assert answer.ranker == "search_ranker/1"
    assert answer.coverage.full
    assert not answer.degradations


def test_a_query_taken_as_it_is_written_is_neither_corrected_nor_filtered(shop: Seeker) -> None:
    assert shop.found("ipone", verbatim=True) == []
    assert {*shop.found("iphone 13", verbatim=True)} == {"i13", "i13p", "case"}


def test_what_nothing_fits_is_asked_with_less_and_that_is_told(shop: Seeker) -> None:
    answer = shop.search("pixel with warm light")

    assert answer.hits
    assert answer.understood.relaxed
    assert shop.search("qqqq zzzz").total == 0


def test_hits_say_what_the_index_returns_and_nothing_else(shop: Seeker) -> None:
    [hit] = shop.search("iphone 13 under $500").hits

    assert {*hit.fields} == {*PHONES["i13"]} - {"cost_minor"}


def test_highlights_mark_the_words_and_escape_all_else(shop: Seeker) -> None:
    [hit] = shop.search("two cameras", highlight=True).hits

    assert hit.highlights["description"] == (
        "Six inches, and &lt;b&gt;<em>two</em>&lt;/b&gt; <em>cameras</em>"
    )


def test_facets_count_all_that_fits_whatever_is_on_the_page(shop: Seeker) -> None:
    answer = shop.search("", page_size=1, facets=[{"field": "brand"}, {"field": "category"}])

    assert len(answer.hits) == 1
    assert answer.total == len(PHONES)
    counts = {each.field: {it.value.text: it.count for it in each.counts} for each in answer.facets}
    assert counts["brand"] == {"Apple": 2, "Google": 1, "Spigen": 1, "Lumo": 1}
    assert counts["category"] == {"phone": 3, "case": 1, "lamp": 1}


def test_filters_hold_for_every_hit(shop: Seeker) -> None:
    dear = pb.SearchFilter(field="price_minor", range={"at_least": 40_000})
    apple = pb.SearchFilter(field="brand", equals={"text": "Apple"})
    new = pb.SearchFilter(field="new", equals={"flag": True})

    assert {*shop.found("", filters=[dear])} == {"i13", "i13p"}
    assert shop.found("", filters=[apple, new]) == ["i13"]
    neither = pb.SearchFilter(none={"filters": [dear, apple]})
    assert {*shop.found("", filters=[neither])} == {"p7", "case", "lamp"}


@pytest.mark.parametrize("descending", [False, True])
def test_the_sort_that_is_asked_for_is_the_order_of_hits(shop: Seeker, descending: bool) -> None:
    sort = [pb.SearchSort(field="price_minor", descending=descending)]
    prices = [each.fields["price_minor"].number for each in shop.search("", sort=sort).hits]

    assert prices == sorted((it["price_minor"] for it in PHONES.values()), reverse=descending)


# -- pages -----------------------------------------------------------------------------


@pytest.mark.parametrize("sort", [(), ("price_minor",)])
def test_pages_put_together_have_no_gaps_and_no_duplicates_while_documents_come_and_go(
    seeker: Seeker, sort: tuple[str, ...]
) -> None:
    word = f"bead{len(sort)}"
    seeker.stock(lot(word, 130))
    asked = {"sort": [pb.SearchSort(field=each) for each in sort], "page_size": 7}
    seen, totals, first = list[str](), set[int](), [*seeker.pages(word, **asked)]
    for number, page in enumerate(seeker.pages(word, **asked)):
        seen += [each.id for each in page.hits]
        totals.add(page.total)
        seeker.stock({f"{word}new{number}": {"title": word, "price_minor": 0.0}})
        seeker.delete(f"{word}{number * 3:03}")
        seeker.click(f"{word}{129 - number:03}", word)

    assert totals == {130}
    assert len(seen) == len({*seen}) == 130
    assert seen == [each.id for page in first for each in page.hits]


def test_tokens_are_refused_unless_they_are_of_this_server_and_this_query(seeker: Seeker) -> None:
    seeker.stock(lot("coin", 20))
    token = seeker.search("coin", page_size=5).next_page_token
    altered = token[:30] + ("A" if token[30] != "A" else "B") + token[31:]
    for query, forged in (
        ("coin", altered),
        ("coin", "forged"),
        ("coin", token[:-4]),
        ("coin", "\u202e💥"),
        ("coins of another kind", token),
    ):
        with pytest.raises(InvalidRequest, match="page_token") as caught:
            seeker.search(query, page_token=forged, page_size=5)
        assert [each.field for each in caught.value.violations] == ["page_token"]
    with pytest.raises(InvalidRequest, match="page_token"):
        seeker.search("coin", user_id="another", page_token=token)
    assert len(seeker.search("coin", page_token=token, page_size=5).hits) == 5


def test_a_token_of_an_earlier_start_has_expired(
    stack: ExitStack, tmp_path: Path, models: Path
) -> None:
    with stack.pop_all() as first:
        _, seeker = a_server(first, tmp_path, models, page_key="shared by all servers")
        seeker.stock(lot("coin", 20))
        token = seeker.search("coin").next_page_token
    _, seeker = a_server(stack, tmp_path, models, page_key="shared by all servers")

    with pytest.raises(InvalidRequest, match="begin with the first page") as caught:
        seeker.search("coin", page_token=token)
    assert caught.value.reason == "PAGE_EXPIRED"


# -- the cache, and what comes after ---------------------------------------------------


def test_what_is_cached_is_everybodys_and_each_has_an_order_of_their_own(seeker: Seeker) -> None:
    seeker.stock(lot("rug", 6))
    before = seeker.search("rug", request_id="first")
    order = [each.id for each in before.hits]
    last = order[-1]
    brand = before.hits[-1].fields["brand"].text
    assert before.hits[0].fields["brand"].text != brand
    for number in range(3):
        seeker.click(last, "something else", user="fan", event_id=f"rug fan {number}")

    mine = seeker.search("rug", user_id="fan", request_id="second")
    others = seeker.search("rug", request_id="third")

    assert mine.source == PERSONAL
    assert mine.hits[0].fields["brand"].text == brand, "what the user likes comes first"
    assert others.source == CACHED
    assert [each.id for each in others.hits] == order
    assert {*(each.id for each in mine.hits)} == {*order}
    assert [each.request_id for each in (before, mine, others)] == ["first", "second", "third"]


def test_a_hit_of_the_cache_goes_through_pagination_like_a_miss(seeker: Seeker) -> None:
    seeker.stock(lot("peg", 30))
    computed, cached = ([*seeker.pages("peg", page_size=4)] for _ in range(2))

    assert cached[0].source == CACHED
    assert [len(each.hits) for each in cached] == [len(each.hits) for each in computed]
    assert [it.id for page in cached for it in page.hits] == [
        it.id for page in computed for it in page.hits
    ]
    assert {each.total for each in cached} == {30}


def test_a_document_that_fits_ends_what_is_cached(seeker: Seeker) -> None:
    seeker.stock(lot("jug", 3))
    seeker.search("jug")
    assert seeker.search("jug").source == CACHED
    seeker.stock({"jug9": {"title": "jug"}})

    answer = seeker.search("jug")
    assert answer.source == COMPUTED
    assert "jug9" in [each.id for each in answer.hits]


def test_pins_and_what_is_hidden_are_put_and_hold_at_once(seeker: Seeker) -> None:
    seeker.stock(lot("cup", 8) | {"saucer": {"title": "saucer"}})
    before = seeker.found("cup")
    seeker.put_curations(
        pb.Curation(
            query="CUP",
            pins=[{"id": before[-1], "position": 0}, {"id": "saucer", "position": 2}],
            hidden=[before[0]],
        )
    )

    answer = seeker.search("cup")
    ids = [each.id for each in answer.hits]
    assert ids[0] == before[-1]
    assert ids[2] == "saucer"
    assert [each.pinned for each in answer.hits[:3]] == [True, False, True]
    assert before[0] not in ids
    assert answer.total == len(ids) == 8
    paged = [it.id for page in seeker.pages("cup", page_size=2) for it in page.hits]
    assert paged == ids
    seeker.put_curations()
    assert seeker.found("cup") == before


def test_curations_that_are_wrong_are_refused_and_those_in_force_stay(seeker: Seeker) -> None:
    good = pb.Curation(query="plate", hidden=["x"])
    seeker.put_curations(good)
    bad = pb.Curation(query="plate", pins=[{"id": "x", "position": -1}])
    with pytest.raises(InvalidRequest) as caught:
        seeker.put_curations(good, bad)

    assert [each.field for each in caught.value.violations] == ["curations[1].pins[0].position"]
    assert [*seeker.describe().curations] == [good]
    seeker.put_curations()


def test_synonyms_are_put_and_hold_at_once(seeker: Seeker) -> None:
    seeker.stock({"couch": {"title": "couch"}})
    assert seeker.found("davenport", verbatim=False) == []
    seeker.put_synonyms(["couch", "davenport"])

    answer = seeker.search("davenport")
    assert [each.id for each in answer.hits] == ["couch"]
    assert [(it.word, [*it.synonyms]) for it in answer.understood.synonyms] == [
        ("davenport", ["couch"])
    ]
    with pytest.raises(InvalidRequest) as caught:
        seeker.put_synonyms(["alone"])
    assert [each.field for each in caught.value.violations] == ["synonyms[0].words"]
    assert len(seeker.describe().synonyms) == 1


def test_a_click_changes_what_the_model_is_told_of_the_next_query(seeker: Seeker) -> None:
    seeker.stock(lot("pan", 10))
    seeker.search("pan")  # and it is kept
    before = seeker.search("pan", debug=True)
    last = before.hits[-1]
    assert last.debug.features["log(document.clicks_7d)"] == 0
    for number in range(5):
        assert seeker.click(last.id, "pan", event_id=f"pan {number}", position=9) == "ADDED"
    assert seeker.click(last.id, "pan", event_id="pan 0", position=9) == "DUPLICATE"

    first = seeker.search("pan", debug=True).hits[0]
    assert first.id == last.id, "everybody's clicks count for everybody"
    assert seeker.search("pan").hits[0].id == last.id, "whatever was kept before"
    assert first.debug.features["log(document.clicks_7d)"] > 1
    assert first.debug.features["pair.share"] > 0
    assert first.debug.places["retrieval"] == 9
    assert first.debug.places["ranking"] == 0


def test_why_a_document_is_where_it_is_or_is_not_found_is_told(seeker: Seeker) -> None:
    seeker.stock(lot("fan", 5) | {"fridge": {"title": "fridge"}})
    filters = [pb.SearchFilter(field="price_minor", range={"at_most": 200})]

    def explained(id: str, **more: Any) -> Any:
        request = pb.ExplainHitRequest(request={"query": "fan", **more}, document_id=id)
        return seeker.call("ExplainHit", request, pb.ExplainHitResponse)

    found = explained("fan001")
    assert found.position < 5
    assert not found.lost
    assert json.loads(found.text_explanation)
    assert found.hit.debug.features
    assert explained("fridge").lost == "no_word"
    assert explained("fan004", filters=filters).lost.startswith("filter:")
    with pytest.raises(NotFound):
        explained("nobody's")
    with pytest.raises(InvalidRequest) as caught:
        explained("fan001", page_size=-1)
    assert [each.field for each in caught.value.violations] == ["request.page_size"]


def test_what_is_begun_is_completed_and_errors_are_allowed_for(shop: Seeker) -> None:
    eventually(lambda: "iphone" in shop.suggested("ip"))
    assert shop.suggested("App") == ["Apple"]
    request = pb.SuggestRequest(prefix="ipohn")
    answer = shop.call("Suggest", request, pb.SuggestResponse)
    assert [(each.text, each.corrected) for each in answer.suggestions][:1] == [("iphone", True)]
    assert answer.did_you_mean == "iphone"


def test_a_query_is_suggested_to_others_once_enough_have_asked_it(shop: Seeker) -> None:
    query = "case for iphone"
    for user in ("a", "a", "b"):
        shop.search(query, user_id=user)
    shop.call("Suggest", pb.SuggestRequest(prefix="case f"), pb.SuggestResponse)
    assert query not in shop.suggested("case f")
    shop.search(query, user_id="c")

    eventually(lambda: query in shop.suggested("case f"))


def test_the_index_is_rebuilt_while_it_serves(seeker: Seeker) -> None:
    seeker.stock(lot("nut", 5))
    answer = seeker.call("RebuildIndex", pb.RebuildIndexRequest(), pb.RebuildIndexResponse)

    assert answer.documents == seeker.describe().documents
    assert len(seeker.found("nut")) == 5


# -- over a restart --------------------------------------------------------------------


def test_what_was_acknowledged_survives_kill_9_and_so_do_synonyms_and_curations(
    tmp_path: Path, models: Path
) -> None:
    with ExitStack() as first:
        killed = -signal.SIGKILL
        server, seeker = a_server(first, tmp_path, models, exit_code=killed)
        seeker.put_synonyms(["sofa", "couch"])
        seeker.put_curations(pb.Curation(query="couch", hidden=["d3"]))
        acknowledged = _until_killed(server.pid, seeker)
        server.told = True
    with ExitStack() as second:
        _, seeker = a_server(second, tmp_path, models)
        there = {it.id for page in seeker.pages("couch", page_size=100) for it in page.hits}
        described = seeker.describe()
        assert seeker.found("sofa")

    assert len(acknowledged) >= KILLED_AT
    assert {*acknowledged} - {"d3"} <= there
    assert "d3" not in there
    assert [[*each.words] for each in described.synonyms] == [["sofa", "couch"]]
    assert [each.query for each in described.curations] == ["couch"]


def _until_killed(pid: int, seeker: Seeker) -> list[str]:
    """Index one document after the other, and kill the server in the middle of it."""
    acknowledged: list[str] = []

    def requests() -> Iterator[pb.IndexDocumentsRequest]:
        for number in range(1000):
            yield pb.IndexDocumentsRequest(documents=[document(f"d{number}", title="couch")])

    with grpc.insecure_channel(seeker.address) as channel:
        stream = channel.stream_stream(
            f"{METHODS}/IndexDocuments",
            request_serializer=pb.IndexDocumentsRequest.SerializeToString,
            response_deserializer=pb.IndexDocumentsResponse.FromString,
        )(requests())
        try:
            for number, _ in enumerate(stream):
                acknowledged.append(f"d{number}")
                if number == KILLED_AT:
                    os.kill(pid, signal.SIGKILL)
        except grpc.RpcError:
            return acknowledged
    raise AssertionError("it was not killed")


# -- experiments -----------------------------------------------------------------------


def test_an_interleaved_answer_has_hits_of_both_teams_and_clicks_are_kept_with_it(
    stack: ExitStack, tmp_path: Path, models: Path
) -> None:
    arms = [
        {"name": "words", "parameters": {"learnt": False}},
        {"name": "model", "parameters": {"learnt": True}},
    ]
    declared = {
        "experiments": [
            {
                "name": "ranking",
                "surface": "search",
                "unit": "user_id",
                "state": "running",
                "interleaved": True,
                "arms": arms,
            }
        ]
    }
    tmp_path.joinpath("experiments.yaml").write_text(yaml.safe_dump(declared))
    experiments = {
        "definitions": str(tmp_path / "experiments.yaml"),
        "exposures": {"path": str(tmp_path / "exposures")},
        "outcomes": {"path": str(tmp_path / "outcomes")},
        "stops": str(tmp_path / "stops.json"),
    }
    config = {"experiments": experiments}
    server, seeker = a_server(stack, tmp_path, models, ranker=dict(RANKER), config=config)
    seeker.stock(lot("pot", 12))
    for number in range(6):
        seeker.click("pot011", "pot", user="somebody", event_id=f"{number}")
    for number, source in enumerate((COMPUTED, CACHED)):
        answer = seeker.search("pot", user_id="u", request_id=f"r{number}")
        teams = [each.team for each in answer.hits]
        assert {*teams} == {"words", "model"}
        assert sorted(teams) == ["model"] * 5 + ["words"] * 5
        assert [(it.experiment, it.arm) for it in answer.arms] == [("ranking", "interleaved")]
        assert answer.source == source, "a hit of the cache is interleaved like a miss"
    chosen = answer.hits[0]
    seeker.click(chosen.id, "pot", user="u", request_id="r1", event_id="c")
    server.signal(signal.SIGTERM)
    assert server.ended() == 0

    log = "".join(each.read_text() for each in sorted((tmp_path / "outcomes").glob("*.jsonl")))
    records = [json.loads(line) for line in log.splitlines()]
    [picks] = [
        each["body"]["picks"]
        for each in records
        if each["kind"] == "picks" and each["body"]["request"] == "r1"
    ]
    assert {team: len(ids) for team, ids in picks.items()} == {"words": 5, "model": 5}
    [click] = [
        each["body"] for each in records if each["body"].get("event") == "c" and each["id"] == "u"
    ]
    assert (click["request"], click["item"], click["metric"]) == ("r1", chosen.id, "click")
    assert chosen.id in picks[chosen.team]


# -- by hand ---------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("grpcurl") is None, reason="grpcurl is not installed")
def test_grpcurl_searches_without_a_file_of_the_protocol(shop: Seeker) -> None:
    asked = '{"query": "iphone 13 under $500"}'
    words = ("grpcurl", "-plaintext", "-d", asked, shop.address)
    done = subprocess.run(
        [*words, "inferd.v1.SearchService/Search"], capture_output=True, text=True, check=True
    )

    assert [each["id"] for each in json.loads(done.stdout)["hits"]] == ["i13"]


def test_what_is_found_is_counted(stack: ExitStack, tmp_path: Path, models: Path) -> None:
    server, seeker = a_server(stack, tmp_path, models)
    seeker.stock(PHONES)
    for _ in range(2):
        seeker.search("iphone")
    seeker.search("qqqq zzzz")
    page = server.get("/metrics")

    def sample(name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
        assert found is not None, (name, page)
        return float(found[1])

    assert sample('inferd_search_cache_total{found="hit"}') == 1
    assert sample("inferd_search_nothing_found_total") == 1
    assert sample("inferd_search_documents") == len(PHONES)
    assert sample('inferd_search_document_changes_total{became="indexed"}') == len(PHONES)
