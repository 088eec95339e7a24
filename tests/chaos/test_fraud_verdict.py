"""The judge of fraud decisions, judged: every violation is found where it was forged."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inferd.cache.journal.chain import Entry
from inferd.cache.journal.writer import Writer
from inferd.config.journal import Journal
from inferd.v1 import fraud_pb2 as pb
from inferd.v1.common_pb2 import Degradation
from support.chaos.fraud import trail
from support.chaos.fraud.cells import BOUNDED, CELLS, KILLED, KILLED_ALONE, REFUSING, TOLD
from support.chaos.fraud.trail import OnRecord
from support.chaos.fraud.transactions import BACK, REPEATS, id_of, is_repeated, transaction
from support.chaos.fraud.verdict import Outage, by_transaction, violations
from support.chaos.history import Record

RUN = "c1"
MODELS = ("fraud_network", "fraud_trees", "fraud_unusual")
OUTAGE = Outage(frozenset({"features", "idempotency"}), began=10.0, ended=11.0, total=True)
NO_STORE = Degradation(stage="idempotency", source="none", reason="TIMED_OUT")
NO_RECORD = Degradation(stage="audit", source="none", reason="DEPENDENCY_FAILED")


def scores(failed: int) -> list[pb.ModelScore]:
    status = [pb.ModelScore.FAILED] * failed + [pb.ModelScore.SCORED] * (3 - failed)
    return [pb.ModelScore(model=each, status=it) for each, it in zip(MODELS, status, strict=True)]


def missing(failed: int) -> list[Degradation]:
    return [Degradation(stage=each, source="none", reason="HUNG") for each in MODELS[:failed]]


def an_answer(*degradations: Degradation, number: int = 1, **said: Any) -> pb.Assessment:
    good: dict[str, Any] = {
        "transaction_id": id_of(RUN, number),
        "decision": pb.Assessment.APPROVE,
        "risk_level": pb.Assessment.LOW,
        "risk_score": 0.1,
        "basis": pb.Assessment.SCORE,
        "model_scores": scores(0),
        "audit_sequence": 7,
        "audit_server": "inferd",
        "degradations": degradations,
    }
    it = {**good, **said}
    return pb.Assessment(**{name: value for name, value in it.items() if value is not None})


def careful(*degradations: Degradation, **said: Any) -> pb.Assessment:
    why: dict[str, Any] = {
        "decision": pb.Assessment.REVIEW,
        "risk_level": pb.Assessment.MEDIUM,
        "risk_score": 0.7,
        "basis": pb.Assessment.CONSERVATIVE,
        "reasons": [pb.Reason(code="conservative.models")],
        "model_scores": scores(2),
    }
    return an_answer(*(degradations or missing(2)), **{**why, **said})


def a_call(message: pb.Assessment | None = None, sent: float = 1.0, **fields: Any) -> Record:
    it = an_answer() if message is None else message
    labels = ",".join(
        f"{each.stage}={each.source};reason={each.reason}" for each in it.degradations
    )
    good = Record(
        number=1,
        sent=sent,
        timeout_s=0.1,
        finished=sent + 0.01,
        statuses=(0,),
        degraded=labels,
        answer=it.SerializeToString(),
    )
    return replace(good, **fields)


def found(*calls: Record) -> list[str]:
    return list(violations(RUN, calls, OUTAGE))


RULE: dict[str, Any] = {
    "basis": pb.Assessment.RULE,
    "decision": pb.Assessment.BLOCK,
    "model_scores": [],
}
GOOD = [
    a_call(),
    a_call(careful()),
    a_call(an_answer(*missing(1), model_scores=scores(1))),
    a_call(an_answer(NO_RECORD, audit_sequence=None)),
    a_call(an_answer(NO_STORE), sent=10.5),
    a_call(an_answer(**RULE)),
    a_call(an_answer(number=REPEATS - 1), sent=10.5, number=REPEATS - 1),  # it was known
    a_call(sent=9.99, finished=10.02),  # it was asked before it broke
    a_call(statuses=(), answer=None, finished=None, ended="cancelled"),
    a_call(statuses=(14,), answer=None, reason="SHED"),
    a_call(finished=1.12, timeout_s=1.0, slack_s=0.05),
]


@pytest.mark.parametrize("call", GOOD, ids=range(len(GOOD)))
def test_what_may_happen_is_no_violation(call: Record) -> None:
    assert found(call) == []


BAD = {
    "OK 20.0 ms after the deadline": a_call(finished=1.12),
    "it took 120.0 ms to decide": a_call(finished=1.12, timeout_s=1.0),
    "no status ever came": a_call(statuses=(), answer=None, finished=None),
    "OK, and no answer that is one": a_call(answer=b"\xff"),
    "the answer is about c1-2": a_call(an_answer(number=2)),
    "the message says 'idempotency=none;reason=TIMED_OUT', the trailer ''": a_call(
        an_answer(NO_STORE), degraded=""
    ),
    "a degradation without a source or a reason": a_call(
        an_answer(Degradation(stage="idempotency", source="none"))
    ),
    "a whole answer while features and idempotency could not be had": a_call(sent=10.5),
    "the risk is nan": a_call(an_answer(risk_score=float("nan"))),
    "too much has failed, and the decision is 1": a_call(careful(decision=pb.Assessment.APPROVE)),
    "a reason for care where there is none": a_call(careful(reasons=[])),
    "2 of 3 models failed, and the decision is not careful": a_call(
        an_answer(*missing(2), model_scores=scores(2))
    ),
    "it is not on record, and does not say so": a_call(an_answer(audit_sequence=None)),
    "fraud_network failed and the labels say otherwise": a_call(an_answer(model_scores=scores(1))),
    "too much has failed, and nothing is named": a_call(careful(NO_STORE, model_scores=[])),
}


@pytest.mark.parametrize("what", BAD)
def test_what_may_not_happen_is_found(what: str) -> None:
    [violation] = found(BAD[what])
    assert what in violation


def test_where_too_many_ask_only_their_own_deadlines_count() -> None:
    crowded = replace(OUTAGE, crowded=True)
    patient = a_call(finished=1.12, timeout_s=1.0)
    assert list(violations(RUN, [patient], crowded)) == []
    assert len(list(violations(RUN, [a_call(finished=1.12)], crowded))) == 1


def test_a_rule_needs_no_models_and_does_need_features() -> None:
    call = a_call(an_answer(**RULE), sent=10.5)
    no_models = replace(OUTAGE, stages=frozenset(MODELS))
    assert list(violations(RUN, [call], no_models)) == []
    assert len(found(call)) == 1


def test_one_transaction_is_not_decided_in_two_ways() -> None:
    later = {"number": REPEATS - 1, "sent": 2.0}
    number = REPEATS - 1 - BACK
    first = a_call(an_answer(number=number), number=number)
    same = an_answer(NO_RECORD, number=number, audit_sequence=None, audit_server="")
    assert found(first, a_call(same, **later)) == []
    other = an_answer(number=number, risk_score=0.2)
    assert found(first, a_call(other, **later)) == [f"c1-{number} was decided in more than one way"]


def test_calls_that_ask_again_ask_the_same() -> None:
    again = REPEATS - 1
    assert is_repeated(again)
    assert transaction(RUN, again, 17) == transaction(RUN, again - BACK, 17)
    assert transaction(RUN, again + 1, 17).id != transaction(RUN, again, 17).id


RECORD = OnRecord(7, "APPROVE", 0.1)
TOLD_OF_IT = by_transaction([a_call()])


def test_what_was_acknowledged_must_be_on_record_as_it_was_told_and_once() -> None:
    def wrong(*records: OnRecord) -> list[str]:
        return list(trail.violations({"c1-1": records}, TOLD_OF_IT))

    assert wrong(RECORD) == []
    assert "c1-1 was acknowledged as" in wrong()[0]
    for other in (replace(RECORD, seq=8), replace(RECORD, decision="BLOCK")):
        assert "and on record is" in wrong(other)[0]
    assert wrong(RECORD, replace(RECORD, seq=8)) == ["c1-1 is on record 2 times"]


def test_what_was_not_acknowledged_may_be_on_record_or_not() -> None:
    told = by_transaction([a_call(an_answer(NO_RECORD, audit_sequence=None))])
    for there in ({}, {"c1-1": [RECORD]}):
        assert list(trail.violations(there, told)) == []


def test_records_are_read_and_damage_is_found(tmp_path: Path) -> None:
    settings = Journal(path=tmp_path)
    writer = Writer(settings, now_us=1, known=lambda *_: None)
    body = b'{"decision":"APPROVE","risk_score":0.1}'
    entries = [Entry("assessment", id, 1, body) for id in ("c1-1", "c11-1", "c1-2")]
    writer.write(entries, 1, sync=True)
    writer.close()

    assert trail.trail(tmp_path, RUN) == {
        "c1-1": [replace(RECORD, seq=1)],
        "c1-2": [replace(RECORD, seq=3)],
    }
    assert list(trail.damage(tmp_path)) == []
    [path] = tmp_path.glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b"0.1", b"0.2", 1))
    [damage] = trail.damage(tmp_path)
    assert damage.startswith("the chain is broken after 0 records")


def test_cells_have_names_of_their_own_and_those_for_ci_are_among_them() -> None:
    names = [each.name for each in (*CELLS, *REFUSING, KILLED, KILLED_ALONE, TOLD)]
    assert len({*names}) == len(names)
    assert set().union(*BOUNDED.values()) <= {*names}
