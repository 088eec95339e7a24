"""The judge of histories, judged: every violation is found in a history that was forged."""

import math
from dataclasses import replace
from typing import Any

import pytest

from cascade import ranking_pb2 as pb
from inferd.v1.common_pb2 import Degradation
from support.chaos.history import Record, asked
from support.chaos.verdict import Outage, recovery_s, tally, violations

OUTAGE = Outage("taste", began=10.0, ended=11.0, total=True)
STALE = Degradation(stage="taste", source="stale", reason="TIMED_OUT", age_ms=40)
SMALL = Degradation(stage="score", source="small", reason="LATE_DROP")


def answer(number: int = 1, *degradations: Degradation, scored_by: str = "full") -> pb.RankResponse:
    return pb.RankResponse(
        items=[pb.RankedItem(item_id=each, score=0.5) for each in asked(number).items],
        scored_by=scored_by,
        degradations=degradations,
    )


def a_call(
    sent: float = 1.0,
    *,
    message: pb.RankResponse | None = None,
    degraded: str = "",
    **fields: Any,
) -> Record:
    good = Record(
        number=1,
        sent=sent,
        timeout_s=0.1,
        finished=sent + 0.01,
        statuses=(0,),
        degraded=degraded,
        answer=(answer() if message is None else message).SerializeToString(),
    )
    return replace(good, **fields)


def refused(sent: float = 1.0, *, status: int = 14, reason: str = "SHED", **fields: Any) -> Record:
    return a_call(sent, statuses=(status,), answer=None, reason=reason, **fields)


def found(*calls: Record, outage: Outage = OUTAGE) -> str:
    return "\n".join(violations(calls, outage))


GOOD = [
    a_call(),
    refused(),
    refused(status=4, pushback_ms=-1),
    refused(status=4, reason=""),  # the transport's own: it knows no reasons
    a_call(message=answer(1, STALE), degraded="taste=stale;reason=TIMED_OUT;age_ms=40"),
    a_call(
        message=answer(1, SMALL, STALE, scored_by="small"),
        degraded="score=small;reason=LATE_DROP,taste=stale;reason=TIMED_OUT;age_ms=40",
    ),
    a_call(10.5, message=answer(1, STALE), degraded="taste=stale;reason=TIMED_OUT;age_ms=40"),
    a_call(9.99, finished=10.02),  # it was asked before it broke
    a_call(finished=1.104),
    a_call(finished=1.12, slack_s=0.02),
    a_call(statuses=(), answer=None, finished=None, ended="unsent"),
    a_call(statuses=(), answer=None, ended="refused"),
]


@pytest.mark.parametrize("call", GOOD, ids=range(len(GOOD)))
def test_what_may_happen_is_no_violation(call: Record) -> None:
    assert found(call) == ""


BAD = {
    "no status ever came": a_call(statuses=(), answer=None, finished=None),
    "the stream was reset": a_call(statuses=(), answer=None, ended="reset"),
    "the stream was broken": a_call(statuses=(), answer=None, ended="broken"),
    "2 statuses": a_call(statuses=(0, 0)),
    "status 13 (SHED) to a caller who did nothing wrong": refused(status=13),
    "status 2": refused(status=2),
    "OK 6.0 ms after the deadline": a_call(finished=1.106),
    "OK 10.0 ms after the deadline": a_call(finished=1.13, slack_s=0.02),
    "refused 20.0 ms after the deadline": refused(finished=1.12),
    "refused for want of time, and asked to try again": refused(status=4, pushback_ms=5),
    "a message without OK": a_call(statuses=(14,)),
    "OK without a message": a_call(answer=None),
    "an answer that is none": a_call(answer=b"\xff"),
    "the items are not those": a_call(message=answer(1 + 40)),
    "the message says 'taste=stale;reason=TIMED_OUT', the trailer ''": a_call(
        message=answer(1, STALE)
    ),
    "the message says '', the trailer 'taste=stale;reason=TIMED_OUT'": a_call(
        degraded="taste=stale;reason=TIMED_OUT"
    ),
    "scored by small, and the label says full": a_call(message=answer(scored_by="small")),
    "scored by full, and the label says small": a_call(
        message=answer(1, SMALL), degraded="score=small;reason=LATE_DROP"
    ),
    "a degradation without a source or a reason": a_call(
        message=answer(1, Degradation(stage="taste", source="stale")),
        degraded="taste=stale;reason=",
    ),
    "a whole answer while taste could not be had": a_call(10.5),
}


