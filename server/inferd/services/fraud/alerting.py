"""Sends alerts, behind everybody's back: raising one takes no time, whatever becomes of it.

Every sink has a queue and a task of its own, so one that is slow or dead holds up no other. What a
sink does not take is offered again, later and later, as long as there is room for it.
"""

import asyncio
import logging
import math
from collections.abc import Coroutine, Mapping
from typing import Any, NamedTuple

import msgspec

from inferd.cache.streams import Record, Sink
from inferd.config.fraud import Alerts as Settings
from inferd.config.fraud import AlertSink
from inferd.deadline import Clock
from inferd.services.fraud.alerts import Alert, Queue, Window, alarming
from inferd.services.fraud.vocabulary import RiskLevel

MOST_AT_ONCE = 50
"""Alerts that a sink is given together."""
BACKOFF_S, BACKOFF_MAX_S = 0.5, 30.0
"""How long a sink that failed is left alone; each further time twice as long."""

log = logging.getLogger(__name__)


class Route(NamedTuple):
    """A sink, and what it is given."""

    sink: Sink
    settings: AlertSink


class Sending:
    """Gives one sink its alerts, as fast as it takes them."""

    def __init__(self, name: str, route: Route) -> None:
        self.name = name
        self.queue = Queue(route.settings.max_waiting)
        #: Alerts that the sink took, and attempts that failed.
        self.sent = self.failures = 0
        self._sink = route.sink
        self._least = RiskLevel[route.settings.least]
        self._timeout_s = route.settings.timeout_ms / 1000
        self._news = asyncio.Event()

    def offer(self, alert: Alert) -> None:
        """Take an alert, if it is for this sink."""
        if alert.severity >= self._least:
            self.queue.put(alert)
            self._news.set()

    async def run(self) -> None:
        """Send what comes, for ever."""
        wait_s = BACKOFF_S
        while True:
            while not self.queue:
                self._news.clear()
                await self._news.wait()
            if await self._send():
                wait_s = BACKOFF_S
            else:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, BACKOFF_MAX_S)

    async def rest(self) -> None:
        """Send what is left, or what the sink takes of it."""
        while self.queue and await self._send():
            pass

    async def close(self) -> None:
        """Count what is left, and close the sink."""
        self.queue.drop()
        await self._sink.close()

    async def _send(self) -> bool:
        """Offer the next alerts; return whether the sink has taken them."""
        alerts = self.queue.peek(MOST_AT_ONCE)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._sink.publish([_record(alert) for alert in alerts.values()])
        except Exception as error:  # whatever it is, there will be other alerts
            self.failures += 1
            why = str(error) or "it takes too long"
            log.warning("alerts cannot be sent to %s: %s", self.name, why)
            return False
        self.sent += self.queue.done(alerts)
        return True


class Alerting:
    """Takes alerts and has them sent. Lives on the event loop."""

    def __init__(self, settings: Settings, routes: Mapping[str, Route], *, clock: Clock) -> None:
        """Send to sinks by name; they are closed with this."""
        self.window = Window(settings.window_s, most=settings.max_tracked)
        self.sendings = {name: Sending(name, route) for name, route in routes.items()}
        #: Alerts that were raised.
        self.raised = 0
        self._least = RiskLevel[settings.least]
        self._close_s = settings.close_s
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to send."""
        self._tasks = [
            asyncio.create_task(each.run(), name=f"alerts to {name}")
            for name, each in self.sendings.items()
        ]

    def wants(self, level: RiskLevel) -> bool:
        """Return whether a decision of this risk is an alert."""
        return alarming(level, self._least)

    def alarm(self, alert: Alert) -> None:
        """Have an alert sent, or counted. Returns at once, and never raises."""
        self.raised += 1
        self._offer(self.window.take(alert, self._clock()))
        self._arm()

    async def close(self) -> None:
        """Send what is left, for so long; then count it. Ends in time, whatever sinks do."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._offer(self.window.rest())
        for last in ("rest", "close"):
            await self._within(*(getattr(each, last)() for each in self.sendings.values()))

    def _offer(self, alerts: list[Alert]) -> None:
        for sending in self.sendings.values():
            for alert in alerts:
                sending.offer(alert)

    def _arm(self) -> None:
        at = self.window.wake_at
        if self._timer is None and at < math.inf:
            wait_s = max(0.0, at - self._clock())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._offer(self.window.due(self._clock()))
        self._arm()

    async def _within(self, *acts: Coroutine[Any, Any, None]) -> None:
        tasks = [asyncio.ensure_future(act) for act in acts]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=self._close_s / 2)
        for task in late:
            task.cancel()
        await asyncio.wait(tasks, timeout=self._close_s / 2)


def _record(alert: Alert) -> Record:
    """Return an alert as it is sent; its key tells it from others, and is the same every time."""
    said = msgspec.to_builtins(alert)
    said["severity"] = alert.severity.name
    key = f"{alert.user_id}:{alert.reason}:{alert.at_us}:{alert.transaction_id}:{alert.more}"
    return Record(key, msgspec.json.encode(said))
