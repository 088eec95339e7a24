"""What a call leaves behind that only the garbage collector can free, when it wants.

The collector counts the whole process, so what was there before is frozen: it stays out of the
count even if it becomes garbage meanwhile. Other threads may still leave something while this
counts, but not in every round; a call that leaves garbage leaves it in each.
"""

import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

ROUNDS = 3
TIMES = 5


@contextmanager
def without_collector() -> Iterator[None]:
    """Let nothing be freed by the garbage collector for as long as the block lasts."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def garbage_left_by(act: Callable[[], Awaitable[None]]) -> int:
    """Return how many objects the collector finds after `act`, in the best of several rounds.

    The first `act` does not count: it makes what is made once.
    """
    await act()
    with without_collector():
        gc.freeze()
        try:
            return min([await _round(act) for _ in range(ROUNDS)])
        finally:
            gc.unfreeze()


async def _round(act: Callable[[], Awaitable[None]]) -> int:
    for _ in range(TIMES):
        await act()
    return gc.collect()
