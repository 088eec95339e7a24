"""How much earlier than its deadline a request must be forecast to finish, to be let in.

A forecast is right on average, and those who are let in on its word are lost half of the time
that it is wrong. So it learns from them: a little more caution for everyone who was let in
and came too late after all, a little less for everyone who was served, in proportions
that make one in two hundred come too late in the long run (as the margin in `latency`).
"""

#: The share of those who are let in that may come too late.
MISS_RATE = 0.005
#: What one who came too late adds, and the most there can be, as shares of a full batch's time.
STEP, MOST = 0.01, 0.25


class Caution:
    """A share of the time that a full batch takes."""

    __slots__ = ("share",)

    def __init__(self) -> None:
        self.share = 0.0

    def lost(self, requests: int) -> None:
        """So many were let in, and came too late."""
        self.share = min(self.share + STEP * requests, MOST)

    def served(self, requests: int) -> None:
        """So many were let in, and had their answer in time."""
        self.share = max(self.share - STEP * MISS_RATE * requests, 0.0)
