"""Asks for decisions: as the generator beside it, and some hang up, or ask for too much.

python -m support.chaos.fraud.generate --run c1 --epoch-us 17 --port 8001 --phase 1:60 ... FILE
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from functools import partial

from support.chaos.connection import Connection
from support.chaos.fraud.transactions import ASSESS, request
from support.chaos.generate import Call, Message, Phase, arguments_for, run, slots

DEADLINES_MS = (20, 30, 50, 70, 100, 1000)
TINY_MS = (1, 2, 3, 5, 8, 12)
LEAVES_MS = 15.0
"""Who hangs up does so within this."""


class Caller(Call):
    """A call that may be given up."""

    def __init__(
        self, number: int, at: float, timeout_ms: int, message: Message, leaves_s: float | None
    ) -> None:
        super().__init__(number, at, timeout_ms, message)
        self._leaves_s = leaves_s

    def _sent_on(self, connection: Connection, stream: int) -> None:
        super()._sent_on(connection, stream)
        if self._leaves_s is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(self._leaves_s, self._hang_up, connection, stream)

    def _hang_up(self, connection: Connection, stream: int) -> None:
        if self._sent is not None and self._sent.finished is None:
            self._sent.ended = "cancelled"
            connection.give_up(stream)


def callers(
    phases: Sequence[Phase],
    begin: float,
    rng: random.Random,
    message: Message,
    *,
    leave: float,
    tiny: float,
) -> Iterator[Caller]:
    """Yield the calls; shares of them hang up, or have next to no time."""
    for number, at in slots(phases, begin, rng):
        timeout_ms = rng.choice(TINY_MS if rng.random() < tiny else DEADLINES_MS)
        leaves_s = rng.random() * LEAVES_MS / 1000 if rng.random() < leave else None
        yield Caller(number, at, timeout_ms, message, leaves_s)


def main() -> None:
    """Ask for decisions."""
    parser = arguments_for(__doc__)
    parser.add_argument("--run", required=True, help="what ids begin with")
    parser.add_argument("--epoch-us", type=int, required=True)
    parser.add_argument("--leave", type=float, default=0.0)
    parser.add_argument("--tiny", type=float, default=0.0)
    it = parser.parse_args()
    message = partial(request, it.run, epoch_us=it.epoch_us)
    rng = random.Random(it.seed)
    calls = list(callers(it.phase, it.at, rng, message, leave=it.leave, tiny=it.tiny))
    run(it.port, calls, it.history, ASSESS)


if __name__ == "__main__":
    main()
