"""Judges what searchers were told: each answer for itself."""

import math
from collections.abc import Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from inferd.v1 import search_pb2 as pb
from support.chaos.history import Record
from support.chaos.search.queries import query
from support.chaos.verdict import LATE_S, of_ending, stages_of

RETRIEVAL, RANKING = "retrieval", "ranking"


@dataclass(frozen=True, slots=True)
class Outage:
    """What was broken, and when, in monotonic seconds."""

    #: This stage suffers; empty: none.
    stages: Set[str]
    began: float
    ended: float
    #: Whether no answer that was computed can have been whole meanwhile.
    total: bool


def answer_of(call: Record) -> pb.SearchResponse | None:
    """Return the answer of a call, if there is one that is one."""
    if not call.answered or call.answer is None:
        return None
    with suppress(DecodeError):
        return pb.SearchResponse.FromString(call.answer)
    return None


def violations(calls: Sequence[Record], outage: Outage, *, late_s: float = LATE_S) -> Iterator[str]:
    """Yield what may not have happened; `late_s` is how late an end may be."""
    for call in calls:
        ending = of_ending(call, late_s) if call.ended != "cancelled" else ()
        for what in (*ending, *_of_answer(call, outage)):
            yield f"call {call.number} ({call.timeout_s * 1e3:g} ms): {what}"


def _of_answer(call: Record, outage: Outage) -> Iterator[str]:
    answer = answer_of(call)
    if answer is None:
        if call.answered:
            yield "OK, and no answer that is one"
        return
    yield from _of_hits(answer, query(call.number))
    yield from _of_labels(answer, call.degraded)
    during = outage.began <= call.sent and (call.finished or math.inf) < outage.ended
    whole = is_whole(call, outage.stages)
    if outage.total and during and whole and _is_new(answer):
        yield f"a whole answer while {' and '.join(sorted(outage.stages))} could not be had"


def _is_new(answer: pb.SearchResponse) -> bool:
    """Return whether nothing in an answer is of before."""
    old = any(each.stage == RETRIEVAL for each in answer.degradations)
    return answer.source == pb.SearchResponse.COMPUTED and not old


def _of_hits(answer: pb.SearchResponse, asked: str) -> Iterator[str]:
    ids = [each.id for each in answer.hits]
    if not ids or len(ids) > 10:
        yield f"{len(ids)} hits of {answer.total}"
    if len({*ids}) < len(ids):
        yield "a hit is there twice"
    words = {*asked.split()}
    if any(not words <= {*each.fields["title"].text.split()} for each in answer.hits):
        yield f"a hit that does not fit {asked!r}"
    if not all(math.isfinite(each.score) for each in answer.hits):
        yield "a score is not finite"


def _of_labels(answer: pb.SearchResponse, degraded: str) -> Iterator[str]:
    labels = {each.stage for each in answer.degradations}
    if labels != stages_of(degraded).keys():
        yield f"the message says {labels}, the trailer {degraded!r}"
    if any(not (each.source and each.reason) for each in answer.degradations):
        yield "a degradation without a source or a reason"
    it = answer.coverage
    if it.ranker_failed != (RANKING in labels) or it.index_slow != (RETRIEVAL in labels):
        yield f"the labels are {labels}, and the coverage is {it}"
    partly = it.timeout or it.ranker_failed or it.index_slow
    if it.full == partly or (it.full and it.coverage != 1.0):
        yield f"a coverage that contradicts itself: {it}"
    if not answer.ranker and not partly:
        yield "no model ranked, and nothing says so"


def is_whole(call: Record, stages: Set[str]) -> bool:
    """Return whether a caller had all of these stages."""
    return call.answered and not stages & stages_of(call.degraded).keys()
