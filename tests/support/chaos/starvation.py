"""How long the server's event loop wanted to run and had no core, by the kernel's own books.

A machine that has other things to do makes every server late, and no server can help it. What
others take is not in any of the server's books; the kernel counts it for each thread. (The server's
own threads, the generator and Redis are among the others: on two cores that is a little.)
"""

import threading
import time
from bisect import bisect
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOOK_S = 0.005
EVENT_LOOP = "event loop"
"""What its thread is called where it is not the process's first."""


class Starvation:
    """What was seen: when a wait ended, and how long all until then took together."""

    def __init__(self) -> None:
        self._at: list[float] = []
        self._sum_s: list[float] = []
        #: The longest wait.
        self.most_s = 0.0

    def saw(self, now: float, waited_s: float) -> None:
        """Note how long it has waited so far, all in all."""
        if self._sum_s:
            self.most_s = max(self.most_s, waited_s - self._sum_s[-1])
        self._at.append(now)
        self._sum_s.append(waited_s)

    def between(self, begin: float, end: float) -> float:
        """Return how long it waited in that time, to the looks before and after it."""
        first = max(0, bisect(self._at, begin) - 1)
        last = min(len(self._at) - 1, bisect(self._at, end))
        return self._sum_s[last] - self._sum_s[first] if self._sum_s else 0.0


@contextmanager
def watching(pid: int) -> Iterator[Starvation]:
    """Watch a server's event loop for as long as the block lasts."""
    schedule, starvation, over = _event_loop(pid) / "schedstat", Starvation(), threading.Event()

    def watch() -> None:
        with suppress(OSError):  # it has ended
            while not over.wait(LOOK_S):
                waited_ns = int(schedule.read_text().split()[1])
                starvation.saw(time.monotonic(), waited_ns / 1e9)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield starvation
    finally:
        over.set()
        watcher.join()


def _event_loop(pid: int) -> Path:
    """Return the thread of that name that has worked most; else the first one."""
    threads = [
        each
        for each in Path(f"/proc/{pid}/task").iterdir()
        if (each / "comm").read_text().strip() == EVENT_LOOP
    ]
    if not threads:
        return Path(f"/proc/{pid}/task/{pid}")
    return max(threads, key=lambda each: int((each / "schedstat").read_text().split()[0]))
