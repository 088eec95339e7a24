"""SIGINT and SIGTERM: the first asks the server to stop, the second does not ask."""

import asyncio
import logging
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Between looks whether a thread is still there.
LOOK_S = 1.0
#: The exit code when Python has died within another program: EX_SOFTWARE.
DIED = 70


class StopSignal:
    """The first SIGINT or SIGTERM ends the wait; the second ends the process."""

    def __init__(self) -> None:
        self._received = asyncio.Event()
        #: Called when the first signal comes.
        self.then: Callable[[], None] = lambda: None

    @property
    def received(self) -> bool:
        """Whether the first signal has come."""
        return self._received.is_set()

    async def wait(self) -> None:
        """Return when the first signal has come."""
        await self._received.wait()

    def receive(self, number: signal.Signals) -> None:
        """Take a signal; on the event loop."""
        if self.received:
            _stop_at_once(number)
        log.info("%s received", signal.Signals(number).name)
        self._received.set()
        self.then()


def received_on_loop() -> StopSignal:
    """Return what the running loop's own signal handlers feed; in the main thread."""
    stop, loop = StopSignal(), asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop.receive, number)
    return stop


def received_by_thread() -> StopSignal:
    """Return what a thread of its own feeds, where the main thread is not Python's.

    The signals must be blocked in every thread. This one also ends the process when the
    thread that calls here, the loop's, has ended: nobody else would notice.
    """
    stop, loop = StopSignal(), asyncio.get_running_loop()
    waiting = threading.Thread(
        target=_wait, args=(stop, loop, threading.get_native_id()), name="signals", daemon=True
    )
    waiting.start()
    return stop


def _wait(stop: StopSignal, loop: asyncio.AbstractEventLoop, loop_thread: int) -> None:
    asked = False
    while _is_alive(loop_thread):
        number = _next_signal()
        if number is None:
            continue
        if asked:  # the loop may be stuck: it is not asked again
            _stop_at_once(number)
        asked = True
        loop.call_soon_threadsafe(stop.receive, number)
    _say("the event loop has died, stopping at once")
    os._exit(DIED)


def _next_signal() -> signal.Signals | None:
    """Wait for a signal, where possible for no longer than `LOOK_S`."""
    if hasattr(signal, "sigtimedwait"):  # macOS has none
        info = signal.sigtimedwait(SIGNALS, LOOK_S)
        # A wait that was interrupted, by a debugger say, may end with a number out of thin air.
        if info is None or info.si_signo not in SIGNALS:
            return None
        return signal.Signals(info.si_signo)
    return signal.Signals(signal.sigwait(SIGNALS))


def _is_alive(thread: int) -> bool:
    return sys.platform != "linux" or Path(f"/proc/self/task/{thread}").exists()


def _stop_at_once(number: signal.Signals) -> NoReturn:
    """End the process without another word to anybody."""
    _say("second signal, stopping at once")
    os._exit(128 + number)


def _say(what: str) -> None:
    if select.select([], [2], [], 0)[1]:  # a full pipe would hold us up
        os.write(2, f"inferd: {what}\n".encode())
