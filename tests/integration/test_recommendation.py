"""Recommendations over the wire: for whom, of what, and what is told of them."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from inferd.app import main
from inferd.v1 import recommendation_pb2 as pb
from inferd_client import InvalidRequest, NotFound
from support.features import AMPLE_S
from support.recommending import (
    BRANDS,
    CATEGORIES,
    INPUTS,
    ITEMS,
    METHODS,
    RANKERS,
    Shop,
    a_server,
    an_item,
    did,
    ids,
    items,
    made,
    met,
    of,
    write_models,
    written,
)
from support.server import eventually
from support.transports import TRANSPORTS

GRPCURL = shutil.which("grpcurl")
needs_grpcurl = pytest.mark.skipif(
    GRPCURL is None and "CI" not in os.environ, reason="grpcurl is not installed"
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("models")
    write_models(repository)
    return repository


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module", params=TRANSPORTS)
def shop(
    request: pytest.FixtureRequest, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """One server for all tests that have users, and items that they change, of their own."""
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp(request.param) / "server"
        _, shop = a_server(stack, directory, models, transport=request.param)
        assert {*shop.upsert(items())} == {"ADDED"}
        yield shop


# -- whom, and of what ---------------------------------------------------------------------


def test_somebody_who_is_known_gets_what_models_think_best(shop: Shop) -> None:
    met(shop, "known", 0, 3, 6)

    answer = shop.recommend("known", count=12, context={"page": "home"})

    assert made(answer) == "COMPUTED"
    assert not answer.degradations
    assert len(answer.items) == len(set(ids(answer))) == 12
    assert [*answer.models] == [f"{name}/1" for name in RANKERS]
    assert answer.items[0].score == max(each.score for each in answer.items)
    assert all(each.reason for each in answer.items)
    assert answer.request_id
    assert answer.latency_ms > 0
    of_taste = [int(id[1:]) % len(CATEGORIES) == 0 for id in ids(answer)]
    assert sum(of_taste) > 9


def test_somebody_who_is_unknown_gets_a_list_too_and_the_same_again(shop: Shop) -> None:
    answer = shop.recommend("never seen")

    assert made(answer) == "COLD_START"
    assert len(answer.items) == 10
    assert not answer.degradations
    assert ids(shop.recommend("never seen", skip_cache=True)) == ids(answer)


def test_every_filter_holds_for_every_item(shop: Shop) -> None:
    met(shop, "choosy", 1, 4)
    filters = [
        of("brand", "acme", "bolt"),
        pb.ItemFilter(field="price_minor", range=pb.FilterRange(at_least=1100, at_most=1400)),
        of("category", "hats", negate=True),
    ]

    answer = shop.recommend("choosy", count=50, filters=filters)

    found = {int(id[1:]) for id in ids(answer)}
    assert found == {
        number
        for number in range(10, 41)
        if number % len(BRANDS) < 2 and number % len(CATEGORIES) != 2
    }


def test_similar_items_are_like_it_and_not_it(shop: Shop) -> None:
    answer = shop.similar("i005", count=8)

    assert made(answer) == "SIMILAR"
    assert "i005" not in ids(answer)
    assert sum(int(id[1:]) % len(CATEGORIES) == 2 for id in ids(answer)) > 6
    with pytest.raises(NotFound, match="there is no item"):
        shop.similar("nothing")


def test_what_many_want_is_in_demand(shop: Shop) -> None:
    shop.record(*(did(f"crowd {number}", "i017", "PURCHASE") for number in range(30)))

    def leads() -> bool:
        answer = shop.trending(count=3)
        assert made(answer) == "TRENDING"
        return ids(answer)[:1] == ["i017"]

    eventually(leads)
    found = shop.trending(count=5, category=CATEGORIES[17 % len(CATEGORIES)])
    assert "i017" in ids(found)
    assert {int(id[1:]) % len(CATEGORIES) for id in ids(found)} == {17 % len(CATEGORIES)}


# -- items -----------------------------------------------------------------------------------


def test_what_is_upserted_is_found_by_the_next_request(shop: Shop) -> None:
    only = [of("brand", "fresh")]
    assert ids(shop.recommend("early", filters=only)) == []

    assert shop.upsert([an_item(900, brand="fresh"), an_item(901, brand="stale")]) == [
        "ADDED",
        "ADDED",
    ]

    assert ids(shop.recommend("early", filters=only)) == ["i900"]
    assert ids(shop.similar("i900", filters=[of("brand", "stale")])) == ["i901"]
    assert shop.upsert([an_item(900, brand="fresh")]) == ["UNCHANGED"]
    assert shop.upsert([an_item(900, brand="stale")]) == ["REPLACED"]
    assert ids(shop.recommend("early", filters=only)) == []
    [item] = shop.get("i900", "i000000").items
    assert item.brand == "stale"


def test_what_is_deleted_is_in_no_answer_whatever_was_kept(shop: Shop) -> None:
    met(shop, "mourner", 2, 5)
    shop.upsert([an_item(910, brand="brief", vector=an_item(2).vector)])
    shop.record(*(did(f"fan {number}", "i910", "PURCHASE") for number in range(50)))
    only = [of("brand", "brief")]
    assert ids(shop.recommend("mourner", filters=only)) == ["i910"]
    assert made(shop.recommend("mourner", filters=only)) == "CACHE"

    assert [*shop.delete("i910", "i911")] == [True, False]

    assert ids(shop.recommend("mourner", filters=only)) == []
    for answer in (
        shop.recommend("mourner", count=100),
        shop.recommend("nobody", count=100),
        shop.similar("i002", count=100),
        shop.trending(count=100),
    ):
        assert "i910" not in ids(answer)
    assert not shop.get("i910").items
    [fate] = shop.explain("mourner", "i910").fates
    assert fate.lost == "not_in_catalogue"


def test_what_is_sold_out_or_not_out_yet_is_not_shown_and_its_fate_is_told(shop: Shop) -> None:
    shop.upsert(
        [
            an_item(920, brand="lacking", stock=0),
            an_item(921, brand="lacking", released_us=2**52),
            an_item(922, brand="lacking", stock=1),
        ]
    )

    answer = shop.explain("asker", "i920", "i921", "i922", filters=[of("brand", "lacking")])

    assert ids(answer.recommendations) == ["i922"]
    assert [each.lost for each in answer.fates] == ["out_of_stock", "not_released", ""]
    assert answer.fates[2].position == 0
    [wrong] = shop.explain("asker", "i922", filters=[of("brand", "acme")]).fates
    assert wrong.lost == "filter:brand"


# -- what users do ---------------------------------------------------------------------------


def test_of_150_interactions_the_newest_100_are_known(shop: Shop) -> None:
    acts = [did("busy", f"i{number % ITEMS:03d}", "VIEW") for number in range(150)]
    for at, act in enumerate(acts):
        act.time_us += at - len(acts)
    assert {*shop.record(*acts)} == {"ADDED"}

    assert shop.recommend("busy", debug=True).debug.interactions == 100


def test_an_interaction_changes_the_next_answer(shop: Shop) -> None:
    met(shop, "moved", 0, 3)
    first = shop.recommend("moved")
    assert made(shop.recommend("moved")) == "CACHE"

    shop.record(did("moved", ids(first)[0], "PURCHASE"))

    after = shop.recommend("moved")
    assert made(after) == "COMPUTED"
    assert ids(first)[0] not in ids(after)


def test_a_list_follows_its_user_into_another_category(shop: Shop) -> None:
    met(shop, "changing", 0, 3)
    before = shop.recommend("changing")
    met(shop, "changing", 2, 5, 8, 11, 14)
    after = shop.recommend("changing")

    def hats(answer: pb.Recommendations) -> int:
        return sum(int(id[1:]) % len(CATEGORIES) == 2 for id in ids(answer))

    assert hats(before) < 3
    assert hats(after) > 7


def test_what_is_seen_in_this_session_counts_and_need_not_be_recorded(shop: Shop) -> None:
    answer = shop.recommend("stranger", context={"recent_items": ["i001", "i004", "i007"]})

    assert made(answer) == "COMPUTED"
    assert sum(int(id[1:]) % len(CATEGORIES) == 1 for id in ids(answer)) > 7


def test_the_same_event_is_counted_once_and_what_is_wrong_harms_no_other(shop: Shop) -> None:
    once = did("careful", "i001", event_id="once")
    nobody, undone = did("", "i001"), pb.Interaction(user_id="careful", item_id="i001")

    assert shop.record(once, nobody, undone, once) == ["ADDED", "REJECTED", "REJECTED", "DUPLICATE"]
    assert shop.record(once) == ["DUPLICATE"]
    assert shop.recommend("careful", debug=True).debug.interactions == 1


def test_interactions_are_streamed_and_each_request_is_answered(shop: Shop) -> None:
    requests = [
        pb.RecordInteractionsRequest(interactions=[did("streamer", f"i{number:03d}")])
        for number in range(20)
    ]
    requests[7].interactions[0].user_id = ""
    with grpc.insecure_channel(shop.address) as channel:
        stream = channel.stream_stream(
            f"{METHODS}/StreamInteractions",
            request_serializer=pb.RecordInteractionsRequest.SerializeToString,
            response_deserializer=pb.RecordInteractionsResponse.FromString,
        )
        answers = [*stream(iter(requests), timeout=AMPLE_S)]

    assert len(answers) == len(requests)
    [wrong] = answers[7].results
    assert "user_id" in wrong.problems[0]
    assert shop.recommend("streamer", debug=True).debug.interactions == 19


# -- answers that are kept -------------------------------------------------------------------


def test_defect_15_a_kept_answer_has_the_new_request_id_latency_and_arm(shop: Shop) -> None:
    met(shop, "again", 1, 4)
    arms = [{"labels": "plain"}, {"labels": "bold"}]
    first = shop.recommend("again", request_id="one", forced_arms=arms[0])
    second = shop.recommend("again", request_id="two", forced_arms=arms[1])

    assert [made(first), made(second)] == ["COMPUTED", "CACHE"]
    assert ids(first) == ids(second)
    assert [first.request_id, second.request_id] == ["one", "two"]
    assert first.latency_ms != second.latency_ms
    assert second.time_us > first.time_us
    assert [[it.arm for it in each.arms] for each in (first, second)] == [["plain"], ["bold"]]


def test_an_arm_that_makes_lists_otherwise_has_lists_of_its_own(shop: Shop) -> None:
    met(shop, "tester", 1, 4)
    lists = []
    for arm in ("same", "varied"):
        said: Any = {"forced_arms": {"variety": arm}, "context": {"page": "cart"}}
        answers = [shop.recommend("tester", **said) for _ in range(2)]
        assert [made(each) for each in answers] == ["COMPUTED", "CACHE"]
        assert ("variety", arm) in {(it.experiment, it.arm) for it in answers[1].arms}
        lists.append(ids(answers[0]))
    assert lists[0] != lists[1]


def test_no_user_gets_what_is_kept_for_another(shop: Shop) -> None:
    met(shop, "mine", 0, 3, 6)
    met(shop, "yours", 1, 4, 7)
    for _ in range(2):
        mine, yours = shop.recommend("mine"), shop.recommend("yours")
        assert not {*ids(mine)} & {*ids(yours)}
    assert made(mine) == made(yours) == "CACHE"


@pytest.mark.parametrize(
    "other",
    [
        {"count": 11},
        {"include_seen": True},
        {"filters": [of("brand", "acme", "bolt", "core")]},
        {"context": {"page": "cart"}},
        {"skip_cache": True},
        {"debug": True},
    ],
    ids=lambda it: next(iter(it)),
)
def test_another_request_is_not_answered_with_what_was_kept(
    shop: Shop, other: dict[str, Any]
) -> None:
    user = f"varying {next(iter(other))}"
    met(shop, user, 1, 4)
    shop.recommend(user)
    assert made(shop.recommend(user)) == "CACHE"
    assert made(shop.recommend(user, **other)) == "COMPUTED"


# -- what is told ----------------------------------------------------------------------------


def test_debug_tells_sources_features_scores_and_how_long_it_took(shop: Shop) -> None:
    met(shop, "curious", 0, 3, 6)

    answer = shop.recommend("curious", debug=True)

    debug = answer.debug
    assert sum(found > 0 for found in debug.candidates.values()) >= 3
    assert {it.stage for it in debug.timings} == {
        *("user_vector", "candidates", "scoring", "ranking"),
    }
    assert debug.interactions == 6
    assert debug.left["candidates"] > 10
    for each in answer.items:
        assert each.debug.sources
        assert {*each.debug.features} == {*INPUTS}
        assert {*each.debug.scores} == {*RANKERS}
    assert not shop.recommend("curious").HasField("debug")


def test_all_that_is_wrong_with_a_request_is_told_at_once(shop: Shop) -> None:
    with pytest.raises(InvalidRequest) as caught:
        shop.recommend("", count=101, request_id="x" * 129, context={"country": "Germany"})
    assert {each.field for each in caught.value.violations} == {
        *("user_id", "count", "request_id", "context.country"),
    }


@pytest.mark.parametrize(
    ("wrong", "field", "text"),
    [
        (pb.ItemFilter(field="catgory"), "filters[0]", "equals, any_of and range"),
        (of("catgory", "hats"), "filters[0].field", "category"),
        (of("price_minor", "dear"), "filters[0].any_of", "number"),
    ],
)
def test_what_is_wrong_with_a_filter_is_told(
    shop: Shop, wrong: pb.ItemFilter, field: str, text: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        shop.recommend("filterer", filters=[wrong])
    [violation] = caught.value.violations
    assert violation.field.startswith(field)
    assert text in violation.description


def test_what_is_wrong_with_items_is_told_of_each(shop: Shop) -> None:
    bad = pb.Item(price_minor=-1, currency="euro", vector=[1.0])
    request = pb.UpsertItemsRequest(items=[an_item(930), bad])

    results = shop.call("UpsertItems", request, pb.UpsertItemsResponse).results

    assert [each.status for each in results] == [
        pb.UpsertItemsResponse.ADDED,
        pb.UpsertItemsResponse.REJECTED,
    ]
    named = {each.partition(":")[0] for each in results[1].problems}
    assert named == {f"items[1].{name}" for name in ("id", "price_minor", "currency", "vector")}
    with pytest.raises(InvalidRequest, match=r"items\[0\]\.id"):
        shop.upsert([bad])


@needs_grpcurl
def test_grpcurl_needs_no_protos_to_be_recommended_something(shop: Shop) -> None:
    said = json.dumps({"user_id": "by hand", "count": 3, "debug": True})
    method = f"{METHODS[1:]}/GetRecommendations"
    command = [str(GRPCURL), "-plaintext", "-d", said, shop.address, method]
    done = subprocess.run(command, check=True, capture_output=True, text=True)

    answer = json.loads(done.stdout)
    assert len(answer["items"]) == 3
    assert answer["source"] == "COLD_START"
    assert answer["debug"]["timings"]


def test_metrics_say_what_lists_were_made_of(
    stack: ExitStack, tmp_path: Path, models: Path
) -> None:
    server, shop = a_server(stack, tmp_path / "server", models)
    shop.upsert(items())
    met(shop, "counted", 0, 3)
    shop.recommend("counted")
    shop.recommend("counted")

    page = server.get("/metrics")

    for each in (
        'inferd_recommendation_lists_total{degraded="false",source="computed"} 1',
        'inferd_recommendation_lists_total{degraded="false",source="cache"} 1',
        'inferd_recommendation_stage_seconds_count{stage="scoring"} 1',
        f"inferd_recommendation_items {ITEMS}",
    ):
        assert each in page, each


def test_what_does_not_go_together_is_told_before_anything_is_served(
    tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(
        tmp_path,
        rankers=[{"name": "r", "model": "rec_tree", "inputs": ["item.prize"]}],
        profile={"items": "user_recent.itms"},
        interactions={"events": {"click": {"event": "clicked"}}},
        ranking={"rules": [{"name": "x", "where": [{"field": "pric", "at_most": 1}], "boost": 2}]},
    )

    assert main(["check", "--config", str(path), "--repository", str(models)]) != 0

    said = capsys.readouterr().err
    for each in (
        "recommendation.rankers.r.inputs: ",
        "recommendation.profile.items: ",
        "recommendation.interactions.events.click.event: ",
        "ranking.rules",
    ):
        assert each in said, (each, said)
