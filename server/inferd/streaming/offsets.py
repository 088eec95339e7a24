"""How far a file is done with, while its lines are finished in any order."""

from collections.abc import Iterable


class Offsets:
    """Knows the place before which every line is done."""

    def __init__(self, done: int) -> None:
        #: All before this byte is done.
        self.done = done
        #: The ends of lines that were handed out, in order, and whether each is done.
        self._handed_out: dict[int, bool] = {}

    def handed_out(self, end: int) -> None:
        """Say that the line which ends there is somebody's."""
        self._handed_out[end] = False

    def finished(self, ends: Iterable[int]) -> None:
        """Say that these lines are done, which may move `done`."""
        for end in ends:
            if end in self._handed_out:
                self._handed_out[end] = True
        for end in [*self._handed_out]:
            if not self._handed_out[end]:
                break
            self.done = end
            del self._handed_out[end]
