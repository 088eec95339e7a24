"""Who is to blame when a call to a model fails: the model, or what this caller keeps asking.

Some inputs make a model fail, and a caller who sends nothing else would open the breaker for
everybody. So whoever has failed a few times in a row, while others were answered, is not
believed any more until one of his calls succeeds. Of callers who have not failed of late nothing
is remembered, so that it costs nothing while all is well.
"""

from collections.abc import Hashable

IN_A_ROW = 3
"""Failed calls in a row, since when others were answered, that are the caller's own fault."""
REMEMBERED = 256
"""Callers whose last call failed. Whoever began to fail first is forgotten first."""


class Blame:
    """Remembers the callers of one model version who only fail."""

    def __init__(self) -> None:
        #: By caller: failed calls in a row, and how many calls of others had been answered then.
        self._failing: dict[Hashable, tuple[int, int]] = {}
        self._answered = 0

    @property
    def nobody(self) -> bool:
        """Whether an answer is no news."""
        return not self._failing

    def answered(self, caller: Hashable) -> None:
        """Note that a call was answered."""
        self._answered += 1
        self._failing.pop(caller, None)

    def is_callers(self, caller: Hashable) -> bool:
        """Note that a call failed, and return whether that says nothing about the model."""
        failed, answered = self._failing.get(caller, (0, self._answered))
        if caller not in self._failing and len(self._failing) >= REMEMBERED:
            del self._failing[next(iter(self._failing))]
        self._failing[caller] = failed + 1, answered
        return failed >= IN_A_ROW and self._answered > answered
