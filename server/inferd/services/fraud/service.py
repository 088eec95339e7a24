"""`FraudService`: decisions on transactions, and everything that one wants to know of them."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from inferd.cache.journal import files
from inferd.cache.journal.verification import found, verify
from inferd.call import Call
from inferd.config.fraud_service import Fraud as Settings
from inferd.config.reading import Refused
from inferd.deadline import Clock, Deadline
from inferd.errors import DependencyFailed, InvalidRequest, NotFound, Violation
from inferd.features.kinds import Kind
from inferd.services.features.batch import checked, described
from inferd.services.fraud import backtests, messages, standing_calls
from inferd.services.fraud.assessing import Assessing
from inferd.services.fraud.audit_record import KIND
from inferd.services.fraud.backtest import Recorded
from inferd.services.fraud.explaining import contributions, in_order_of_weight
from inferd.services.fraud.happenings import Happenings
from inferd.services.fraud.idempotency import Answer
from inferd.services.fraud.intake import asked_id
from inferd.services.fraud.models import Scorer
from inferd.services.fraud.outcomes import Labels
from inferd.services.fraud.past import Past, latest, past_of
from inferd.services.fraud.reporting import Reported, outcome
from inferd.services.fraud.rulebook import Rulebook
from inferd.services.fraud.rules import RuleSet
from inferd.services.fraud.shared import Shared
from inferd.services.fraud.snoozes import Snooze
from inferd.services.fraud.streamed import in_order
from inferd.v1 import fraud_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["FraudService"]
log = logging.getLogger(__name__)

EXPLAIN_S = 5.0
"""What looking at what is on record takes at most, where the caller would wait longer."""

_RESULT = pb.ReportOutcomeResponse


class Texts(NamedTuple):
    """Rules and a policy, in YAML."""

    rules: str
    policy: str


class Parts(NamedTuple):
    """What the service is made of."""

    assessing: Assessing
    rulebook: Rulebook
    scorers: Sequence[Scorer]
    shared: Shared
    labels: Labels
    happenings: Happenings
    #: What rules may see.
    variables: Mapping[str, Kind]
    #: Reads the files of rules and policy. Blocks; raises `Refused`.
    read: Callable[[], Texts]
    clock: Clock
    now_us: Callable[[], int]


class Fraud:
    """Answers `inferd.v1.FraudService`."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        self._parts = parts
        self._settings = settings
        #: One backtest at a time: decisions need the interpreter, too.
        self._backtesting = asyncio.Semaphore(1)

    # -- decisions ---------------------------------------------------------------------

    async def assess_transaction(
        self, request: pb.AssessTransactionRequest, call: Call
    ) -> pb.Assessment:
        """Decide on one transaction."""
        return await self._parts.assessing.assess(request.transaction, call)

    async def assess_transactions(
        self, requests: AsyncIterator[pb.AssessTransactionRequest], call: Call
    ) -> AsyncGenerator[pb.AssessTransactionsResponse, None]:
        """Decide on what is streamed in, and answer in its order."""
        most, clock = self._settings.max_streamed, self._parts.clock
        async for answer in in_order(requests, call, self._parts.assessing, most, clock):
            yield answer

    async def report_outcome(
        self, request: pb.ReportOutcomeRequest, call: Call
    ) -> pb.ReportOutcomeResponse:
        """Take in how transactions turned out."""
        ahead_us = self._parts.now_us() + round(self._settings.max_future_s * 1e6)
        batch = await checked(
            request.outcomes,
            lambda message, field: outcome(message, field, ahead_us),
            field="outcomes",
            most=self._settings.max_outcomes,
        )
        if not batch.good:
            raise batch.refusal()
        good = iter(await asyncio.gather(*(self._reported(call, each) for each in batch.good)))
        return _RESULT(
            results=[
                _RESULT.Result(status=next(good))
                if problem is None
                else _RESULT.Result(status=_RESULT.REJECTED, problems=described(problem))
                for problem in batch.problems
            ]
        )

    async def _reported(self, call: Call, it: Reported) -> "_RESULT.Status":
        parts, deadline = self._parts, self._unhurried(call)
        try:
            kept = await parts.assessing.known(call, it.id)
        except NotFound:
            return _RESULT.UNKNOWN_TRANSACTION
        known = messages.known_from(kept.assessment)
        if known.test:
            return _RESULT.TAKEN
        # Before the label: whoever reports again what failed half-way gets the other half done.
        fraud = it.label.fraud
        await parts.happenings.outcome(
            call, deadline, it.id, known.involved, fraud=fraud, at_us=it.at_us
        )
        if not await parts.labels.put(call, deadline, it.id, it.label, it.at_us):
            return _RESULT.KNOWN
        parts.labels.count(known.decision, it.label)
        return _RESULT.TAKEN

    async def get_assessment(self, request: pb.GetAssessmentRequest, call: Call) -> pb.Assessment:
        """Return what was decided."""
        return await self._told(asked_id(request.transaction_id), call)

    async def explain_assessment(
        self, request: pb.ExplainAssessmentRequest, call: Call
    ) -> pb.ExplainAssessmentResponse:
        """Return why it was decided."""
        parts, id = self._parts, asked_id(request.transaction_id)
        assessment = await self._told(id, call)
        deadline = self._unhurried(call)
        labels = await parts.labels.get(call, deadline, [id])
        response = pb.ExplainAssessmentResponse(assessment=assessment)
        if id in labels:
            fraud = labels[id].fraud
            response.outcome = (
                pb.TransactionOutcome.FRAUD if fraud else pb.TransactionOutcome.LEGITIMATE
            )
        past = await asyncio.to_thread(_on_record, self._directory, id)
        if past is not None:
            at_us = past.at_us
            response.features.extend(messages.feature(it, at_us) for it in past.record.features)
            response.contributions.extend(await self._contributions(call, deadline, past))
        return response

    async def _contributions(
        self, call: Call, deadline: Deadline, past: Past
    ) -> list[pb.FeatureContribution]:
        versions = {it.name: it.version for it in past.record.models if it.raw is not None}
        values = past.values
        found = [
            await contributions(call, deadline, each, values, versions[each.name])
            for each in self._parts.scorers
            if each.name in versions
        ]
        weights = {it.name: it.weight for it in past.record.models}
        return in_order_of_weight((it for each in found for it in each), weights)

    async def _told(self, id: str, call: Call) -> pb.Assessment:
        kept = await self._parts.assessing.known(call, id)
        return messages.told(Answer(kept.assessment, kept.place, True, ()))

    # -- rules -------------------------------------------------------------------------

    async def list_rules(self, _: pb.ListRulesRequest, __: Call) -> pb.ListRulesResponse:
        """Return the rules in force."""
        return messages.rules(self._parts.rulebook)

    async def reload_rules(self, request: pb.ReloadRulesRequest, _: Call) -> pb.ReloadRulesResponse:
        """Read the rules and the policy again."""
        book = self._parts.rulebook
        before = book.rules.version, book.policy.version
        try:
            texts = await asyncio.to_thread(self._parts.read)
            rules, policy = await asyncio.to_thread(book.checked, *texts)
        except Refused as error:
            raise _refused(error) from error
        if not request.check_only:
            book.rules, book.policy = rules, policy
        after = rules.version, policy.version
        if before != after and not request.check_only:
            log.info("in force: rules %s, policy %s; before: rules %s, policy %s", *after, *before)
        return pb.ReloadRulesResponse(
            rules_version=after[0], policy_version=after[1], changed=before != after
        )

    async def snooze_rule(self, request: pb.SnoozeRuleRequest, call: Call) -> pb.SnoozeRuleResponse:
        """Leave a rule out for somebody."""
        rules = self._parts.rulebook.rules
        if request.rule_id not in {it.declared.id for it in (*rules.rules, *rules.off)}:
            text = f"there is no rule {request.rule_id!r:.80}"
            raise InvalidRequest(text, field="rule_id")
        kind, value = standing_calls.entity(request.entity, "entity")
        if request.until_us and request.until_us <= self._parts.now_us():
            text = f"it is over already; microseconds since 1970 are needed, not {request.until_us}"
            raise InvalidRequest(text, field="until_us")
        snooze = Snooze(request.rule_id, kind, value)
        await self._parts.shared.snooze(call, self._unhurried(call), snooze, request.until_us)
        return pb.SnoozeRuleResponse()

    async def backtest_rules(
        self, request: pb.BacktestRulesRequest, call: Call
    ) -> pb.BacktestRulesResponse:
        """Return what rules would have done."""
        rules, policy = self._parts.rulebook.rules, self._parts.rulebook.policy
        if request.rules_yaml:
            try:
                rules = await asyncio.to_thread(
                    RuleSet.read, request.rules_yaml, self._parts.variables
                )
            except Refused as error:
                raise _refused(error, "rules_yaml") from error
        most = self._settings.max_backtest
        if len(request.transactions) > most or not 0 <= request.limit <= most:
            text = f"there may be {most} transactions"
            raise InvalidRequest(text, field="transactions" if request.transactions else "limit")
        if request.transactions:
            recorded: Iterable[Recorded] = backtests.given(request.transactions, rules.variables)
        else:
            span = backtests.span(request)
            past = await asyncio.to_thread(latest, self._directory, span, request.limit or most)
            ids = [each.record.transaction_id for each in past]
            labels = await self._parts.labels.get(call, self._unhurried(call), ids)
            recorded = backtests.on_record(past, labels)
        async with self._backtesting:
            return await asyncio.to_thread(backtests.run, rules, policy, recorded)

    # -- lists -------------------------------------------------------------------------

    async def add_to_lists(
        self, request: pb.AddToListsRequest, call: Call
    ) -> pb.AddToListsResponse:
        """Put values on lists."""
        most, now_us = self._settings.max_outcomes, self._parts.now_us()
        entries = standing_calls.entries(request.entries, most=most, now_us=now_us)
        added = await self._parts.shared.add(call, self._unhurried(call), entries)
        return pb.AddToListsResponse(added=added)

    async def remove_from_lists(
        self, request: pb.RemoveFromListsRequest, call: Call
    ) -> pb.RemoveFromListsResponse:
        """Take values off lists."""
        most = self._settings.max_outcomes
        entries = standing_calls.entries(request.entries, most=most, now_us=0)
        named = [entry for entry, _ in entries]
        removed = await self._parts.shared.remove(call, self._unhurried(call), named)
        return pb.RemoveFromListsResponse(removed=removed)

    async def check_lists(self, request: pb.CheckListsRequest, _: Call) -> pb.CheckListsResponse:
        """Return which lists a value is on."""
        kind, value = standing_calls.entity(request.entity, "entity")
        found = self._parts.shared.lists.of(kind, value, self._parts.now_us())
        return pb.CheckListsResponse(entries=standing_calls.described(kind, value, found.items()))

    # -- the audit trail ---------------------------------------------------------------

    async def verify_audit(self, request: pb.VerifyAuditRequest, _: Call) -> pb.VerifyAuditResponse:
        """Check that nothing on record was changed."""
        return await asyncio.to_thread(_verified, self._directory, request.server)

    @property
    def _directory(self) -> Path:
        return self._settings.audit.path

    def _unhurried(self, call: Call) -> Deadline:
        return call.deadline.tightened(EXPLAIN_S, now=self._parts.clock())


