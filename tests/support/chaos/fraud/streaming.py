"""Asks for decisions on streams, and notes of every transaction what became of it.

Answers come in the order of the requests, so whoever is late makes others late: that is judged.
Who streams faster than is decided is not read any further: then time begins when there is room.
"""

import asyncio
import gc
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import grpc

from inferd.config.fraud_service import Fraud
from inferd.resilience.degradation import Degradation, trailer
from inferd.v1 import fraud_pb2 as pb
from support.chaos.fraud.transactions import DECISION_S, METHODS, id_of, request
from support.chaos.generate import GRACE_S, Message, Slack, arguments_for, slots
from support.chaos.history import Record, write

STREAMS = 2
AT_ONCE = Fraud().max_streamed
"""Transactions of a stream that the server decides on at once, and reads."""
DRAINS_S = 10.0
"""What was streamed too fast is answered before that."""
STATUS: dict[str, int] = {each.name: each.value[0] for each in grpc.StatusCode}


class Stream:
    """One stream, and the transactions on it."""

    def __init__(self, run: str, message: Message, planned: Sequence[tuple[int, float]]) -> None:
        self._run = run
        self._message = message
        self._planned = planned
        self._sent: list[tuple[int, float]] = []
        self._ends: list[tuple[float, pb.AssessTransactionsResponse]] = []

    async def call(self, channel: Any) -> None:
        """Send all at their times, and take the answers."""
        stream = channel.stream_stream(
            f"{METHODS}/AssessTransactions",
            response_deserializer=pb.AssessTransactionsResponse.FromString,
        )(self._requests())
        with suppress(grpc.aio.AioRpcError):  # those without an answer are counted as lost
            async for answer in stream:
                self._ends.append((time.monotonic(), answer))

    async def _requests(self) -> AsyncIterator[bytes]:
        for number, at in self._planned:
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            self._sent.append((number, time.monotonic()))
            yield self._message(number)
        await asyncio.sleep(DECISION_S)

    def records(self, slack: Slack) -> Iterator[Record]:
        """Yield what became of each."""
        room = [0.0] * AT_ONCE + [finished for finished, _ in self._ends]
        for (number, left), end, read in zip(self._sent, self._ends, room, strict=False):
            (finished, answer), sent = end, max(left, read)
            late_s = slack.between(sent, finished)
            it = Record(
                number=number, sent=sent, timeout_s=DECISION_S + GRACE_S, finished=finished,
                statuses=(0,), degraded=_degraded(answer),
                answer=answer.assessment.SerializeToString(), slack_s=late_s,
            )  # fmt: skip
            yield it if not answer.HasField("failure") else _failed(it, answer.failure)
            if answer.transaction_id != id_of(self._run, number):
                raise AssertionError(f"{answer.transaction_id} in the place of {number}")
        for number, sent in self._sent[len(self._ends) :]:
            yield Record(
                number=number, sent=sent, timeout_s=DECISION_S + GRACE_S, finished=None, statuses=()
            )


def _failed(it: Record, failure: pb.AssessTransactionsResponse.Failure) -> Record:
    return Record(
        number=it.number, sent=it.sent, timeout_s=it.timeout_s, finished=it.finished,
        statuses=(STATUS[failure.status],), reason=failure.reason, slack_s=it.slack_s,
        pushback_ms=failure.retry_after_ms if failure.HasField("retry_after_ms") else -1,
    )  # fmt: skip


def _degraded(answer: pb.AssessTransactionsResponse) -> str:
    found = answer.assessment.degradations
    return trailer(Degradation(each.stage, each.source, each.reason) for each in found)


async def stream_all(port: int, streams: Sequence[Stream], slack: Slack, ends: float) -> None:
    """Have all streams call at once, and wait until they end, or must have."""
    watching = asyncio.create_task(slack.watch())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        calls = [asyncio.create_task(each.call(channel)) for each in streams]
        await asyncio.wait(calls, timeout=ends - time.monotonic())
        for task in (*calls, watching):
            task.cancel()
        await asyncio.gather(*calls, watching, return_exceptions=True)


def main() -> None:
    """Stream."""
    parser = arguments_for(__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--epoch-us", type=int, required=True)
    it = parser.parse_args()
    planned = [*slots(it.phase, it.at, random.Random(it.seed))]
    message = partial(request, it.run, epoch_us=it.epoch_us)
    streams = [Stream(it.run, message, planned[at::STREAMS]) for at in range(STREAMS)]
    slack = Slack()
    gc.disable()
    asyncio.run(stream_all(it.port, streams, slack, planned[-1][1] + DRAINS_S))
    records = [each for stream in streams for each in stream.records(slack)]
    write(it.history, sorted(records, key=lambda each: each.sent), slack.most_s)


if __name__ == "__main__":
    main()
