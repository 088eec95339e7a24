"""Transactions of one stream: answered in their order, several at once, and no more than that."""

from collections.abc import AsyncIterator

import pytest

from inferd.call import Call
from inferd.services.fraud.streamed import in_order
from inferd.v1 import fraud_pb2 as pb
from support.judges import Judge

MOST = 4


class Caller:
    """Streams as fast as it is read."""

    def __init__(self, judge: Judge, number: int, wrong: int = -1) -> None:
        self._judge = judge
        self._number = number
        self._wrong = wrong
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[pb.AssessTransactionRequest]:
        for each in range(self._number):
            self.read += 1
            currency = "none" if each == self._wrong else "EUR"
            transaction = self._judge.transaction(f"t{each}", currency=currency)
            yield pb.AssessTransactionRequest(transaction=transaction)


async def test_answers_come_in_order_and_what_is_wrong_with_one_is_its_own() -> None:
    judge = Judge()
    for each in judge.models.values():
        each.takes_s = 0.01
    caller, began = Caller(judge, 20, wrong=7), judge.clock()

    answers = [
        each
        async for each in in_order(
            aiter(caller), Call("/stream", arrived=began), judge.assessing, MOST, judge.clock
        )
    ]

    assert [each.transaction_id for each in answers] == [f"t{each}" for each in range(20)]
    assert [each.HasField("failure") for each in answers] == [each == 7 for each in range(20)]
    assert answers[7].failure.status == "INVALID_ARGUMENT"
    assert not answers[7].failure.HasField("retry_after_ms")
    assert judge.clock() - began == pytest.approx(20 / MOST * 0.01, abs=0.011)
    await judge.close()


async def test_who_does_not_take_answers_is_not_read_any_further() -> None:
    judge = Judge()
    caller = Caller(judge, 100)
    answers = in_order(
        aiter(caller), Call("/stream", arrived=judge.clock()), judge.assessing, MOST, judge.clock
    )

    await anext(answers)

    assert caller.read <= MOST + 1
    await answers.aclose()
    assert caller.read <= MOST + 1
    await judge.close()
