"""One request on its way through a scheduler."""

from collections.abc import Hashable


class Ticket:
    """A request of `rows` rows that is worthless after `deadline` (monotonic seconds).

    Compared by identity: two equal requests are two tickets. Only tickets with the same
    `key` (the shapes of their rows) may share a batch.
    """

    __slots__ = ("arrived", "deadline", "key", "level", "rows", "sequence", "within_s")

    def __init__(
        self, *, rows: int, deadline: float, arrived: float, key: Hashable = None, level: int = 0
    ) -> None:
        self.rows = rows
        self.deadline = deadline
        self.arrived = arrived
        self.key = key
        #: How much time its caller gave it. Some of that may be gone when it arrives here.
        self.within_s = deadline - arrived
        #: Priority; lower goes first. Models without priority levels have only 0.
        self.level = level
        #: Order of admission, set by the scheduler.
        self.sequence = 0

    def __repr__(self) -> str:
        return f"Ticket(rows={self.rows}, deadline={self.deadline:.4f}, level={self.level})"
