"""The generator: sends calls at their times, whatever becomes of those before, and notes all.

    python -m support.chaos.generate --port 8001 --at 1234.5 --phase 0.5:60 --phase 1:250 FILE

A process of its own, so that it is late as seldom as can be; when it is, it knows, because it
looks at its own clock all the time.
"""

import argparse
import asyncio
import gc
import random
import struct
import time
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import uvloop

from cascade import ranking_pb2 as pb
from support.chaos.connection import Connection, Sent
from support.chaos.history import Record, asked, write

PATH = "/example.v1.Ranking/Rank"
CONNECTIONS = 4
DEADLINES_MS = (20, 30, 50, 70, 100)
GRACE_S = 1.0
"""After its deadline, a call without any end is waited for so long, and then it is lost."""
LOOK_S = 0.002
"""Between looks at the clock."""

Phase = tuple[float, float]
"""Seconds, and calls per second."""
Message = Callable[[int], bytes]
"""Says what the call of a number asks."""


def basket(number: int) -> bytes:
    """Return what the call of that number asks to be ranked."""
    what = asked(number)
    return pb.RankRequest(user_id=what.user, item_ids=what.items).SerializeToString()


class Slack:
    """Knows how late this process was, and when."""

    def __init__(self) -> None:
        self.most_s = 0.0
        self._late: list[tuple[float, float]] = []

    async def watch(self) -> None:
        """Look at the clock until cancelled."""
        while True:
            due = time.monotonic() + LOOK_S
            await asyncio.sleep(LOOK_S)
            now = time.monotonic()
            self._late.append((now, now - due))
            self.most_s = max(self.most_s, now - due)

    def between(self, begin: float, end: float) -> float:
        """Return the most it was late by in that time, and just after it."""
        first = bisect(self._late, (begin,))
        last = bisect(self._late, (end + LOOK_S * 2,))
        return max((late for _, late in self._late[first : last + 1]), default=0.0)


class Call:
    """A call that is planned, and then sent."""

    def __init__(self, number: int, at: float, timeout_ms: int, message: Message = basket) -> None:
        self.number = number
        self.at = at
        self.timeout_ms = timeout_ms
        self._message = message
        self._sent: Sent | None = None

    def send(self, connections: Sequence[Connection]) -> None:
        """Send it on a connection that is open; without one it stays unsent."""
        open_ones = [each for each in connections if each.open]
        if not open_ones:
            return
        connection = open_ones[self.number % len(open_ones)]
        stream, self._sent = connection.send(self._message(self.number), self.timeout_ms)
        self._sent_on(connection, stream)

    def _sent_on(self, connection: Connection, stream: int) -> None:
        """Wait for its end, but not for ever."""
        wait_s = self.timeout_ms / 1000 + GRACE_S
        asyncio.get_running_loop().call_later(wait_s, connection.give_up, stream)

    def record(self, slack: Slack) -> Record:
        """Return what became of it."""
        timeout_s = self.timeout_ms / 1000
        it = self._sent
        if it is None:
            return Record(
                number=self.number, sent=self.at, timeout_s=timeout_s,
                finished=None, statuses=(), ended="unsent",
            )  # fmt: skip
        pushback = it.trailers.get("grpc-retry-pushback-ms")
        return Record(
            number=self.number,
            sent=it.sent,
            timeout_s=timeout_s,
            finished=it.finished,
            statuses=tuple(it.statuses),
            ended=it.ended,
            reason=it.trailers.get("x-reason", ""),
            degraded=it.trailers.get("x-degraded", ""),
            pushback_ms=None if pushback is None else int(pushback),
            answer=_message(it.body),
            slack_s=slack.between(it.sent, it.finished or it.sent + timeout_s),
        )


def _message(body: bytearray) -> bytes | None:
    """Return the one message in a body; what is no single message stays as it is, and is wrong."""
    if not body:
        return None
    length = struct.unpack_from(">I", body, 1)[0]
    return bytes(body[5:] if len(body) == 5 + length else body)


def slots(phases: Sequence[Phase], begin: float, rng: random.Random) -> Iterator[tuple[int, float]]:
    """Yield numbers and times, each in a slot of its own: the rate is what it is said to be."""
    number = rng.randrange(1000)
    for seconds, rate in phases:
        for slot in range(round(seconds * rate)):
            number += 1
            yield number, begin + (slot + rng.random()) / rate
        begin += seconds


def planned(phases: Sequence[Phase], begin: float, rng: random.Random) -> Iterator[Call]:
    """Yield the calls."""
    for number, at in slots(phases, begin, rng):
        yield Call(number, at, rng.choice(DEADLINES_MS))


async def generate(port: int, calls: Sequence[Call], slack: Slack, path: str = PATH) -> None:
    """Send all calls, and wait for what becomes of them."""
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(lambda: Connection(path), "127.0.0.1", port))[1]
        for _ in range(CONNECTIONS)
    ]
    watching = loop.create_task(slack.watch())
    for call in calls:
        wait_s = call.at - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        call.send(connections)
    for connection in connections:
        await connection.idle.wait()
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    for connection in connections:
        connection.close()


def _phase(text: str) -> Phase:
    seconds, _, rate = text.partition(":")
    return float(seconds), float(rate)


def arguments_for(description: str | None) -> argparse.ArgumentParser:
    """Return what reads the arguments that every generator has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--at", type=float, required=True, help="when to begin, monotonic seconds")
    parser.add_argument("--phase", type=_phase, action="append", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("history", type=Path)
    return parser


def run(port: int, calls: Sequence[Call], history: Path, path: str = PATH) -> None:
    """Generate, and write the history."""
    slack = Slack()
    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(generate(port, calls, slack, path))
    write(history, [each.record(slack) for each in calls], slack.most_s)


def main() -> None:
    """Ask for rankings."""
    arguments = arguments_for(__doc__).parse_args()
    rng = random.Random(arguments.seed)
    run(arguments.port, list(planned(arguments.phase, arguments.at, rng)), arguments.history)


if __name__ == "__main__":
    main()
