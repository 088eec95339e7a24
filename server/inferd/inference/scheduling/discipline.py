"""What a queue of requests to one model version must do, whatever it decides by.

A discipline never waits, logs or reads a clock: `now` comes in, a decision comes out. The server
(`inferd.inference.batcher`) and the simulator drive any of them in the same way.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from inferd.inference.scheduling.ticket import Ticket


class Reason(StrEnum):
    """Why a request will not be run."""

    QUEUE_FULL = "QUEUE_FULL"
    INFEASIBLE = "INFEASIBLE"
    SHED = "SHED"
    LATE_DROP = "LATE_DROP"


@dataclass(frozen=True, slots=True)
class Drop:
    """A request that is given up, and why."""

    ticket: Ticket
    reason: Reason
    #: Seconds until a retry may be admitted; negative: a retry is pointless.
    retry_after_s: float = -1.0


@dataclass(slots=True, eq=False)
class Run:
    """A batch that has left the queue. `finished` takes it back."""

    tickets: tuple[Ticket, ...]
    rows: int
    picked_at: float
    predicted_s: float
    #: Why the batch was closed: full, idle, preferred, delay, deadline.
    closed: str
    #: When it was expected to end, at the time it was picked.
    ends_at: float
    #: Set when some of its members made it fail, and it had to be found out which.
    failed: bool = False


class Discipline(Protocol):
    """Decides for one model version. Not thread-safe. Times are monotonic seconds."""

    def __len__(self) -> int:
        """Return the requests that wait."""

    @property
    def running(self) -> int:
        """Batches handed out and not finished."""

    def enter(self, now: float, ticket: Ticket) -> Drop | None:
        """Take in who has arrived, or say why not."""

    def run_at_once(self, now: float, ticket: Ticket) -> Run | Drop | None:
        """Return a run of `ticket` alone, or why it is refused; None where it has to `enter`."""

    def cancel(self, ticket: Ticket) -> bool:
        """Forget a waiting ticket whose caller has gone; False if it does not wait here."""

    def given_up(self, now: float) -> list[Drop]:
        """Take out those who were let in and will not be run after all."""

    def pick(self, now: float) -> Run | None:
        """Return the batch that should start now, or None. Call until it returns None."""

    def finished(self, now: float, run: Run, *, learn: bool = True) -> None:
        """Take a run back. `learn` is False when its time says nothing (failed, stopped)."""

    def answered(self, seconds: float) -> None:
        """Learn how long after its run the last member of a batch had its answer sent."""

    def wake_at(self, now: float) -> float:
        """Return when to look again though nothing happens; infinity: no need."""


class Resizable(Discipline, Protocol):
    """A discipline for instances that come and go, as a server's do."""

    def resize(self, instances: int) -> None:
        """Count on so many instances from now on."""

    def waiting(self) -> list[Ticket]:
        """Return those who wait, in no order."""
