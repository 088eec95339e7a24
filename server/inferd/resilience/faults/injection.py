"""A fault that was injected: where, whether it is there at the moment, and whom it strikes.

The times are decided purely. Beside that it has what ends with the fault: those who hang, and
memory that is held.
"""

import asyncio
import math
import threading
from collections.abc import Callable

from inferd.config.faults import Fault

MIB = 1024 * 1024
CHUNK_MIB = 4
"""What one strike of memory pressure takes: to fill more than that takes milliseconds."""
LOOK_S = 0.005
"""How often somebody who hangs on a thread looks whether he may stop."""


class Injection:
    """One fault at one place. Times are monotonic seconds."""

    def __init__(self, number: int, place: str, fault: Fault, began: float) -> None:
        self.number = number
        #: A point's name, or the beginning of several, and `*`.
        self.place = place
        self.fault = fault
        self.began = began
        #: How often it struck.
        self.struck = 0
        self._ended = asyncio.Event()
        self._ended_for_threads = threading.Event()
        self._memory: list[bytes] = []

    def __repr__(self) -> str:
        return f"fault {self.number} at {self.place}: {self.fault.kind} {self.parameters()}"

    def parameters(self) -> dict[str, object]:
        """Return what was said about it, besides its kind."""
        return self.fault.model_dump(exclude={"kind"}, exclude_unset=True)

    def is_for(self, name: str) -> bool:
        """Whether it concerns the point of that name.

        `a` is for `a#1`, too, which is one of several; `a*` for all that begin so, but for none
        below them: an instance is `m#1` as one of its model's, and `m/2#1` as one of its version's.
        """
        if self.place.endswith("*"):
            begins = self.place[:-1]
            return name.startswith(begins) and "/" not in name[len(begins) :]
        return name == self.place or name.startswith(f"{self.place}#")

    def remaining_s(self, now: float) -> float:
        """Return how long it will last; infinity, if until it is cleared."""
        for_s = self.fault.for_s
        return math.inf if for_s is None else max(0.0, self.began + for_s - now)

    def on(self, now: float) -> bool:
        """Whether it is there: not over, and not in a pause."""
        return self.remaining_s(now) > 0 and self._turns(now) % 2 == 0

    def changes_in_s(self, now: float) -> float:
        """Return when to look again whether it is there."""
        flap_s = self.fault.flap_s
        turn_s = math.inf if flap_s is None else self.began + (self._turns(now) + 1) * flap_s - now
        return min(self.remaining_s(now), turn_s)

    def _turns(self, now: float) -> int:
        """Return how often it came or went."""
        flap_s = self.fault.flap_s
        return 0 if flap_s is None else int((now - self.began) / flap_s)

    def strikes(self, now: float, random: Callable[[], float]) -> bool:
        """Whether it strikes somebody who passes now; counted."""
        if not self.on(now) or (self.fault.share < 1 and random() >= self.fault.share):
            return False
        self.struck += 1
        return True

    def begin(self) -> None:
        """Let those hang who pass from now on."""
        self._ended.clear()
        self._ended_for_threads.clear()

    def end(self) -> None:
        """Let go whoever hangs, and what is held."""
        self._ended.set()
        self._ended_for_threads.set()
        self._memory.clear()

    async def hang(self) -> None:
        """Return when the fault ends."""
        await self._ended.wait()

    def hang_on_thread(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Return when the fault ends, after so many seconds, or soon after `stopped()`."""
        while seconds > 0 and not stopped():
            if self._ended_for_threads.wait(min(seconds, LOOK_S)):
                return
            seconds -= LOOK_S

    def hold(self, mib: int) -> None:
        """Take some more memory, as long as that is not more than so much."""
        held = sum(map(len, self._memory)) // MIB
        if (more := min(CHUNK_MIB, mib - held)) > 0:
            self._memory.append(b"\x01" * (more * MIB))  # zeros would not be there until read
