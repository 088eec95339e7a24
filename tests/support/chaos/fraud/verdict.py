"""Judges what callers were told: each answer for itself, and all answers about one transaction."""

import math
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from inferd.v1 import fraud_pb2 as pb
from support.chaos.fraud.transactions import DECISION_S, id_of, is_repeated
from support.chaos.history import Record
from support.chaos.verdict import LATE_S, of_ending, stages_of

CAREFUL = (pb.Assessment.REVIEW, pb.Assessment.MEDIUM, 0.7)
"""The decision where too much has failed."""
AFTERWARDS = ("audit", "idempotency")
"""Stages that come after the decision: answers about it may differ there, and only there."""
WITHOUT_MODELS = {*AFTERWARDS, "features", "rules"}
"""Stages of every decision. Models are asked only where nothing has decided before."""


@dataclass(frozen=True, slots=True)
class Outage:
    """What was broken, and when, in monotonic seconds."""

    #: One of these stages suffers.
    stages: Set[str]
    began: float
    ended: float
    #: Whether no decision can have been whole meanwhile.
    total: bool
    #: Whether more was asked than can be answered: then requests wait where the server does not
    #: see them yet, and only those who ask know since when.
    crowded: bool = False


def answer_of(call: Record) -> pb.Assessment | None:
    """Return the answer of a call, if there is one that is one."""
    if not call.answered or call.answer is None:
        return None
    with suppress(DecodeError):
        return pb.Assessment.FromString(call.answer)
    return None


def violations(
    run: str, calls: Sequence[Record], outage: Outage, *, late_s: float = LATE_S
) -> Iterator[str]:
    """Yield what may not have happened; `late_s` is how late an end may be."""
    for call in calls:
        wrong = of_ending(call, late_s) if call.ended != "cancelled" else ()
        slow = () if outage.crowded else _of_time(call, late_s)
        for what in (*wrong, *slow, *_of_answer(run, call, outage)):
            yield f"call {call.number} ({call.timeout_s * 1e3:g} ms): {what}"
    yield from _decided_twice(calls)


def _of_time(call: Record, late_s: float) -> Iterator[str]:
    """Yield whether a decision took too long for one, however long its caller would have waited."""
    took_s = call.timeout_s + call.late_s
    if call.answered and call.timeout_s > DECISION_S and took_s > DECISION_S + late_s:
        yield f"it took {took_s * 1e3:.1f} ms to decide"


def _of_answer(run: str, call: Record, outage: Outage) -> Iterator[str]:
    answer = answer_of(call)
    if answer is None:
        if call.answered:
            yield "OK, and no answer that is one"
        return
    if answer.transaction_id != id_of(run, call.number):
        yield f"the answer is about {answer.transaction_id}"
    said = ",".join(f"{it.stage}={it.source};reason={it.reason}" for it in answer.degradations)
    if said != call.degraded:
        yield f"the message says {said!r}, the trailer {call.degraded!r}"
    yield from _of_decision(answer)
    yield from _of_labels(answer)
    during = outage.began <= call.sent and (call.finished or math.inf) < outage.ended
    if outage.total and during and not is_repeated(call.number) and _is_whole(answer, outage):
        yield f"a whole answer while {' and '.join(sorted(outage.stages))} could not be had"


def _is_whole(answer: pb.Assessment, outage: Outage) -> bool:
    """Return whether it does without nothing that was broken, and that it would have needed."""
    if not answer.model_scores and not outage.stages & WITHOUT_MODELS:
        return False  # none was asked
    return not outage.stages & {each.stage for each in answer.degradations}


def _of_decision(it: pb.Assessment) -> Iterator[str]:
    careful = it.basis == pb.Assessment.CONSERVATIVE
    if not math.isfinite(it.risk_score) or not 0 <= it.risk_score <= 1:
        yield f"the risk is {it.risk_score}"
    if careful and (it.decision, it.risk_level, it.risk_score) != CAREFUL:
        yield f"too much has failed, and the decision is {it.decision}, risk {it.risk_score}"
    if careful != any(each.code.startswith("conservative.") for each in it.reasons):
        yield "a reason for care where there is none, or none where there is"
    failed = sum(each.status == pb.ModelScore.FAILED for each in it.model_scores)
    if failed > len(it.model_scores) // 2 and not careful:
        yield f"{failed} of {len(it.model_scores)} models failed, and the decision is not careful"


def _of_labels(it: pb.Assessment) -> Iterator[str]:
    labels = {each.stage for each in it.degradations}
    if any(not (each.source and each.reason) for each in it.degradations):
        yield "a degradation without a source or a reason"
    if not it.HasField("audit_sequence") and "audit" not in labels:
        yield "it is not on record, and does not say so"
    for each in it.model_scores:
        if (each.status == pb.ModelScore.FAILED) != (each.model in labels):
            yield f"{each.model} failed and the labels say otherwise, or the other way round"
    if it.basis == pb.Assessment.CONSERVATIVE and not labels - {*AFTERWARDS}:
        yield "too much has failed, and nothing is named"


def decided(answer: pb.Assessment) -> bytes:
    """Return what must be the same in all answers about a transaction."""
    same = pb.Assessment.FromString(answer.SerializeToString())
    same.ClearField("audit_sequence")
    same.ClearField("audit_server")
    kept = [each for each in same.degradations if each.stage not in AFTERWARDS]
    del same.degradations[:]
    same.degradations.extend(kept)
    return same.SerializeToString(deterministic=True)


def by_transaction(calls: Iterable[Record]) -> dict[str, list[pb.Assessment]]:
    """Return all answers, by transaction."""
    found: dict[str, list[pb.Assessment]] = {}
    for call in calls:
        answer = answer_of(call)
        if answer is not None:
            found.setdefault(answer.transaction_id, []).append(answer)
    return found


def _decided_twice(calls: Sequence[Record]) -> Iterator[str]:
    for id, answers in by_transaction(calls).items():
        if len({*map(decided, answers)}) > 1:
            yield f"{id} was decided in more than one way"


def is_whole(call: Record, stages: Set[str]) -> bool:
    """Return whether a caller had all of these stages."""
    return call.answered and not stages & stages_of(call.degraded).keys()