def _on_record(directory: Path, id: str) -> Past | None:
    """Return what is on record of a transaction; None: nothing that can be read here."""
    records = [each for each in found(directory, id) if each.kind == KIND]
    return past_of(records[-1]) if records else None


def _verified(directory: Path, server: str) -> pb.VerifyAuditResponse:
    """Check the chains of a directory, or one of them, up to the first bad record."""
    response = pb.VerifyAuditResponse(intact=True)
    try:
        if server and server not in files.servers(directory):
            raise NotFound(f"there is no chain of a server {server!r:.80}")
        for name in [server] if server else files.servers(directory):
            verdict = verify(directory, name)
            response.records += verdict.records
            if verdict.bad is not None:
                response.intact = False
                response.first_bad.server = name
                response.first_bad.sequence = verdict.bad.seq
                response.first_bad.problem = str(verdict.bad)
                break
    except OSError as error:
        raise DependencyFailed(f"the audit trail cannot be read: {error.strerror}") from error
    return response


def _refused(error: Refused, under: str = "") -> InvalidRequest:
    """Return all that is wrong with rules or a policy, each with its key."""
    dot = f"{under}." if under else ""
    wrong = []
    for each in error.problems:
        key, _, why = each.partition(": ")
        if key in ("rules", "policy") and not under:
            inner, _, why = why.partition(": ")
            key = f"{key}.{inner}"
        wrong.append(Violation(f"{dot}{key}", why))
    return InvalidRequest("; ".join(error.problems), violations=wrong)
