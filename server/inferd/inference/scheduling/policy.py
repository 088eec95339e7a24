"""The rules that one model's queue is scheduled by."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Mode(StrEnum):
    """What a queue is there for."""

    #: As many answers in time as can be, by weight.
    GOODPUT = "goodput"
    #: Whoever is let in is served, unless somebody comes who is worth more, or whose caller has
    #: less; whoever is not let in knows at once.
    FAIL_FAST = "fail_fast"
    #: First come, first served, as elsewhere: to compare with.
    FIFO = "fifo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What Triton calls a queue policy: the limits of one priority level."""

    #: Requests waiting at most. 0: only the queue's own bound.
    max_queue: int = 0
    #: A request is given up after waiting this long. 0: never.
    timeout_s: float = 0.0
    #: It is not given up then, but goes behind all others of its level (DELAY).
    delays: bool = False
    #: Whether a request's own `timeout` parameter may shorten that.
    allow_timeout_override: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How the requests to one model version are grouped and ordered."""

    mode: Mode = Mode.GOODPUT
    #: Rows in a batch at most; 1 for a model without a batch dimension.
    max_batch: int = 1
    #: Batches that run at the same time.
    instances: int = 1
    #: Requests waiting at most. Bounds memory, and worst-case waiting.
    max_queue: int = 2048
    #: How long the first request may wait for company though an instance is idle.
    max_delay_s: float = 0.0
    #: Sizes worth leaving with before `max_delay_s` is over.
    preferred: tuple[int, ...] = ()
    #: Kept back from every deadline for the way home.
    guard_s: float = 0.0005
    #: First come, first served, one batch at a time.
    preserve_ordering: bool = False
    #: Number of priority levels, 0 for none; the level of a request that names none.
    levels: int = 0
    default_level: int = 0
    default_limits: Level = Level()
    limits: Mapping[int, Level] = field(default_factory=dict)
    #: What a caller may have under overload, as a multiple of one that is not named.
    shares: Mapping[Hashable, float] = field(default_factory=dict)

    def limits_of(self, level: int) -> Level:
        """Return the limits of a priority level."""
        return self.limits.get(level, self.default_limits) if self.limits else self.default_limits

    def slots_of(self, instances: int) -> int:
        """Return the batches that may run at the same time on so many instances, at least one."""
        return 1 if self.preserve_ordering else max(1, instances)

    @property
    def by_deadline(self) -> bool:
        """Whether nothing but the deadline decides who goes first."""
        levels = (self.default_limits, *self.limits.values())
        return not (self.levels or self.preserve_ordering or any(each.delays for each in levels))

    @property
    def enough(self) -> int:
        """The rows at which waiting for more stops."""
        return max(self.preferred, default=self.max_batch)


def buckets_of(max_batch: int, preferred: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the batch sizes that are warmed up: 1, 2, 4, … `max_batch`, and the preferred."""
    powers = {1 << exponent for exponent in range(max_batch.bit_length())}
    return tuple(sorted({*powers, max_batch, *preferred}))
