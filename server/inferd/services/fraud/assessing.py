"""From a request to an answer: once per transaction, on record, and in time.

The time is the caller's, and `fraud.deadline_ms` at most. Of what is left after the look for an
earlier answer a part belongs to the decision (`engine`), and the rest to putting it on record.
"""

from collections import Counter
from collections.abc import Callable

from inferd.call import Call
from inferd.deadline import Clock, Deadline
from inferd.errors import InferdError, NotFound, NotReady
from inferd.resilience.degradation import TRAILER, Degradation, trailer
from inferd.services.fraud import messages
from inferd.services.fraud.alerting import Alerting
from inferd.services.fraud.alerts import Alert
from inferd.services.fraud.assessments import Assessed
from inferd.services.fraud.engine import Decision, Engine
from inferd.services.fraud.happenings import Happenings
from inferd.services.fraud.idempotency import Answer, Decided, Once, Recalled
from inferd.services.fraud.intake import Intake, Taken
from inferd.services.fraud.redaction import Redaction, without_cards
from inferd.services.fraud.trials import Trials
from inferd.services.fraud.vocabulary import RiskLevel
from inferd.telemetry.statistics import Histogram
from inferd.v1 import fraud_pb2 as pb

GUARD_S = 0.002
"""Kept back of the deadline, for the way home."""


class Assessing:
    """Assesses transactions. Lives on the event loop."""

    def __init__(
        self,
        intake: Intake,
        engine: Engine,
        trials: Trials,
        happenings: Happenings,
        *,
        redaction: Redaction,
        alerting: Alerting,
        deadline_s: float,
        bounds_s: tuple[float, ...],
        clock: Clock,
        now_us: Callable[[], int],
    ) -> None:
        self._intake = intake
        self._engine = engine
        self._trials = trials
        self._happenings = happenings
        self._redaction = redaction
        self._alerting = alerting
        self._deadline_s = deadline_s
        self._clock = clock
        self._now_us = now_us
        #: Once it is open: sees to it that there is one decision per transaction, on record.
        self._once: Once | None = None
        self._bounds_s = bounds_s
        #: Decisions by action and by the code of their first reason.
        self.decided: Counter[tuple[str, str]] = Counter()
        #: Models that said nothing, by name and reason.
        self.model_failures: Counter[tuple[str, str]] = Counter()
        #: What stages took.
        self.stages: dict[str, Histogram] = {}

    def open(self, once: Once) -> None:
        """Begin to answer: there is something to put decisions on record with."""
        self._once = once

    async def assess(self, transaction: pb.Transaction, call: Call) -> pb.Assessment:
        """Return what is decided on a transaction. Raises `InferdError`."""
        taken = self._intake.taken(transaction)
        within = call.deadline.tightened(self._deadline_s, now=call.arrived)
        deadline = Deadline(within.at - GUARD_S)

        async def decide(call: Call, deadline: Deadline) -> Decided:
            return await self._decided(call, deadline, taken)

        def recall(body: bytes) -> Recalled | None:
            return messages.recalled(body, self._happenings.involved(taken))

        answer = await self._opened.answer(
            call, deadline, taken.id, taken.fingerprint, decide=decide, recall=recall
        )
        assessment = messages.told(answer)
        self._tell(assessment, answer, call)
        return assessment

    async def known(self, call: Call, id: str) -> Assessed:
        """Return what is kept of a transaction. Raises `NotFound`, and what keeps it from that."""
        found = await self._opened.known(call, call.deadline.tightened(1.0, now=self._clock()), id)
        if found is None:
            raise NotFound(f"there is no assessment of {id!r:.140}, or no more")
        return found

    @property
    def _opened(self) -> Once:
        if self._once is None:
            raise NotReady("models are still being loaded, or the audit trail is not open yet")
        return self._once

    async def _decided(self, call: Call, deadline: Deadline, taken: Taken) -> Decided:
        if taken.id in self._trials:
            decision = self._trials.decided(taken, self._now_us())
        else:
            decision = await self._engine.decide(call, deadline, taken)
            self._alarm(decision)
        self._count(decision)
        involved = self._happenings.involved(taken)
        return messages.decided(decision, involved, self._redaction)

    def _alarm(self, decision: Decision) -> None:
        verdict = decision.verdict
        if not self._alerting.wants(verdict.level):
            return
        reason = verdict.reasons[0] if verdict.reasons else None
        self._alerting.alarm(
            Alert(
                severity=verdict.level,
                reason=reason.code if reason else "",
                text=reason.description if reason else "",
                at_us=decision.at_us,
                user_id=without_cards(str(decision.taken.values["transaction.user_id"])),
                transaction_id=without_cards(decision.taken.id),
                decision=verdict.decision.name,
                risk_score=verdict.score,
            )
        )

    def unrecorded(self, error: InferdError) -> None:
        """Have it told that a decision may not be on record."""
        self._alerting.alarm(
            Alert(
                severity=RiskLevel.CRITICAL,
                reason="audit",
                text=f"decisions may not be on record: {error}",
                at_us=self._now_us(),
            )
        )

    def _count(self, decision: Decision) -> None:
        verdict = decision.verdict
        code = verdict.reasons[0].code if verdict.reasons else ""
        self.decided[verdict.decision.name, code] += 1
        for name, said, reason, _ in decision.asked:
            if said is None:
                self.model_failures[name, reason] += 1
        for stage, seconds in decision.timings.items():
            if stage not in self.stages:
                self.stages[stage] = Histogram(self._bounds_s)
            self.stages[stage].observe(seconds)

    def _tell(self, assessment: pb.Assessment, answer: Answer, call: Call) -> None:
        """Say in the trailing metadata what the answer does without."""
        if assessment.degradations:
            degradations = [
                Degradation(it.stage, it.source, it.reason) for it in assessment.degradations
            ]
            call.trailing.append((TRAILER, trailer(degradations)))
        for each in answer.degradations:
            self._engine.endpoint.degraded[each.stage, each.source, each.reason] += 1
