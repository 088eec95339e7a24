"""Which alerts are sent, and which are only counted: the pure half of alerting.

Of alerts about the same user for the same reason the first is sent at once. Those that follow
within a window are counted, and told together at its end. Every sink has a queue of its own with so
many places; when they are taken the least severe make way, and are counted, too.
"""

import math
from collections import OrderedDict
from heapq import heapify, heappop, heappush
from itertools import count, islice
from typing import NamedTuple

import msgspec

from inferd.services.fraud.vocabulary import RiskLevel


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody should look at."""

    severity: RiskLevel
    #: For programs, e.g. `rule.card_testing`.
    reason: str
    #: For people.
    text: str
    #: Microseconds since 1970.
    at_us: int
    #: Empty where it is about the server itself.
    user_id: str = ""
    transaction_id: str = ""
    decision: str = ""
    risk_score: float = 0.0
    #: How many alike there were after the one before; 0: it is the first.
    more: int = 0

    def __repr__(self) -> str:
        return f"Alert({self.severity.name}, {self.reason}, {self.user_id}, +{self.more})"


def alarming(level: RiskLevel, least: RiskLevel) -> bool:
    """Return whether a decision is an alert: of high risk always, below that as one likes."""
    return level >= min(least, RiskLevel.HIGH)


class _Watched(NamedTuple):
    until: float
    #: The last one that was counted; None: only the first has come.
    last: Alert | None
    more: int


class Window:
    """Tells first alerts from repetitions. `now` is in monotonic seconds."""

    def __init__(self, window_s: float, *, most: int) -> None:
        """Count the alerts of so many users and reasons at once, at most."""
        self._window_s = window_s
        self._most = most
        #: In the order in which their windows end.
        self._watched: OrderedDict[tuple[str, str], _Watched] = OrderedDict()
        #: Alerts that were only counted.
        self.repeated = 0

    def __len__(self) -> int:
        return len(self._watched)

    @property
    def wake_at(self) -> float:
        """When a window ends; infinite if there is none."""
        return next(iter(self._watched.values())).until if self._watched else math.inf

    def take(self, alert: Alert, now: float) -> list[Alert]:
        """Return what is to be sent now that there is this alert."""
        if not self._window_s:
            return [alert]
        due = self.due(now)
        key = (alert.user_id, alert.reason)
        there = self._watched.get(key)
        if there is not None:
            self.repeated += 1
            # The worst of them, and of those the latest.
            worst = alert if there.last is None else max(alert, there.last, key=_severity)
            self._watched[key] = there._replace(last=worst, more=there.more + 1)
            return due
        if len(self._watched) >= self._most:
            due += self._ended()
        self._watched[key] = _Watched(now + self._window_s, None, 0)
        return [*due, alert]

    def due(self, now: float) -> list[Alert]:
        """Return what is told of windows that have ended."""
        due = list[Alert]()
        while self._watched and self.wake_at <= now:
            due += self._ended()
        return due

    def rest(self) -> list[Alert]:
        """End all windows."""
        return self.due(math.inf)

    def _ended(self) -> list[Alert]:
        _, (_, last, more) = self._watched.popitem(last=False)
        return [] if last is None else [msgspec.structs.replace(last, more=more)]


class Queue:
    """Alerts that wait for one sink, in the order in which they came."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._numbers = count()
        self._waiting: OrderedDict[int, Alert] = OrderedDict()
        #: The same by severity, the least first; also some that have left.
        self._least: list[tuple[int, int]] = []
        #: Alerts for which there was no room.
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, alert: Alert) -> None:
        """Add an alert; if there is no room, the least severe goes, and of those the oldest."""
        number = next(self._numbers)
        self._waiting[number] = alert
        heappush(self._least, (alert.severity, number))
        if len(self._waiting) > self._most:
            self.dropped += 1
            while self._waiting.pop(heappop(self._least)[1], None) is None:
                pass
        elif len(self._least) > 2 * self._most:
            self._least = [each for each in self._least if each[1] in self._waiting]
            heapify(self._least)

    def peek(self, most: int) -> dict[int, Alert]:
        """Return the first of them, by number."""
        return dict(islice(self._waiting.items(), most))

    def done(self, numbers: dict[int, Alert]) -> int:
        """Let go of alerts that were sent; return how many were still there."""
        return sum(self._waiting.pop(each, None) is not None for each in numbers)

    def drop(self) -> None:
        """Let go of all of them, unsent."""
        self.dropped += len(self._waiting)
        self._waiting.clear()
        self._least.clear()


def _severity(alert: Alert) -> int:
    return alert.severity
