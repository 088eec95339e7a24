"""Ids for tests, like the numbers of test cards: what is decided is what the id says.

So whoever calls this service can try what they do with each decision. Nothing is read, asked or
learned; the answer is on record like any other.
"""

from inferd.errors import InvalidRequest
from inferd.services.fraud.engine import Decision
from inferd.services.fraud.intake import Taken
from inferd.services.fraud.rulebook import Rulebook
from inferd.services.fraud.verdict import Verdict
from inferd.services.fraud.vocabulary import Basis, Reason, RiskLevel
from inferd.services.fraud.vocabulary import Decision as Choice

OUTCOMES = {
    "approve": (Choice.APPROVE, RiskLevel.LOW, 0.05),
    "challenge": (Choice.CHALLENGE, RiskLevel.MEDIUM, 0.4),
    "review": (Choice.REVIEW, RiskLevel.MEDIUM, 0.7),
    "block": (Choice.BLOCK, RiskLevel.HIGH, 0.95),
}
REASON = Reason("test", "a transaction for tests")


class Trials:
    """Knows the ids that are for tests."""

    def __init__(self, prefix: str, rulebook: Rulebook) -> None:
        """Without a prefix there are none."""
        self._prefix = prefix
        self._rulebook = rulebook

    def __contains__(self, transaction_id: str) -> bool:
        return bool(self._prefix) and transaction_id.startswith(self._prefix)

    def decided(self, taken: Taken, at_us: int) -> Decision:
        """Return what an id says. Raises `InvalidRequest` for one that says nothing."""
        word = taken.id.removeprefix(self._prefix).partition("-")[0]
        if word not in OUTCOMES:
            known = ", ".join(self._prefix + each for each in OUTCOMES)
            text = f"ids for tests begin with {known}"
            raise InvalidRequest(text, field="transaction.id")
        choice, level, score = OUTCOMES[word]
        return Decision(
            taken=taken,
            at_us=at_us,
            rules=self._rulebook.rules,
            policy=self._rulebook.policy,
            verdict=Verdict(choice, level, score, Basis.RULE, (REASON,), rule=REASON.code),
            test=True,
        )
