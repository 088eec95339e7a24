"""Memory that was freed, given back.

The C library keeps what is freed for the next who asks, per arena, and every load has a
thread and so perhaps an arena of its own: without this, a server that replaces its models
ends up with several times what they take. Where there is no glibc, nothing is done.
"""

import ctypes
from collections.abc import Callable


def _trim() -> Callable[[int], object] | None:
    try:
        found: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return found


_malloc_trim = _trim()


def give_back() -> None:
    """Return freed memory to the system. Blocks for milliseconds, without holding the GIL."""
    if _malloc_trim:
        _malloc_trim(0)
