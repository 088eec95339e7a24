"""How many calls to a dependency may be under way at once, found out by trying.

Whatever takes calls has a number of them at which it is busy; more only wait there, and all are
answered later. That number is not known and changes. But there is a test for having passed it:
let in half as many for a moment. If they are answered as fast as all were, or nearly, nothing
waited, and more may be let in. If they are answered in half the time, the other half did nothing
but wait. By Little's law, as many as are answered in the time that one takes on its own are enough.

So how slow a dependency is does not matter, only whether fewer calls would make it faster: when
it gets slower for reasons of its own, or answers batches, it keeps its calls. Half as many are
let in when answers have become slow, and now and then in case this has gone unnoticed. As long as
calls do not use half of the limit anyway there is nothing to try.

The one thing that needs no test is that many calls time out: that counts as a drop does for TCP.
A few of many do not: they have causes of their own, and to let in fewer calls would not help them.
"""

import math

from inferd.config.resilience import Limit
from inferd.resilience.outcome import Outcome

TOLERANCE = 1.5
"""How many times as long answers may take as they would if half as many calls were let in."""
DROP_FACTOR = 0.5
"""What is left of the limit when calls time out,"""
TIMED_OUT, LEAST_TIMEOUTS = 0.25, 6
"""which it takes this share of them for, and so many. Fewer have causes of their own."""
LEAST_SAMPLES, MOST_SAMPLES = 10, 64
"""Answers from which the time of one is told; between the two, as many as the limit."""
ALL_WAITING = 0.9
"""Calls of a trial answered sooner by this share of what they are fewer have waited, too."""
FIRST_TRIAL, LAST_TRIAL_S = 20, 10.0
"""Between two trials: so many answers' time at first, twice as long each time that one finds
nothing wrong, and never longer than that."""
FASTER_WEIGHT, SLOWER_WEIGHT = 0.25, 0.1
"""Of what is seen without a trial, in what is known."""

SUCCESS, FAILURE = Outcome.SUCCESS, Outcome.FAILURE  # an enum's members take long to look up


