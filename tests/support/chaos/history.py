"""What became of every call: written by the generator, read by whoever judges."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

USERS = 40
ITEMS = 10
_BASKETS = 16
"""As many different lists of items are asked for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call asked, by its number: both sides know."""

    user: str
    items: tuple[int, ...]


def asked(number: int) -> Asked:
    """Return what the call of that number asks."""
    basket = number // USERS % _BASKETS
    return Asked(f"user-{number % USERS}", tuple(range(basket * ITEMS, (basket + 1) * ITEMS)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One call. Times are monotonic seconds, of the clock that all processes here share."""

    number: int
    sent: float
    timeout_s: float
    #: When its end came; None: it never did, and its caller gave up.
    finished: float | None
    #: Every `grpc-status` that came.
    statuses: tuple[int, ...]
    #: How it ended without one: `reset`, `refused`, `broken`, `unsent`, `cancelled`.
    ended: str = ""
    reason: str = ""
    #: The trailer `x-degraded`.
    degraded: str = ""
    pushback_ms: int | None = None
    #: The message, if one came.
    answer: bytes | None = None
    #: By how much the machine held up its caller, and the server, while it was under way.
    slack_s: float = 0.0

    @property
    def answered(self) -> bool:
        """Whether there is an answer."""
        return self.statuses == (0,)

    @property
    def unseen(self) -> bool:
        """Whether the server has not seen it, as both sides know."""
        return self.ended in ("unsent", "refused")

    @property
    def lost(self) -> bool:
        """Whether nobody said what became of it."""
        return not self.statuses and not self.unseen and self.ended != "cancelled"

    @property
    def overdue_s(self) -> float:
        """By how much its end came after its deadline."""
        return 0.0 if self.finished is None else self.finished - self.sent - self.timeout_s

    @property
    def late_s(self) -> float:
        """By how much that was the server's doing."""
        return self.overdue_s - self.slack_s


@dataclass(frozen=True, slots=True)
class History:
    """All calls, in the order in which they left, and how late the generator ever was."""

    calls: tuple[Record, ...]
    slack_s: float


def write(path: Path, calls: Iterable[Record], slack_s: float) -> None:
    """Write a history, a call per line."""
    with path.open("w") as file:
        file.write(json.dumps({"slack_s": slack_s}) + "\n")
        for each in calls:
            file.write(json.dumps(asdict(each), default=bytes.hex) + "\n")


def read(path: Path) -> History:
    """Read a history."""
    head, *lines = path.read_text().splitlines()
    calls = tuple(_record(json.loads(line)) for line in lines)
    return History(calls, json.loads(head)["slack_s"])


def _record(fields: Mapping[str, Any]) -> Record:
    answer = fields["answer"]
    return Record(
        **{
            **fields,
            "statuses": tuple(fields["statuses"]),
            "answer": None if answer is None else bytes.fromhex(answer),
        }
    )
