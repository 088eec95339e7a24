"""What is done about a risk, which depends on what is at stake: the bands of a policy.

A score at a threshold has reached it. For one transaction a higher score never leads to less care.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import NamedTuple

from inferd.config import reading
from inferd.config.reading import Refused
from inferd.services.fraud.declared_policy import (
    OTHER,
    Band,
    DeclaredPolicy,
    cells,
    contradictions,
)
from inferd.services.fraud.scoring import Model
from inferd.services.fraud.transactions import Payment
from inferd.services.fraud.vocabulary import Decision, RiskLevel


class Choice(NamedTuple):
    """What a policy says of one transaction."""

    decision: Decision
    level: RiskLevel
    band: str
    """The name of the band that applied."""


class _Cell(NamedTuple):
    """The bands of one category and segment, and the amounts that they begin at."""

    begins: list[int]
    bands: list[Band]


class Policy:
    """The bands of a file. It never changes: another policy is another one."""

    def __init__(self, version: str, declared: DeclaredPolicy) -> None:
        #: Tells the text that it was read from from all others.
        self.version = version
        #: What the scores of models are worth.
        self.models: Mapping[str, Model] = declared.scoring.models
        self._levels = declared.levels
        self._rates = {name: Fraction(rate) for name, rate in declared.exchange.items()}
        self._rates[declared.currency] = Fraction(1)
        self._cells = {
            names: _Cell([each.at_least_minor for each in bands], bands)
            for names, bands in cells(declared)
        }
        self._categories = {category for category, _ in self._cells}
        self._segments = {segment for _, segment in self._cells}

    @classmethod
    def read(cls, text: str, models: Collection[str]) -> "Policy":
        """Return the policy of a text in YAML, for the models that are asked.

        Raises `Refused` with all that is wrong.
        """
        declared = reading.read(text, DeclaredPolicy)
        if problems := [*contradictions(declared, models)]:
            raise Refused(problems)
        return cls(reading.version(text), declared)

    def choose(self, score: float, payment: Payment) -> Choice:
        """Return what is to be done about a risk, 0 to 1."""
        band = self._band(payment)
        return Choice(_decision(band, score), self.level(score), band.name)

    def level(self, score: float) -> RiskLevel:
        """Return how bad a risk is, 0 to 1."""
        levels = self._levels
        if score >= levels.critical:
            return RiskLevel.CRITICAL
        if score >= levels.high:
            return RiskLevel.HIGH
        return RiskLevel.MEDIUM if score >= levels.medium else RiskLevel.LOW

    def _band(self, payment: Payment) -> Band:
        category, segment = payment.merchant_category, payment.segment
        begins, bands = self._cells[
            category if category in self._categories else OTHER,
            segment if segment in self._segments else OTHER,
        ]
        rate = self._rates.get(payment.currency)
        if rate is None:
            return bands[-1]
        # What is between two bands after conversion belongs to the upper one.
        amount = -(-payment.amount_minor * rate.numerator // rate.denominator)
        return bands[bisect_right(begins, amount) - 1]


def _decision(band: Band, score: float) -> Decision:
    for threshold, decision in (
        (band.block, Decision.BLOCK),
        (band.review, Decision.REVIEW),
        (band.challenge, Decision.CHALLENGE),
    ):
        if threshold is not None and score >= threshold:
            return decision
    return Decision.APPROVE
