"""What a stream asks of features; whoever has them wires them in.

Both are asked with a deadline, keep it, and raise an `InferdError` when they cannot. Recording is
asked again for an event that is delivered again, with the same event id.
"""

from collections.abc import Sequence
from typing import Protocol

from inferd.call import Call
from inferd.deadline import Deadline
from inferd.streaming.events import Event


class Features(Protocol):
    """The features of the users that events are about."""

    async def record(self, call: Call, deadline: Deadline, event: Event) -> None:
        """Add an event to what is aggregated of its user."""

    async def vector(
        self, call: Call, deadline: Deadline, event: Event, names: Sequence[str]
    ) -> Sequence[object]:
        """Return the values of `view:feature` names, in order; None for what is not there."""
