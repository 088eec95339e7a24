"""Judges a history: what may have become of a call, and what may not. Pure.

Every rule is about what a caller sees; the server's own words are believed nowhere. What is late
because the machine had no core to spare is not the server's doing: each call has as much slack as
its caller was held up, by its own clock, and the server's event loop, by the kernel's books.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from cascade import ranking_pb2 as pb
from inferd.v1.common_pb2 import Degradation
from support.chaos.history import Record, asked

LATE_S = 0.005
"""After its deadline, nobody's end may be later than this."""
REFUSALS = {4: "DEADLINE_EXCEEDED", 8: "RESOURCE_EXHAUSTED", 14: "UNAVAILABLE"}
"""The statuses that a caller who did nothing wrong may get instead of an answer."""
NEVER = -1
"""The pushback of a refusal after which a retry is pointless."""
TELLING = 0.05
"""Calls that have less time than this do not tell whether a dependency is back: they may be too
late for it in the best of times."""
STREAK, MOST_OFF = 10, 1
"""It is back when so many callers in a row had it, but for so many."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A stage whose first rung was broken, and when, in monotonic seconds."""

    stage: str
    began: float
    ended: float
    #: Whether nobody can have had it in the meantime.
    total: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """How calls ended."""

    calls: int
    answered: int
    degraded: int
    refused: int
    late: int
    #: Late, too, but not by the server's doing.
    held_up: int
    lost: int


def tally(calls: Sequence[Record]) -> Tally:
    """Count how calls ended; the degraded are among the answered."""
    return Tally(
        calls=len(calls),
        answered=sum(each.answered for each in calls),
        degraded=sum(each.answered and bool(each.degraded) for each in calls),
        refused=sum(not each.answered and not each.lost for each in calls),
        late=sum(each.late_s > LATE_S for each in calls),
        held_up=sum(each.overdue_s > LATE_S >= each.late_s for each in calls),
        lost=sum(each.lost for each in calls),
    )


def violations(calls: Sequence[Record], outage: Outage, *, late_s: float = LATE_S) -> Iterator[str]:
    """Yield what may not have happened; `late_s` is how late an end may be."""
    for call in calls:
        for what in (*of_ending(call, late_s), *_of_answer(call, outage)):
            yield f"call {call.number} ({call.timeout_s * 1e3:g} ms): {what}"


def of_ending(call: Record, late_s: float) -> Iterator[str]:
    """Yield what is wrong with how a call ended, whatever it asked."""
    if call.lost:
        yield f"no status ever came{f', the stream was {call.ended}' if call.ended else ''}"
    elif len(call.statuses) > 1:
        yield f"{len(call.statuses)} statuses: {call.statuses}"
    elif call.statuses and call.statuses[0] not in (0, *REFUSALS):
        yield f"status {call.statuses[0]} ({call.reason}) to a caller who did nothing wrong"
    elif call.statuses == (0,) and call.late_s > late_s:
        yield f"OK {call.late_s * 1e3:.1f} ms after the deadline"
    elif call.late_s > late_s:
        yield f"refused {call.late_s * 1e3:.1f} ms after the deadline"
    if 4 in call.statuses and call.reason and call.pushback_ms != NEVER:
        yield "refused for want of time, and asked to try again"
    if call.answer is not None and 0 not in call.statuses:
        yield "a message without OK"


def _of_answer(call: Record, outage: Outage) -> Iterator[str]:
    if not call.answered:
        return
    if call.answer is None:
        yield "OK without a message"
        return
    try:
        answer = pb.RankResponse.FromString(call.answer)
    except DecodeError:
        yield "an answer that is none"
        return
    yield from _of_items(answer, asked(call.number).items)
    yield from _of_labels(answer, call.degraded)
    during = outage.began <= call.sent and (call.finished or math.inf) < outage.ended
    if outage.total and during and outage.stage not in stages_of(call.degraded):
        yield f"a whole answer while {outage.stage} could not be had"


def _of_items(answer: pb.RankResponse, items: Sequence[int]) -> Iterator[str]:
    if sorted(each.item_id for each in answer.items) != sorted(items):
        yield "the items are not those that were asked for"
    if not all(math.isfinite(each.score) for each in answer.items):
        yield "a score is not finite"


def _of_labels(answer: pb.RankResponse, degraded: str) -> Iterator[str]:
    said = ",".join(_label(each) for each in answer.degradations)
    if said != _without_ages(degraded):
        yield f"the message says {said!r}, the trailer {degraded!r}"
    source = next((each.source for each in answer.degradations if each.stage == "score"), "full")
    if answer.scored_by != source:
        yield f"scored by {answer.scored_by}, and the label says {source}"
    if any(not (each.source and each.reason) for each in answer.degradations):
        yield "a degradation without a source or a reason"


def _label(each: Degradation) -> str:
    return f"{each.stage}={each.source};reason={each.reason}"


def _without_ages(degraded: str) -> str:
    return ",".join(each.partition(";age_ms=")[0] for each in degraded.split(","))


def stages_of(degraded: str) -> dict[str, str]:
    """Return the reasons in a trailer, by stage."""
    found = {}
    for each in filter(None, degraded.split(",")):
        stage, _, rest = each.partition("=")
        found[stage] = rest.partition(";reason=")[2].partition(";")[0]
    return found


def recovery_s(calls: Sequence[Record], outage: Outage) -> float:
    """Return how long after its end a stage was served in the best way again; infinity: never."""

    def had(call: Record) -> bool:
        return call.answered and outage.stage not in stages_of(call.degraded)

    return recovered_s(calls, outage.ended, had)


def recovered_s(calls: Sequence[Record], ended: float, had: Callable[[Record], bool]) -> float:
    """Return how long after a point in time callers had something again; infinity: never."""
    after = [each for each in calls if each.sent >= ended and each.timeout_s >= TELLING]
    said = [*map(had, after)]
    for first in range(len(said) - STREAK + 1):
        streak = said[first : first + STREAK]
        if said[first] and streak.count(False) <= MOST_OFF:
            return max(0.0, (after[first].finished or math.inf) - ended)
    return math.inf
