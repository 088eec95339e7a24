"""Writes to a journal as fast as it can, and says what is safe, until somebody kills it.

python -m support.auditing always /tmp/audit
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import NoReturn

from inferd.cache.journal.chain import Entry
from inferd.cache.journal.journal import Journal
from inferd.config.journal import Journal as Settings

CALLERS = 8
WALL_CLOCK = time.time


async def _write(journal: Journal, caller: int) -> NoReturn:
    number = 0
    while True:
        id = f"{caller}:{number}"
        seq = await journal.append(Entry("assessment", id, 0, b'{"x":1}'), once=True)
        sys.stdout.write(f"{seq} {id}\n")
        sys.stdout.flush()
        number += 1


async def main() -> None:
    """Have several callers write."""
    fsync, where = sys.argv[1:]
    settings = Settings.model_validate(
        {"path": Path(where), "server": "one", "fsync": fsync, "segment_bytes": 20_000}
    )
    journal = Journal(settings, wall_clock=WALL_CLOCK)
    await asyncio.gather(*(_write(journal, caller) for caller in range(CALLERS)))


if __name__ == "__main__":
    asyncio.run(main())
