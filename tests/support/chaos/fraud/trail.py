"""Judges what is on record, beside what callers were told."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inferd.cache.journal.verification import verify
from inferd.v1 import fraud_pb2 as pb

SERVER = "inferd"


@dataclass(frozen=True, slots=True)
class OnRecord:
    """One record of a decision."""

    seq: int
    decision: str
    risk_score: float


Trail = Mapping[str, Sequence[OnRecord]]
"""Records by transaction."""


def trail(directory: Path, run: str) -> Trail:
    """Read what is on record of a run's transactions."""
    found: dict[str, list[OnRecord]] = {}
    for path in sorted(directory.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if record["kind"] == "assessment" and record["id"].startswith(f"{run}-"):
                body = record["body"]
                it = OnRecord(record["seq"], body["decision"], body["risk_score"])
                found.setdefault(record["id"], []).append(it)
    return found


def damage(directory: Path) -> Iterator[str]:
    """Yield what is wrong with the chain."""
    found = verify(directory, SERVER)
    if found.bad is not None:
        yield f"the chain is broken after {found.records} records: {found.bad}"


def violations(there: Trail, told: Mapping[str, Sequence[pb.Assessment]]) -> Iterator[str]:
    """Yield what is on record and should not be, or the other way round."""
    for id, records in there.items():
        if len(records) > 1:
            yield f"{id} is on record {len(records)} times"
    for id, answers in told.items():
        for answer in answers:
            yield from _of_answer(answer, there.get(id, ()))


def _of_answer(answer: pb.Assessment, records: Sequence[OnRecord]) -> Iterator[str]:
    if not answer.HasField("audit_sequence"):
        return
    id, decision = answer.transaction_id, pb.Assessment.Decision.Name(answer.decision)
    said = OnRecord(answer.audit_sequence, decision, answer.risk_score)
    if said not in records:
        yield f"{id} was acknowledged as {said}, and on record is {[*records]}"