class ConcurrencyLimit:
    """Counts calls in and out. `now` is in monotonic seconds.

    Calls are told apart by their share of the limit: whoever may only fill a part of it is
    refused while others are still let in. One call is always let in.
    """

    __slots__ = (
        "_before",
        "_config",
        "_count",
        "_enough",
        "_fixed",
        "_half_s",
        "_needed",
        "_proven",
        "_sum_s",
        "_timeouts",
        "_trial_after_s",
        "_trial_at",
        "in_flight",
        "limit",
        "refused",
    )

    def __init__(self, config: Limit) -> None:
        self._config = config
        #: Calls that may be under way; infinity: any number.
        self.limit: float = config.initial
        self.in_flight = 0
        #: Calls that were not let in.
        self.refused = 0
        #: Answers seen since the limit was set and the calls of before ended, in seconds, too.
        self._count, self._sum_s = 0, 0.0
        #: Timeouts seen since then.
        self._timeouts = 0
        #: As many are needed for a judgement.
        self._enough: float = LEAST_SAMPLES
        #: Whether more than half of the limit has been used since it was set.
        self._needed = False
        #: During a trial, what was before it: the limit, and seconds per answer.
        self._before: tuple[float, float] | None = None
        #: Seconds per answer while half as many calls or fewer are under way. 0: not known.
        self._half_s = 0.0
        #: Up to here nothing has waited, of late: worth to return to in leaps.
        self._proven: float = config.initial
        #: When the next trial is due, and how long after the last one.
        self._trial_at, self._trial_after_s = -math.inf, 0.0
        self._fixed = False
        self.fix(None)

    def __repr__(self) -> str:
        how = "fixed" if self._fixed else "adaptive"
        return f"<ConcurrencyLimit {self.in_flight}/{self.limit:.1f} {how}>"

    def fix(self, limit: float | None) -> None:
        """Keep to a limit from now on. None: begin again with what is configured."""
        mode = self._config.mode
        self._fixed = limit is not None or mode != "adaptive"
        if limit is None:
            limit = math.inf if mode == "off" else self._config.initial
        self._set(limit)

    @property
    def fixed(self) -> bool:
        """Whether the limit stays where it is."""
        return self._fixed

    def acquire(self, weight_share: float = 1.0) -> bool:
        """Let a call in, or return False. Who was let in is released exactly once."""
        others = self.in_flight
        if others >= self.limit * weight_share:
            self.refused += 1
            return False
        self.in_flight = others + 1
        if others * 2 >= self.limit:
            self._needed = True
        return True

    def release(self, outcome: Outcome, seconds: float, now: float) -> None:
        """Let a call out that took so long."""
        self.in_flight -= 1
        if self._fixed:
            return
        if outcome is SUCCESS:
            self._count = count = self._count + 1
            if count > 0:
                self._sum_s += seconds
                if count >= self._enough:
                    self._judge(self._sum_s / count, now)
        elif outcome is FAILURE and seconds > self._half_s * TOLERANCE:
            self._drop()

    def _drop(self) -> None:
        """Take many timeouts for a sign; those that were under way with them are the same sign."""
        if self._count < 0:
            self._count += 1
            return
        self._timeouts += 1
        ended = self._count + self._timeouts
        if self._timeouts < max(LEAST_TIMEOUTS, ended * TIMED_OUT):
            return
        limit = self._before[0] if self._before else self.limit
        self._set(max(self._config.minimum, limit * DROP_FACTOR))

    def _judge(self, each_s: float, now: float) -> None:
        """Decide what follows from how long an answer took."""
        half_s = self._half_s
        if self._before is not None:
            self._conclude(*self._before, each_s, now)
        elif not self._needed:
            weight = FASTER_WEIGHT if each_s < half_s else SLOWER_WEIGHT
            self._half_s += (each_s - half_s) * (weight if half_s else 1.0)
            self._set(self.limit)
        elif self.limit <= self._config.minimum:  # there is no half of it
            self._half_s = each_s
            self._grow()
        elif each_s > half_s * TOLERANCE or now >= self._trial_at:
            self._set(max(self.limit / 2, self._config.minimum), before=(self.limit, each_s))
        else:
            self._half_s += min(each_s - half_s, 0.0) * FASTER_WEIGHT
            self._grow()

    def _conclude(self, limit: float, each_s: float, half_s: float, now: float) -> None:
        """End a trial: go back to `limit`, or to as many as are enough."""
        if each_s > half_s * TOLERANCE:
            all_waited = each_s > half_s * limit / self.limit * ALL_WAITING
            limit = self._proven = max(limit * half_s / each_s, self.limit)
            self._half_s = 0.0 if all_waited else half_s
            again_s = FIRST_TRIAL * each_s
        else:
            self._half_s = half_s
            again_s = max(self._trial_after_s * 2, FIRST_TRIAL * each_s)
        self._trial_after_s = min(again_s, LAST_TRIAL_S)
        self._trial_at = now + self._trial_after_s
        self._set(limit)

    def _grow(self) -> None:
        self._proven = max(self._proven, self.limit)
        more = min(self.limit + math.sqrt(self.limit), self._config.maximum)
        self._set(max(more, self.limit * 2 if self.limit * 2 <= self._proven else 0.0))

    def _set(self, limit: float, *, before: tuple[float, float] | None = None) -> None:
        """Have a limit, and look at the calls that come in from now on."""
        self.limit, self._before = limit, before
        self._count, self._sum_s = -self.in_flight, 0.0  # those under way are of before
        self._timeouts = 0
        self._needed = self.in_flight * 2 > limit
        self._enough = min(max(limit, LEAST_SAMPLES), MOST_SAMPLES)
