"""Search while what it needs is slow or gone: an answer while there can be one, and labelled."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from inferd.v1 import search_pb2 as pb
from inferd_client import Unavailable
from support.chaos.fraud import disk
from support.chaos.world import with_examples
from support.seekers import PHONES, RANKER, Seeker, a_server, document, write_ranker
from support.server import NotStarted, eventually

FAULTS = {"enabled": True, "by_metadata": True}
#: Faults are the caller's own here: no breaker is to open for them.
NO_BREAKER = {
    "dependencies": {
        name: {"breaker": {"minimum_calls": 10_000}} for name in ("search_index", "search_ranker")
    }
}
MODEL_DOWN, MODEL_HANGS = "search_ranker=error:MODEL_FAILED", "search_ranker=drop"
INDEX_DOWN, INDEX_HANGS = "search_index=error:DEPENDENCY_FAILED", "search_index=drop"
HANGS_MS = 100
"""How long a part is waited for that hangs."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ranker(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def seeker(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeker]:
    with ExitStack() as stack:
        _, seeker = a_server(
            stack,
            tmp_path_factory.mktemp("server"),
            models,
            ranker={**RANKER, "timeout_ms": HANGS_MS},
            index_ms=HANGS_MS,
            config={"faults": FAULTS, "resilience": NO_BREAKER},
        )
        seeker.stock(PHONES)
        eventually(lambda: seeker.describe().terms > 0)
        for number in range(5):  # so that the model's order is another one than that of the words
            seeker.click("case", "iphone 13", event_id=f"{number}")
        yield seeker


def labels(answer: Any) -> list[tuple[str, str, str]]:
    return [(each.stage, each.source, each.reason) for each in answer.degradations]


@pytest.mark.parametrize(
    ("fault", "reason"), [(MODEL_DOWN, "MODEL_FAILED"), (MODEL_HANGS, "TIMED_OUT")]
)
def test_without_the_model_hits_are_in_the_order_of_their_words_and_that_is_said(
    seeker: Seeker, fault: str, reason: str
) -> None:
    learnt = seeker.search("iphone 13", skip_cache=True, verbatim=True)
    answer = seeker.search("iphone 13", skip_cache=True, verbatim=True, debug=True, fault=fault)

    assert learnt.hits[0].id == "case"
    texts = [each.debug.text_score for each in answer.hits]
    assert len(texts) == 3
    assert texts == sorted(texts, reverse=True)
    assert answer.hits[0].id != "case"
    assert labels(answer) == [("ranking", "none", reason)]
    assert answer.coverage.ranker_failed
    assert not answer.coverage.full
    assert answer.coverage.coverage == 0
    assert not answer.ranker
    assert not answer.hits[0].debug.HasField("ranking_score")


def test_an_answer_that_did_without_the_model_is_not_kept(seeker: Seeker) -> None:
    without = seeker.search("camera phone", fault=MODEL_DOWN)
    after = seeker.search("camera phone")

    assert without.coverage.ranker_failed
    assert after.source == pb.SearchResponse.COMPUTED
    assert after.coverage.full


@pytest.mark.parametrize(
    ("fault", "reason"), [(INDEX_DOWN, "DEPENDENCY_FAILED"), (INDEX_HANGS, "TIMED_OUT")]
)
def test_while_the_index_does_not_answer_what_it_answered_before_is_given_and_labelled(
    seeker: Seeker, fault: str, reason: str
) -> None:
    before = seeker.search("pixel")
    answer = seeker.search("pixel", skip_cache=True, fault=fault)

    assert [each.id for each in answer.hits] == [each.id for each in before.hits] == ["p7"]
    assert answer.coverage.index_slow
    assert not answer.coverage.full
    assert [each[::2] for each in labels(answer)] == [("retrieval", reason)]
    assert answer.degradations[0].age_ms >= 0


def test_what_the_index_never_answered_cannot_be_given_while_it_does_not(seeker: Seeker) -> None:
    with pytest.raises(Unavailable):
        seeker.search("a query of its own", fault=INDEX_DOWN)


def test_what_is_cached_needs_neither_index_nor_model(seeker: Seeker) -> None:
    before = seeker.search("leather case")
    answer = seeker.search("leather case", fault=f"{INDEX_DOWN}, {MODEL_DOWN}")

    assert answer.source == pb.SearchResponse.CACHE
    assert [each.id for each in answer.hits] == [each.id for each in before.hits]
    assert answer.coverage.full


def test_ranking_stops_where_it_is_when_its_share_of_the_time_is_over(
    models: Path, tmp_path: Path
) -> None:
    slow = {"point": "model.search_ranker", "kind": "latency", "ms": 40, "at_s": 0}
    with ExitStack() as stack:
        _, seeker = a_server(
            stack,
            tmp_path,
            models,
            ranker={**RANKER, "at_once": 2, "timeout_ms": 10_000, "soft_timeout": 0.05},
            config={"faults": {"enabled": True, "schedule": [slow]}},
        )
        seeker.stock({f"d{each}": {"title": "cup", "price_minor": each} for each in range(50)})
        # A run of two hits takes 40 ms, so all 50 would take 1 s, and there is half of that.
        answer = seeker.search("cup", debug=True)

    assert answer.coverage.timeout
    assert 0 < answer.coverage.coverage < 1
    assert not answer.coverage.full
    assert not answer.coverage.ranker_failed
    ranked = [each.debug.HasField("ranking_score") for each in answer.hits]
    assert ranked == sorted(ranked, reverse=True), "what is ranked comes first"
    assert len(answer.hits) == 10
    assert answer.total == 50


def test_synonyms_that_the_disk_does_not_take_are_refused_and_those_before_stay(
    models: Path, tmp_path: Path
) -> None:
    told = tmp_path / "disk"
    environment = disk.environment(tmp_path, told)
    known = f"{tmp_path}:{with_examples()['PYTHONPATH']}"
    with ExitStack() as stack:
        _, seeker = a_server(
            stack, tmp_path, models, environment={**environment, "PYTHONPATH": known}
        )
        seeker.put_synonyms(["sofa", "couch"])
        told.write_text("error")
        with pytest.raises(Unavailable, match="kept"):
            seeker.put_synonyms(["table", "desk"])
        assert [[*each.words] for each in seeker.describe().synonyms] == [["sofa", "couch"]]
        told.write_text("")
        seeker.put_synonyms(["table", "desk"])
        assert [[*each.words] for each in seeker.describe().synonyms] == [["table", "desk"]]


def test_a_second_server_on_the_same_index_is_told_so(models: Path, tmp_path: Path) -> None:
    index = {"directory": str(tmp_path / "index"), "fields": {"title": {"type": "text"}}}
    alone: dict[str, Any] = {"index": index, "query": {}, "suggest": {}, "personal": {}}
    with ExitStack() as stack:
        _, seeker = a_server(stack, tmp_path / "one", models, **alone)
        seeker.index([document("a", title="cup")])
        with pytest.raises(NotStarted, match="another server"):
            a_server(stack, tmp_path / "two", models, **alone)
        assert seeker.found("cup") == ["a"]
