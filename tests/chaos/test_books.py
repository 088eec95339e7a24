"""What a server says of itself after a cell, and what it has: judged on forged figures."""

from dataclasses import replace

from support.chaos.books import LAGS_S, Books, violations
from support.chaos.remains import ALLOWED, Held

BEFORE = Books(
    opened={"tastes": 1, "model/trend/1": 0},
    states={"tastes": "CLOSED", "model/trend/1": "CLOSED"},
    failed={"tastes": 100},
    out={},
    late=dict.fromkeys(LAGS_S, 3.0),
)


def found(after: Books, *, slack_s: float = 0.0, stalls: bool = False) -> list[str]:
    return list(violations(BEFORE, after, "tastes", slack_s=slack_s, stalls=stalls))


def test_books_in_which_nothing_changed_are_in_order() -> None:
    assert found(BEFORE) == []


def test_a_breaker_must_have_opened_when_many_calls_failed() -> None:
    failed = replace(BEFORE, failed={"tastes": 161})
    assert found(failed) == ["61 calls to tastes failed, and its breaker did not open"]
    assert found(replace(failed, opened={"tastes": 2})) == []
    assert found(replace(BEFORE, failed={"tastes": 160})) == []


def test_every_breaker_must_be_closed_at_the_end() -> None:
    after = replace(BEFORE, states={"tastes": "CLOSED", "model/trend/1": "OPEN"})
    assert found(after) == ["the breaker of model/trend/1 is OPEN at the end"]


def test_who_is_asked_only_when_others_fail_may_be_left_alone_until_then() -> None:
    after = replace(BEFORE, states={**BEFORE.states, "ranker_previous": "OPEN"})
    assert found(after) == []


def test_every_instance_must_be_in_service_at_the_end() -> None:
    after = replace(BEFORE, out={"ranker/2#0": "a run hung"})
    assert found(after) == ["ranker/2#0 is out of service at the end: a run hung"]


def test_the_event_loop_may_not_be_late() -> None:
    after = replace(BEFORE, late={**BEFORE.late, 0.01: 5.0})
    assert found(after) == ["the event loop was more than 10 ms late, 2 times"]


def test_the_event_loop_may_be_late_where_everybody_is_or_on_purpose() -> None:
    after = replace(BEFORE, late={**BEFORE.late, 0.01: 5.0})
    assert found(after, slack_s=0.005) == []
    assert found(after, stalls=True) == []
    far_too_late = replace(BEFORE, late=dict.fromkeys(LAGS_S, 4.0))
    assert found(far_too_late, slack_s=0.005) == [
        "the event loop was more than 25 ms late, 1 times"
    ]
    assert found(far_too_late, slack_s=1.0) == []


HAD = Held(threads=20, files=30, rss_mib=200.0, tasks=10)


def test_what_comes_and_stays_once_is_not_left_behind() -> None:
    assert list(HAD.beyond(HAD)) == []
    pools = Held(
        threads=20 + ALLOWED["threads"],
        files=30 + ALLOWED["files"],
        rss_mib=240.0,
        tasks=10 + ALLOWED["tasks"],
    )
    assert list(pools.beyond(HAD)) == []


def test_what_is_left_behind_is_named() -> None:
    much = Held(threads=100, files=200, rss_mib=300.0, tasks=400)
    assert list(much.beyond(HAD)) == [
        "100 threads, before it was 20",
        "200 files, before it was 30",
        "400 tasks, before it was 10",
        "300 MiB of memory, before it was 200 MiB",
    ]
