"""One request on its way through a scheduler."""

import math
from collections.abc import Hashable


class Ticket:
    """A request of `rows` rows that is worthless after `deadline` (monotonic seconds).

    Compared by identity: two equal requests are two tickets. Only tickets with the same
    `key` (the shapes of their rows) may share a batch.
    """

    __slots__ = (
        "arrived",
        "caller",
        "deadline",
        "key",
        "level",
        "put_back",
        "retried",
        "rows",
        "sequence",
        "weight",
        "within_s",
        "yields_at",
    )

    def __init__(
        self,
        *,
        rows: int,
        deadline: float,
        arrived: float,
        key: Hashable = None,
        level: int = 0,
        weight: float = 1.0,
        caller: Hashable = None,
        retried: bool = False,
    ) -> None:
        self.rows = rows
        self.deadline = deadline
        self.arrived = arrived
        self.key = key
        #: How much time its caller gave it. Some of that may be gone when it arrives here.
        self.within_s = deadline - arrived
        #: Priority; lower goes first. Models without priority levels have only 0.
        self.level = level
        #: What an answer in time is worth, per request.
        self.weight = weight
        #: Who asks: callers get equal shares where there is not enough for all. None: nobody's.
        self.caller = caller
        #: Whether its caller has asked before: under overload it weighs less.
        self.retried = retried
        #: When it goes behind all others of its level; never, unless its level says so.
        self.yields_at = math.inf
        #: Order of admission, and whether it has been put back: set by the scheduler.
        self.sequence = 0
        self.put_back = False

    def __repr__(self) -> str:
        return f"Ticket(rows={self.rows}, deadline={self.deadline:.4f}, level={self.level})"
