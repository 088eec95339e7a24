"""Judges lists: each for itself."""

import math
from collections.abc import Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from inferd.v1 import recommendation_pb2 as pb
from support.chaos.history import Record
from support.chaos.recommendation.asking import COUNT, id_of
from support.chaos.verdict import LATE_S, of_ending, stages_of

AMPLE_S = 0.07
"""Whoever has so much time gets a list, whatever is broken, unless too many ask."""


@dataclass(frozen=True, slots=True)
class Outage:
    """What was broken, and when, in monotonic seconds."""

    #: One of these stages suffers.
    stages: Set[str]
    began: float
    ended: float
    #: Whether no list can have been whole meanwhile.
    total: bool
    #: Whether more was asked than can be answered.
    crowded: bool = False


def answer_of(call: Record) -> pb.Recommendations | None:
    """Return the answer of a call, if there is one that is one."""
    if not call.answered or call.answer is None:
        return None
    with suppress(DecodeError):
        return pb.Recommendations.FromString(call.answer)
    return None


def violations(
    run: str, calls: Sequence[Record], outage: Outage, *, late_s: float = LATE_S
) -> Iterator[str]:
    """Yield what may not have happened; `late_s` is how late an end may be."""
    for call in calls:
        wrong = of_ending(call, late_s) if call.ended != "cancelled" else ()
        for what in (*wrong, *_of_answer(run, call, outage)):
            yield f"call {call.number} ({call.timeout_s * 1e3:g} ms): {what}"


def refused(calls: Sequence[Record]) -> list[Record]:
    """Return the calls that had ample time, and got no list."""
    return [
        each
        for each in calls
        if each.timeout_s >= AMPLE_S and not each.answered and each.ended != "cancelled"
    ]


def _of_answer(run: str, call: Record, outage: Outage) -> Iterator[str]:
    answer = answer_of(call)
    if answer is None:
        if call.answered:
            yield "OK, and no answer that is one"
        return
    if answer.request_id != id_of(run, call.number):
        yield f"the answer is to {answer.request_id}"
    yield from _of_list(answer)
    yield from _of_labels(call, answer)
    during = outage.began <= call.sent and (call.finished or math.inf) < outage.ended
    claims = answer.source == answer.COMPUTED and is_whole(call, outage.stages)
    if outage.total and during and claims:
        yield f"a whole list while {' and '.join(sorted(outage.stages))} could not be had"


def _of_list(answer: pb.Recommendations) -> Iterator[str]:
    items = [each.item_id for each in answer.items]
    if len(items) != COUNT or len({*items}) != COUNT:
        yield f"the list is {items}"
    if not all(each.reason and math.isfinite(each.score) for each in answer.items):
        yield "an item without a reason, or a score that is none"


def _of_labels(call: Record, answer: pb.Recommendations) -> Iterator[str]:
    said = ",".join(f"{it.stage}={it.source};reason={it.reason}" for it in answer.degradations)
    if said != call.degraded:
        yield f"the message says {said!r}, the trailer {call.degraded!r}"
    if any(not (each.source and each.reason) for each in answer.degradations):
        yield "a degradation without a source or a reason"
    if answer.source == answer.POPULAR and not answer.degradations:
        yield "what is popular, and nothing says why"
    if answer.source == answer.CACHE and {*stages_of(call.degraded)} - {"profile"}:
        yield "a list that was kept, and lacks something"


def is_whole(call: Record, stages: Set[str]) -> bool:
    """Return whether a caller had all of these stages."""
    answer = answer_of(call)
    made = answer is not None and answer.source in (answer.COMPUTED, answer.CACHE)
    return made and not stages & stages_of(call.degraded).keys()
