"""How long a batch waits for its turn where several models share the cores.

An instance may be idle and yet nothing can run: others do. That is a part of what a batch
costs, and whoever forecasts must reckon with it.
"""

#: The weight of the last batch.
FORGETTING = 0.1


class Turns:
    """The seconds that batches waited for a core of late, on average."""

    __slots__ = ("_since", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since: float | None = None

    def hold(self, now: float) -> None:
        """Note that the next batch waits, from now on if not already."""
        if self._since is None:
            self._since = now

    def go(self, now: float) -> None:
        """Note that it leaves."""
        waited = 0.0 if self._since is None else now - self._since
        self._since = None
        self.seconds += FORGETTING * (waited - self.seconds)

    def give_up(self) -> None:
        """Note that nobody waits any more."""
        self._since = None
