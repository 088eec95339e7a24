"""What is decided, and when, whatever hangs; by the clock of the loop."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from inferd.errors import DependencyFailed, InvalidRequest, ModelFailed
from inferd.resilience.degradation import TRAILER
from inferd.services.fraud.lists import Entry, ListName
from inferd.services.fraud.rules import RuleSet
from inferd.services.fraud.vocabulary import EntityKind
from inferd.v1 import fraud_pb2 as pb
from support.judges import HANGS_S, Judge, degraded

GONE = DependencyFailed("it is gone")
CONSERVATIVE = (pb.Assessment.REVIEW, pb.Assessment.MEDIUM, 0.7, pb.Assessment.CONSERVATIVE)


@asynccontextmanager
async def a_judge(**said: Any) -> AsyncIterator[Judge]:
    judge = Judge(**said)
    try:
        yield judge
    finally:
        await judge.close()


def verdict(it: pb.Assessment) -> tuple[int, int, float, int]:
    return it.decision, it.risk_level, it.risk_score, it.basis


async def test_while_all_is_well_nothing_is_missing_and_it_takes_no_time() -> None:
    async with a_judge() as judge:
        it = await judge.assess()

    assert it.answer.decision == pb.Assessment.APPROVE
    assert it.answer.basis == pb.Assessment.SCORE
    assert it.answer.risk_score == pytest.approx(0.1)
    assert not it.answer.degradations
    assert not it.call.trailing
    assert it.answer.audit_sequence == 1
    assert it.seconds == 0


@pytest.mark.parametrize(
    ("models", "fail", "conservative"),
    [
        *((1, 0, False), (1, 1, True)),
        *((2, 0, False), (2, 1, False), (2, 2, True)),
        *((3, 0, False), (3, 1, False), (3, 2, True), (3, 3, True)),
        (0, 0, False),
    ],
)
@pytest.mark.parametrize("hang", [False, True])
async def test_more_than_half_of_the_models_must_fail_to_be_conservative(
    models: int, fail: int, conservative: bool, hang: bool
) -> None:
    async with a_judge(models=models) as judge:
        for each in [*judge.models.values()][:fail]:
            if hang:
                each.takes_s = HANGS_S
            else:
                each.raises = ModelFailed("no")
        it = await judge.assess()

    if conservative:
        assert verdict(it.answer) == CONSERVATIVE
        assert it.answer.reasons[0].code == "conservative.models"
        assert it.answer.reasons[0].description == "model failures: conservative decision"
    else:
        assert it.answer.basis == pb.Assessment.SCORE
        assert it.answer.decision == pb.Assessment.APPROVE
    assert len(degraded(it.answer)) == fail
    reasons = {each.reason for each in it.answer.model_scores if each.reason}
    assert reasons == ({"TIMED_OUT" if hang else "MODEL_FAILED"} if fail else set())
    assert sum(each.weight for each in it.answer.model_scores) == pytest.approx(
        0.0 if conservative or not models else 1.0
    )
    assert it.seconds <= 0.1


async def test_models_are_asked_at_the_same_time() -> None:
    async with a_judge() as judge:
        for each in judge.models.values():
            each.takes_s = 0.02
        it = await judge.assess()

    assert it.answer.basis == pb.Assessment.SCORE
    assert it.seconds == pytest.approx(0.02)


async def test_a_model_gets_its_inputs_in_their_order_and_later_payments_count_earlier_ones() -> (
    None
):
    async with a_judge() as judge:
        await judge.assess(judge.transaction("a", user_id="u", amount_minor=2000))
        await asyncio.sleep(1)
        await judge.assess(judge.transaction("b", user_id="u", amount_minor=4200))

        await asyncio.sleep(1)
        assert judge.models["trees"].rows == [[20, 0, 20], [42, 1, 2]]
        assert judge.happenings.recorded == 2


async def test_payments_of_the_same_milliseconds_are_recorded_in_one_go() -> None:
    async with a_judge() as judge:
        payments = [judge.transaction(f"{n}", user_id=f"u{n}") for n in range(4)]
        await asyncio.gather(*map(judge.assess, payments))
        await asyncio.sleep(1)

        assert judge.happenings.recorded == 4
        assert judge.features.writes.asked == 1


async def test_a_payment_is_recorded_although_the_server_ends() -> None:
    async with a_judge() as judge:
        await judge.assess()
        await judge.happenings.close()

        assert judge.happenings.recorded == 1


async def test_a_grave_rule_decides_at_once_and_no_model_is_asked() -> None:
    async with a_judge() as judge:
        judge.lists.add(Entry(ListName.BLOCK, EntityKind.USER, "thief"), judge.now_us())
        it = await judge.assess(judge.transaction(user_id="thief"))
        await asyncio.sleep(0.1)

        assert verdict(it.answer) == (
            pb.Assessment.BLOCK,
            pb.Assessment.HIGH,
            0.95,
            pb.Assessment.RULE,
        )
        assert it.answer.decided_by == "listed"
        assert [each.asked for each in judge.models.values()] == [0, 0, 0]
        assert len(judge.records.entries) == 1
        [alert] = judge.sink.records
        assert b'"rule.listed"' in alert.body


async def test_an_alert_tells_nobody_the_number_of_a_card() -> None:
    card = "9000 0000 0000 0001"  # it may be one; what is one for sure is not taken in
    async with a_judge() as judge:
        await judge.assess(judge.transaction(card, user_id=card, amount_minor=20_000_000))
        await asyncio.sleep(0.1)

        [alert] = judge.sink.records
        assert b"9000" not in alert.body + alert.key.encode()


async def test_features_that_hang_are_given_up_and_rules_may_still_block() -> None:
    async with a_judge() as judge:
        judge.features.reads.takes_s = HANGS_S
        it = await judge.assess()
        huge = await judge.assess(judge.transaction("h", amount_minor=20_000_000))

        assert verdict(it.answer) == CONSERVATIVE
        assert it.answer.reasons[0].code == "conservative.features"
        assert degraded(it.answer)["features"][0] == "defaults"
        assert it.seconds < 0.03
        assert [each.asked for each in judge.models.values()] == [0, 0, 0]
        assert verdict(huge.answer)[0] == pb.Assessment.BLOCK


@pytest.mark.parametrize("late_s", [0.005, 0.05])
async def test_features_count_as_failed_only_if_they_come_too_late(late_s: float) -> None:
    async with a_judge() as judge:
        judge.features.reads.takes_s = late_s
        it = await judge.assess()

    if late_s < 0.02:
        assert it.answer.basis == pb.Assessment.SCORE
        assert not it.answer.degradations
    else:
        assert verdict(it.answer) == CONSERVATIVE


async def test_rules_that_raise_make_a_conservative_decision(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(RuleSet, "evaluate", broken)
    async with a_judge() as judge:
        it = await judge.assess()

    assert verdict(it.answer) == CONSERVATIVE
    assert it.answer.reasons[0].code == "conservative.rules"
    assert degraded(it.answer) == {"rules": ("none", "INTERNAL")}
    assert "unforeseen error" in caplog.text


def break_all(judge: Judge) -> None:
    for part in (
        *(judge.features.reads, judge.features.writes, judge.kept.reads, judge.kept.writes),
        *judge.models.values(),
        judge.records,
    ):
        part.takes_s = HANGS_S


@pytest.mark.parametrize("within_s", [None, 0.05, 0.02])
async def test_whatever_hangs_a_decision_comes_in_time_and_says_so(
    within_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_judge() as judge:
        break_all(judge)
        it = await judge.assess(within_s=within_s)

        assert verdict(it.answer) == CONSERVATIVE
        assert it.seconds <= (within_s or 0.1)
        assert {"features", "audit", "idempotency"} <= degraded(it.answer).keys()
        assert not it.answer.HasField("audit_sequence")
        [(key, value)] = it.call.trailing
        assert key == TRAILER
        assert all(stage in str(value) for stage in ("features=defaults", "audit=none"))


async def test_models_that_hang_leave_time_to_put_it_on_record() -> None:
    async with a_judge() as judge:
        for each in judge.models.values():
            each.takes_s = HANGS_S
        judge.kept.reads.takes_s = HANGS_S
        judge.kept.writes.takes_s = HANGS_S
        judge.records.takes_s = 0.005
        it = await judge.assess()

        assert verdict(it.answer) == CONSERVATIVE
        assert it.answer.audit_sequence == 1
        assert it.seconds <= 0.1


async def test_many_decisions_while_all_hangs_are_all_in_time() -> None:
    async with a_judge() as judge:
        break_all(judge)
        answers = [await judge.assess(judge.transaction(f"t{each}")) for each in range(100)]

    assert all(verdict(it.answer) == CONSERVATIVE for it in answers)
    assert max(it.seconds for it in answers) <= 0.1


async def test_recording_what_happened_delays_nobody() -> None:
    async with a_judge(record_ms=500) as judge:
        judge.features.writes.takes_s = HANGS_S
        it = await judge.assess()

        assert it.seconds == 0
        assert not it.answer.degradations
        await asyncio.sleep(1)
        assert judge.happenings.unrecorded == 1


async def test_what_a_model_does_not_take_is_no_fault_of_the_callers() -> None:
    async with a_judge() as judge:
        judge.models["trees"].raises = InvalidRequest("4 features, not 3", field="inputs")
        it = await judge.assess()

    assert it.answer.basis == pb.Assessment.SCORE
    assert degraded(it.answer) == {"trees": ("none", "DEPENDENCY_FAILED")}


async def test_a_score_that_is_no_number_is_none() -> None:
    async with a_judge() as judge:
        judge.models["trees"].says = math.nan
        it = await judge.assess()

    assert it.answer.basis == pb.Assessment.SCORE
    assert degraded(it.answer) == {"trees": ("none", "DEPENDENCY_FAILED")}


async def test_duplicates_in_flight_are_decided_on_once() -> None:
    async with a_judge() as judge:
        for each in judge.models.values():
            each.takes_s = 0.01
        same = judge.transaction()
        answers = await asyncio.gather(*(judge.assess(same) for _ in range(5)))

        assert len({each.answer.SerializeToString() for each in answers}) == 1
        assert [each.asked for each in judge.models.values()] == [1, 1, 1]
        assert len(judge.records.entries) == 1


async def test_another_transaction_under_the_same_id_is_refused() -> None:
    async with a_judge() as judge:
        await judge.assess(judge.transaction(amount_minor=1))
        with pytest.raises(InvalidRequest) as caught:
            await judge.assess(judge.transaction(amount_minor=2))

    assert [each.field for each in caught.value.violations] == ["transaction.id"]


async def test_who_leaves_takes_the_models_along_unless_somebody_else_waits() -> None:
    async with a_judge() as judge:
        for each in judge.models.values():
            each.takes_s = 0.02
        tasks = [asyncio.create_task(judge.assess(judge.transaction())) for _ in range(2)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        it = await tasks[1]
        assert it.answer.basis == pb.Assessment.SCORE

        alone = asyncio.create_task(judge.assess(judge.transaction("alone")))
        await asyncio.sleep(0.01)
        alone.cancel()
        await asyncio.sleep(0.001)
        assert [each.cancelled for each in judge.models.values()] == [1, 1, 1]
        assert len(judge.records.entries) == 1


async def test_the_second_time_the_store_is_not_asked_and_the_answer_is_the_same() -> None:
    async with a_judge() as judge:
        first = await judge.assess()
        judge.kept.reads.raises = judge.features.reads.raises = GONE
        again = await judge.assess()

        assert again.answer == first.answer


async def test_what_the_store_has_lost_is_answered_from_the_record_to_the_last_bit() -> None:
    async with a_judge() as judge:
        transaction = judge.transaction()
        first = await judge.assess(transaction)
        kept = await judge.assessing.known(first.call, transaction.id)
        await judge.kept.close()
        await judge.restarted()

        again = await judge.assess(transaction)
        await asyncio.sleep(0.1)

        assert again.answer == first.answer
        assert len(judge.records.entries) == 1
        await judge.restarted()
        assert await judge.assessing.known(first.call, transaction.id) == kept


async def test_another_transaction_under_the_id_of_one_on_record_is_refused() -> None:
    async with a_judge() as judge:
        transaction = judge.transaction()
        first = await judge.assess(transaction)
        await judge.kept.close()
        await judge.restarted()

        with pytest.raises(InvalidRequest, match="another transaction"):
            await judge.assess(judge.transaction(amount_minor=1))

        assert (await judge.assess(transaction)).answer == first.answer


async def test_an_answer_that_is_not_on_record_says_so_and_somebody_is_told() -> None:
    async with a_judge() as judge:
        judge.records.raises = GONE
        it = await judge.assess()
        await asyncio.sleep(0.1)

        assert it.answer.decision == pb.Assessment.APPROVE
        assert degraded(it.answer) == {"audit": ("none", "DEPENDENCY_FAILED")}
        assert len(judge.sink.records) == 1
    async with a_judge(audit={"on_failure": "refuse"}) as judge:
        judge.records.takes_s = HANGS_S
        with pytest.raises(DependencyFailed, match="on record"):
            await judge.assess()


async def test_an_id_for_tests_decides_and_nothing_is_read_or_learned() -> None:
    async with a_judge() as judge:
        it = await judge.assess(judge.transaction("test-block-1"))
        await asyncio.sleep(1)

        assert it.answer.decision == pb.Assessment.BLOCK
        assert it.answer.test
        assert judge.features.reads.asked == judge.happenings.recorded == 0
        assert len(judge.records.entries) == 1
        assert not judge.sink.records
