"""Backtests as they are asked for: of which transactions, and what came of it, as messages."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from inferd.errors import InvalidRequest, Violation
from inferd.features.kinds import Held, Kind
from inferd.services.features.values import plain
from inferd.services.fraud.backtest import Accuracy, Backtest, Recorded
from inferd.services.fraud.outcomes import Label
from inferd.services.fraud.past import Past, Span
from inferd.services.fraud.policy import Policy
from inferd.services.fraud.rules import RuleSet
from inferd.services.fraud.vocabulary import Decision
from inferd.v1 import fraud_pb2 as pb

MOST_OVERLAPS = 100
AT_ONCE, PAUSE_S = 10, 0.002
"""After so many transactions a thread rests for so long: decisions need the interpreter, too."""

_LABELS = {
    pb.TransactionOutcome.FRAUD: True,
    pb.TransactionOutcome.LEGITIMATE: False,
}


def given(
    messages: Sequence[pb.RecordedTransaction], variables: Mapping[str, Kind]
) -> Iterator[Recorded]:
    """Yield the transactions of a request. Raises `InvalidRequest` on the way."""
    for number, each in enumerate(messages):
        yield Recorded(
            _values(each, variables, f"transactions[{number}].values"),
            {**each.model_scores},
            _LABELS.get(each.label),
            _decision(each.decision, f"transactions[{number}].decision"),
        )


def span(request: pb.BacktestRulesRequest) -> Span:
    """Return of which time the transactions are. Raises `InvalidRequest` if it ends before."""
    begin = request.from_us if request.HasField("from_us") else None
    end = request.until_us if request.HasField("until_us") else None
    if begin is not None and end is not None and begin > end:
        text = f"from_us, {begin}, is after until_us, {end}"
        raise InvalidRequest(
            text, violations=[Violation(name, text) for name in ("from_us", "until_us")]
        )
    return begin, end


def on_record(past: Iterable[Past], labels: Mapping[str, Label]) -> list[Recorded]:
    """Return transactions that are on record, with what they turned out to be."""
    return [
        Recorded(
            each.values,
            each.scores,
            label.fraud if (label := labels.get(each.record.transaction_id)) else None,
            Decision[each.record.decision],
        )
        for each in past
    ]


def run(rules: RuleSet, policy: Policy, recorded: Iterable[Recorded]) -> pb.BacktestRulesResponse:
    """Return what rules would have done. Blocks; for a thread. Raises what `recorded` does."""
    backtest = Backtest(rules, policy)
    for number, each in enumerate(recorded, 1):
        backtest.add(each)
        if number % AT_ONCE == 0:
            time.sleep(PAUSE_S)
    found = backtest.found
    return pb.BacktestRulesResponse(
        transactions=found.transactions,
        labelled=found.labelled,
        fraud=found.fraud,
        rules=[
            _rule(rule_id, accuracy, found.errors[rule_id], found.fraud)
            for rule_id, accuracy in found.rules.items()
        ],
        overlaps=[
            pb.BacktestRulesResponse.Overlap(first=one, second=other, both=both, share=share)
            for one, other, both, share in backtest.overlaps()[:MOST_OVERLAPS]
        ],
        decisions=[
            pb.BacktestRulesResponse.DecisionCount(
                decision=decision,  # type: ignore[arg-type]  # the same numbers
                count=count,
            )
            for decision, count in sorted(found.decisions.items())
        ],
        changed=found.changed,
        precision=found.stopped.precision,
        recall=found.stopped.recall(found.fraud),
        rules_version=rules.version,
    )


def _rule(
    rule_id: str, it: Accuracy, errors: int, all_fraud: int
) -> pb.BacktestRulesResponse.RuleBacktest:
    return pb.BacktestRulesResponse.RuleBacktest(
        rule_id=rule_id,
        hits=it.picked,
        errors=errors,
        labelled_hits=it.picked_labelled,
        fraud_hits=it.picked_fraud,
        precision=it.precision,
        recall=it.recall(all_fraud),
    )


def _decision(number: int, field: str) -> Decision | None:
    if number == pb.Assessment.DECISION_UNSPECIFIED:
        return None
    try:
        return Decision(number)
    except ValueError:
        raise InvalidRequest(f"there is no decision {number}", field=field) from None


def _values(
    message: pb.RecordedTransaction, variables: Mapping[str, Kind], field: str
) -> dict[str, Held | None]:
    values: dict[str, Held | None] = {}
    for name, value in message.values.items():
        held, kind = plain(value), variables.get(name)
        if held is not None and kind is not None:
            try:
                held = kind.checked(held, finite=False)
            except ValueError as error:
                raise InvalidRequest(f"{name}: {error}", field=f"{field}.{name:.80}") from error
        values[name] = held
    return values
