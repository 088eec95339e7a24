"""How long an answer takes from the end of its run to its caller.

A batch that is done is not yet answered: its members are encoded and sent one after the other,
by an event loop that has others to serve as well, and then the transport has them. On an idle
server that is nothing; on a busy one it is milliseconds, and a batch that ends just in time
comes too late for all of its members. So it is kept back from every deadline, as it has been
of late.
"""

#: The weight of the last batch, where it took less than the others; a longer one counts at once.
FORGETTING = 0.1
#: Our part of the way is measured. The transport's, in and out, is taken to be as long.
LEGS = 2.0
#: One hiccup must not make every deadline infeasible.
MOST_S = 0.01


class WayHome:
    """The seconds to keep back from a deadline: learnt, between `least_s` and `MOST_S` more."""

    __slots__ = ("_least_s", "_peak_s", "seconds")

    def __init__(self, least_s: float) -> None:
        self._least_s = least_s
        self._peak_s = 0.0
        self.seconds = least_s

    def note(self, seconds: float) -> None:
        """Learn how long the last of a batch waited for its answer to be sent."""
        self._peak_s = max(seconds, self._peak_s + FORGETTING * (seconds - self._peak_s))
        self.seconds = self._least_s + min(LEGS * self._peak_s, MOST_S)

    def relax(self) -> None:
        """Believe half of it: nothing has confirmed it for a while."""
        self._peak_s /= 2
        self.note(self._peak_s)
