"""What rules would have done to transactions of the past."""

from typing import Any

import pytest

from inferd.errors import InvalidRequest
from inferd.services.fraud.backtest import Backtest, Recorded
from inferd.services.fraud.backtests import span
from inferd.services.fraud.vocabulary import Decision
from inferd.v1 import fraud_pb2 as pb
from support.fraud import policy, rule, rule_set, values

APPROVE, CHALLENGE, REVIEW, BLOCK = Decision

RULES = rule_set(
    rule("fast", "user.speed > 900.0", "REVIEW"),
    rule("many", "user.count > 5"),
    rule("grave", "user.count > 9", "BLOCK", severity="HIGH"),
    rule("trial", "user.speed > 900.0", "BLOCK", mode="shadow"),
)


def backtest(*records: Recorded) -> Backtest:
    trial = Backtest(RULES, policy(models={"a": {}}))
    for each in records:
        trial.add(each)
    return trial


def record(
    count: int = 1,
    speed: float | None = 1.0,
    *,
    fraud: bool | None = None,
    was: Decision | None = None,
    **scores: float | None,
) -> Recorded:
    return Recorded(values(user__count=count, user__speed=speed), scores, fraud, was)


def test_each_rule_has_its_hits_also_where_another_would_have_decided() -> None:
    found = backtest(record(10, 1000.0), record(6), record(speed=None)).found

    assert {name: each.picked for name, each in found.rules.items()} == {
        "grave": 1,
        "trial": 1,
        "fast": 1,
        "many": 2,
    }
    assert found.errors == {"fast": 1, "trial": 1}


def test_decisions_are_what_they_would_have_been() -> None:
    found = backtest(
        record(10, was=APPROVE),
        record(6, was=APPROVE),
        record(speed=1000.0, was=REVIEW),
        record(a=0.5, was=APPROVE),
        record(a=None),
    ).found

    assert found.decisions == {BLOCK: 1, APPROVE: 1, REVIEW: 2, CHALLENGE: 1}
    assert found.changed == 2


def test_precision_and_recall_are_of_what_is_known() -> None:
    found = backtest(
        record(speed=1000.0, fraud=True),
        record(speed=1000.0, fraud=False),
        record(speed=1000.0),
        record(6, fraud=True),
        record(fraud=False),
    ).found
    fast, grave = found.rules["fast"], found.rules["grave"]

    assert (found.transactions, found.labelled, found.fraud) == (5, 4, 2)
    assert (fast.picked, fast.precision, fast.recall(found.fraud)) == (3, 0.5, 0.5)
    assert (grave.precision, grave.recall(found.fraud), grave.recall(0)) == (None, 0, None)
    assert (found.stopped.picked, found.stopped.precision) == (3, 0.5)


def test_rules_that_say_the_same_are_told_first() -> None:
    trial = backtest(record(6, 1000.0), record(1, 1000.0), record(6))

    assert trial.overlaps() == [
        ("trial", "fast", 2, 1.0),
        ("fast", "many", 1, pytest.approx(1 / 3)),
        ("trial", "many", 1, pytest.approx(1 / 3)),
    ]


@pytest.mark.parametrize("known", [{}, {"transaction.amount_minor": None}])
def test_a_record_that_lacks_things_is_taken(known: dict[str, Any]) -> None:
    assert backtest().add(Recorded(known, {})) is REVIEW  # no rule could tell


def test_a_time_that_ends_before_it_begins_is_refused_by_both_names() -> None:
    with pytest.raises(InvalidRequest, match="from_us, 2, is after until_us, 1") as caught:
        span(pb.BacktestRulesRequest(from_us=2, until_us=1))

    assert [each.field for each in caught.value.violations] == ["from_us", "until_us"]
    assert span(pb.BacktestRulesRequest(from_us=2)) == (2, None)
    assert span(pb.BacktestRulesRequest(from_us=1, until_us=1)) == (1, 1)
