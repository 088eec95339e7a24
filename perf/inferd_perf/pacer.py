"""Waking up on time: the generator's clock.

Event loops round their timers to a millisecond, which is the whole lag a valid run may
have. Linux's timerfd does not: it wakes the loop within tens of microseconds.
"""

import asyncio
import ctypes
import os
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK_CLOEXEC = 0o2004000
_TFD_TIMER_ABSTIME = 1
_NS = 1_000_000_000


class Pacer:
    """Seconds since its creation, and a wait until a point on that scale."""

    def __init__(self) -> None:
        self._start_ns = time.monotonic_ns()

    def now(self) -> float:
        """Return the seconds since the start."""
        return (time.monotonic_ns() - self._start_ns) / _NS

    async def until(self, at_s: float) -> None:
        """Return at `at_s`, or at once when it has passed; others always get a turn."""
        await asyncio.sleep(max(0.0, at_s - self.now()))


class TimerPacer(Pacer):
    """A pacer on a timerfd. `close` it."""

    def __init__(self) -> None:
        super().__init__()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._loop = asyncio.get_running_loop()
        self._woken: asyncio.Future[None] | None = None
        self._loop.add_reader(self._fd, self._wake)

    def close(self) -> None:
        """Give the timer back."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _wake(self) -> None:
        os.read(self._fd, 8)
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def until(self, at_s: float) -> None:
        """Return at `at_s`, or at once when it has passed; others always get a turn."""
        if at_s <= self.now():
            await asyncio.sleep(0)
            return
        at_ns = self._start_ns + round(at_s * _NS)
        self._woken = self._loop.create_future()
        # struct itimerspec: no interval, then the absolute time of the only expiry.
        spec = struct.pack("@4q", 0, 0, at_ns // _NS, at_ns % _NS)
        if self._libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, spec, None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        await self._woken


@contextmanager
def pacing() -> Iterator[Pacer]:
    """Lend the best pacer of this platform to the running loop."""
    if sys.platform != "linux":
        yield Pacer()
        return
    pacer = TimerPacer()
    try:
        yield pacer
    finally:
        pacer.close()
