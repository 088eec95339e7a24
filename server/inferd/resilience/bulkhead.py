"""How many calls of one service may be under way, so that the others have room.

When it gets crowded, those go first whose callers can do without: each criticality may fill a
part of the whole, and everybody counts against every part. So the last places are for those
who matter most, however many others there are.
"""

import math
from collections import Counter

from inferd.call import Criticality
from inferd.config import resilience as config

ROUNDING = 1e-9
"""A share of so many calls is a whole number up to this."""


class Bulkhead:
    """Counts the calls of a service in and out."""

    __slots__ = ("_caps", "in_flight", "max_calls", "refused", "service")

    def __init__(self, service: str, settings: config.Bulkhead) -> None:
        #: Its full name.
        self.service = service
        self.max_calls = settings.max_calls
        self.in_flight = 0
        #: Calls that were not let in, by criticality.
        self.refused: Counter[str] = Counter()
        shares = {
            Criticality.CRITICAL_PLUS: 1.0,
            Criticality.CRITICAL: settings.critical_share,
            Criticality.SHEDDABLE_PLUS: settings.sheddable_plus_share,
            Criticality.SHEDDABLE: settings.sheddable_share,
        }
        self._caps = {
            each.value: max(math.floor(self.max_calls * share + ROUNDING), 1)
            for each, share in shares.items()
        }

    def __repr__(self) -> str:
        return f"<Bulkhead {self.service} {self.in_flight}/{self.max_calls}>"

    def has_room(self, criticality: str) -> bool:
        """Return whether one more call may enter; if not, count it as refused."""
        if self.in_flight < self._caps[criticality]:
            return True
        self.refused[criticality] += 1
        return False

    def enter(self) -> None:
        """Count a call in."""
        self.in_flight += 1

    def leave(self) -> None:
        """Count it out, however it ended."""
        self.in_flight -= 1
