"""Threads by name for whoever looks from outside: `top -H`, `ps -T`, a profiler."""

import contextlib
import threading
from pathlib import Path

#: What the kernel keeps of a name.
MAX_BYTES = 15


def name_this_thread(name: str) -> None:
    """Give the calling thread a name that the operating system shows, where it can."""
    comm = Path(f"/proc/self/task/{threading.get_native_id()}/comm")
    with contextlib.suppress(OSError):
        comm.write_bytes(name.encode()[:MAX_BYTES])