@pytest.mark.parametrize("what", BAD)
def test_what_may_not_happen_is_found(what: str) -> None:
    assert what in found(BAD[what])
    assert len(found(BAD[what]).splitlines()) == 1


def test_an_item_less_or_a_score_that_is_no_number_is_found() -> None:
    short, wrong = answer(), answer()
    del short.items[0]
    wrong.items[3].score = math.nan
    assert "the items are not those" in found(a_call(message=short))
    assert "a score is not finite" in found(a_call(message=wrong))


def test_whoever_is_degraded_elsewhere_claims_the_broken_stage_all_the_same() -> None:
    call = a_call(
        10.5,
        message=answer(1, SMALL, scored_by="small"),
        degraded="score=small;reason=LATE_DROP",
    )
    assert "a whole answer while taste" in found(call)


def test_where_some_may_be_lucky_a_whole_answer_is_none_of_our_business() -> None:
    assert found(a_call(10.5), outage=replace(OUTAGE, total=False)) == ""


def test_calls_are_counted_by_how_they_ended() -> None:
    degraded = a_call(message=answer(1, STALE), degraded="taste=stale;reason=TIMED_OUT")
    lost = a_call(statuses=(), answer=None, finished=None)
    unsent = a_call(statuses=(), answer=None, finished=None, ended="unsent")
    late, held_up = a_call(finished=1.2), a_call(finished=1.2, slack_s=0.1)
    counted = tally([a_call(), degraded, refused(), lost, unsent, late, held_up])
    assert (counted.calls, counted.answered, counted.degraded) == (7, 4, 1)
    assert (counted.refused, counted.lost) == (2, 1)
    assert (counted.late, counted.held_up) == (1, 1)


def after(*whole: bool) -> list[Record]:
    """Return calls after the outage, one every 100 ms, each of which took 10 ms."""
    return [
        a_call(11.0 + 0.1 * at, degraded="" if each else "taste=stale;reason=BREAKER_OPEN")
        for at, each in enumerate(whole)
    ]


def test_recovery_is_when_callers_have_the_stage_again_and_keep_it() -> None:
    assert recovery_s(after(*[True] * 10), OUTAGE) == pytest.approx(0.01)
    assert recovery_s(after(False, False, *[True] * 10), OUTAGE) == pytest.approx(0.21)
    flicker = [True, False, False, *[True] * 10]
    assert recovery_s(after(*flicker), OUTAGE) == pytest.approx(0.31)


def test_one_who_was_unlucky_does_not_undo_a_recovery() -> None:
    assert recovery_s(after(*[True] * 4, False, *[True] * 5), OUTAGE) == pytest.approx(0.01)


def test_what_is_never_back_never_recovers() -> None:
    assert recovery_s(after(*[False] * 20), OUTAGE) == math.inf
    assert recovery_s(after(*[True] * 3), OUTAGE) == math.inf  # too few to tell


def test_those_in_a_hurry_do_not_tell_whether_it_is_back() -> None:
    hurried = [replace(each, timeout_s=0.02) for each in after(*[False] * 10)]
    assert recovery_s([*hurried, *after(*[True] * 10)], OUTAGE) == pytest.approx(0.01)


def test_other_stages_do_not_matter_for_a_recovery() -> None:
    calls = [replace(each, degraded="trend=none;reason=OVERLOADED") for each in after(*[True] * 10)]
    assert recovery_s(calls, OUTAGE) == pytest.approx(0.01)
