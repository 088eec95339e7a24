"""What is wrong at a proxy, which connections it strikes, and a way to wait for a change."""

import asyncio
from collections.abc import Callable

from inferd.config import faults as config
from inferd.deadline import Clock
from inferd.resilience.faults.injection import Injection
from inferd.resilience.faults.point import FaultPoint


class Weather:
    """The clock and the dice of all connections, and a way to wait until other things are wrong."""

    def __init__(self, clock: Clock, random: Callable[[], float]) -> None:
        self.clock = clock
        self.random = random
        self._changed = asyncio.Event()

    def change(self) -> None:
        """Wake all who wait."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changes_within(self, seconds: float | None) -> bool:
        """Wait so long, or for ever, but only until something changes: then True."""
        changed = self._changed
        try:
            async with asyncio.timeout(seconds):
                await changed.wait()
        except TimeoutError:
            return False
        return True


class Afflicted:
    """The toxics that strike one connection. Each one's dice are rolled once."""

    def __init__(self, point: FaultPoint, weather: Weather) -> None:
        self.point = point
        self.weather = weather
        self._struck: dict[int, bool] = {}

    def of(self, direction: config.Direction) -> list[config.Fault]:
        """Return what strikes that direction now."""
        there = self.point.fault or ()
        self._struck = {each.number: self._strikes(each) for each in there}
        return [
            each.fault
            for each in there
            if self._struck[each.number] and getattr(each.fault, "direction", "") == direction
        ]

    def _strikes(self, injection: Injection) -> bool:
        known = self._struck.get(injection.number)
        if known is None:
            return injection.strikes(self.weather.clock(), self.weather.random)
        return known
