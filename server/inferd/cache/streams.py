"""What every stream promises, where events come from and where results go.

Delivery is at least once: what was read and not acknowledged comes again, to this reader or to
another. So a result may be published twice, and is told apart by its key, which is its event's id:
of the records with one key only the first stays. Together that is one result for each event.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

ALONE_FROM = 3
"""An event that comes for the third time comes alone, and nothing is begun beside it. Two who had
it died, perhaps of it; what they had besides must not count as often as that.
"""


class Delivery(NamedTuple):
    """An event as it came."""

    #: Where it is in its stream; what is acknowledged.
    position: str
    #: The bytes that somebody wrote.
    body: bytes
    #: How often it has been handed out by now, this time included.
    delivered: int


class Record(NamedTuple):
    """Something to publish."""

    #: Of the records with the same key, one is published.
    key: str
    body: bytes


class Source(Protocol):
    """Where events come from. Raises `DependencyFailed` where it does not answer; it may then."""

    async def read(self, most: int) -> Sequence[Delivery] | None:
        """Return at most so many events, in order; none if none came for a while.

        None: the stream has ended, and there will be no more.
        """

    async def ack(self, positions: Sequence[str]) -> None:
        """Say that these need not come again."""

    async def keep(self) -> None:
        """Say that all that was read and not acknowledged is in good hands, however long it takes.

        To be called often, and at any time: also while another call is under way.
        """

    async def lag(self) -> int | None:
        """Return how many events wait to be read; None where nobody knows."""

    async def close(self) -> None:
        """Let go of what it holds. What was not acknowledged comes again."""


class Sink(Protocol):
    """Where records go. Raises `DependencyFailed` where it cannot take them now."""

    async def publish(self, records: Sequence[Record]) -> Sequence[bool]:
        """Publish records in their order, and return when they are safe.

        Returns which of them are new; the others had been published before.
        """

    async def close(self) -> None:
        """Let go of what it holds."""
