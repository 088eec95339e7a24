"""What a server has: threads, sockets, memory, tasks; and what is left of it when all is over."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.chaos.world import CONNECTIONS, World

ALLOWED = {"threads": (os.cpu_count() or 1) + 4, "files": 3 * CONNECTIONS, "tasks": 7 * CONNECTIONS}
"""How many more there may be than when the server was warm. Python's own threads for what blocks
come as they are needed, and stay. So do connections to Redis, each of which has the proxy in
between; one that Redis has left stays until it is used. What leaks with every call or in every
cell is more than that before long."""
SETTLES_S = 2.0
"""Connections are closed and threads end a little later than whoever needed them."""
MOST_MIB = 48
"""More memory than this, and something grows: a fault lasts a second, and is forgotten."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a process has at one time."""

    threads: int
    files: int
    rss_mib: float
    tasks: int

    def beyond(self, before: "Held") -> Iterator[str]:
        """Yield what is more than before."""
        for what in ("threads", "files", "tasks"):
            had, has = getattr(before, what), getattr(self, what)
            if has > had + ALLOWED[what]:
                yield f"{has} {what}, before it was {had}"
        if self.rss_mib > before.rss_mib + MOST_MIB:
            yield f"{self.rss_mib:.0f} MiB of memory, before it was {before.rss_mib:.0f} MiB"


def held(world: World) -> Held:
    """Look at a server."""
    proc = Path(f"/proc/{world.server.pid}")
    status = (proc / "status").read_text()
    return Held(
        threads=_number(status, "Threads"),
        files=len(list((proc / "fd").iterdir())),
        rss_mib=_number(status, "VmRSS") / 1024,
        tasks=int(world.samples("inferd_tasks")["inferd_tasks"]),
    )


def left_behind(world: World, before: Held) -> list[str]:
    """Return what is more than before, once it has had time to go."""
    ends = time.monotonic() + SETTLES_S
    while (more := list(held(world).beyond(before))) and time.monotonic() < ends:
        time.sleep(0.05)
    return more


def _number(status: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
    assert found is not None, status
    return int(found[1])
