"""What rules would have done to transactions of the past, before they do it to those to come.

Every rule that is not off is evaluated on every transaction, also where another would have decided
before, so that what they have in common is seen. What would have been decided is what the table of
`verdict` says, with the scores that were recorded; transactions without any are as with no models.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from inferd.services.fraud.policy import Policy
from inferd.services.fraud.rules import RuleSet, Values
from inferd.services.fraud.transactions import Payment
from inferd.services.fraud.verdict import after_models, before_models
from inferd.services.fraud.vocabulary import Decision, Outcome


class Recorded(NamedTuple):
    """A transaction, as it was known when it was decided on."""

    values: Values
    """By the names of variables."""
    scores: Mapping[str, float | None]
    """Of models; None: it failed."""
    fraud: bool | None = None
    """What it turned out to be. None: not known."""
    decision: Decision | None = None
    """What was decided. None: not known."""


@dataclass(slots=True)
class Accuracy:
    """How what was picked out compares with what is known of it."""

    picked: int = 0
    picked_labelled: int = 0
    picked_fraud: int = 0

    def add(self, fraud: bool | None) -> None:
        """Count one that was picked out."""
        self.picked += 1
        self.picked_labelled += fraud is not None
        self.picked_fraud += fraud is True

    @property
    def precision(self) -> float | None:
        """The share of fraud in what was picked out and has a label. None: nothing was."""
        return self.picked_fraud / self.picked_labelled if self.picked_labelled else None

    def recall(self, all_fraud: int) -> float | None:
        """Return the share of all fraud that was picked out. None: there was none."""
        return self.picked_fraud / all_fraud if all_fraud else None


class Overlap(NamedTuple):
    """Two rules that match the same transactions."""

    first: str
    second: str
    both: int
    share: float
    """Of the transactions that either matches."""


@dataclass(slots=True)
class Found:
    """What there was. It grows with what is added, and not with how much that is."""

    transactions: int = 0
    labelled: int = 0
    fraud: int = 0
    #: By rule, in the order of evaluation.
    rules: dict[str, Accuracy] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    decisions: Counter[Decision] = field(default_factory=Counter)
    #: Transactions on which something else was decided.
    changed: int = 0
    #: Of all that would not have been approved.
    stopped: Accuracy = field(default_factory=Accuracy)


class Backtest:
    """Rules and a policy on trial. Transactions are added one by one."""

    def __init__(self, rules: RuleSet, policy: Policy) -> None:
        self._rules = rules
        self._policy = policy
        self._both: Counter[tuple[str, str]] = Counter()
        self.found = Found(rules={each.declared.id: Accuracy() for each in rules.rules})

    def add(self, recorded: Recorded) -> Decision:
        """Take one transaction, and return what would have been decided."""
        found = self.found
        report = self._rules.evaluate(recorded.values, exhaustive=True)
        hits = [each.rule.declared.id for each in report.results if each.outcome is Outcome.HIT]
        for rule_id in hits:
            found.rules[rule_id].add(recorded.fraud)
        self._both.update(combinations(hits, 2))
        found.errors.update(
            each.rule.declared.id for each in report.results if each.outcome is Outcome.ERROR
        )
        verdict = before_models(report, features_failed=False) or after_models(
            report, recorded.scores, payment_of_values(recorded.values), self._policy
        )
        self._count(verdict.decision, recorded)
        return verdict.decision

    def overlaps(self) -> list[Overlap]:
        """Return the pairs that match the same, those with the most in common first."""
        hits = self.found.rules
        overlaps = [
            Overlap(one, other, both, both / (hits[one].picked + hits[other].picked - both))
            for (one, other), both in self._both.items()
        ]
        return sorted(overlaps, key=lambda each: (-each.share, each.first, each.second))

    def _count(self, decision: Decision, recorded: Recorded) -> None:
        found = self.found
        found.transactions += 1
        found.labelled += recorded.fraud is not None
        found.fraud += recorded.fraud is True
        found.decisions[decision] += 1
        found.changed += recorded.decision is not None and recorded.decision is not decision
        if decision is not Decision.APPROVE:
            found.stopped.add(recorded.fraud)


def payment_of_values(values: Values) -> Payment:
    """Return what the policy asks. What is not known is nothing, in no currency."""
    amount = values.get("transaction.amount_minor")
    currency, category, segment = (
        str(values.get(f"transaction.{name}") or "")
        for name in ("currency", "merchant_category", "segment")
    )
    return Payment(amount if isinstance(amount, int) else 0, currency, category, segment)
