"""When a call that is not answered yet is sent a second time, and how that moment is learnt.

One slow answer in a hundred is most often slow by accident: a pause, a queue, a lost packet.
The same question asked again is answered at once, so whoever asks again after the time that
19 of 20 answers take has paid for one call in twenty and is rid of most of the tail (Dean and
Barroso, "The Tail at Scale"). Asked too early, or while a server is slow because it has too
much to do, the same thing doubles its load: so every hedge costs a token (`_retry.py`), and
the moment is learnt from what answers take now.

gRPC has hedging in its service config; in Python it is ignored, which is why it is here.
"""

import math
from collections import deque
from dataclasses import dataclass

from inferd_client._retry import require

WINDOW = 128
"""How many of the latest answers the moment is learnt from."""
ENOUGH = 32
"""With fewer answers than this nothing is known about the slowest twentieth."""
REFRESH = 16
"""After how many answers it is worked out again."""
QUANTILE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgePolicy:
    """When a call is sent again because no answer has come. The first good answer wins.

    Only for calls that may be done twice, and within what `RetryPolicy` leaves of tokens:
    sending one takes a token. `HedgePolicy(max_attempts=1)` never hedges.
    """

    #: How long to wait for an answer before the next attempt is sent. None: as long as 19 of
    #: 20 answers to such calls take, learnt from the latest; until they are enough, for ever.
    after_s: float | None = None
    #: All attempts, the first and retries included.
    max_attempts: int = 2

    def __post_init__(self) -> None:
        after_s = 1.0 if self.after_s is None else self.after_s
        require(0 < after_s < math.inf, "after_s must be a finite time above 0")
        require(self.max_attempts >= 1, "max_attempts must be at least 1")


class Latency:
    """How long the answers to one kind of call take: the latest, and the time of 19 in 20.

    Not thread-safe.
    """

    def __init__(self) -> None:
        self._latest: deque[float] = deque(maxlen=WINDOW)
        self._until_refresh = ENOUGH
        #: The 95th percentile in seconds; infinite until enough is known.
        self.p95_s = math.inf

    def answered(self, seconds: float) -> None:
        """Take in how long an answer took."""
        self._latest.append(seconds)
        self._until_refresh -= 1
        if self._until_refresh <= 0:
            self._until_refresh = REFRESH
            ordered = sorted(self._latest)
            self.p95_s = ordered[math.ceil(QUANTILE * len(ordered)) - 1]

    def cut_short(self, seconds: float) -> None:
        """Take in a time after which nobody waited any longer: the answer took more than that.

        Above the percentile it does not matter how much more, and below it says nothing. To
        leave all of these out would make the slow look rare, and the moment come too early.
        """
        if seconds >= self.p95_s:
            self.answered(seconds)
