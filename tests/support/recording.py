"""Records events as fast as it can, and says which are safe, until somebody kills it.

python -m support.recording redis unix:///tmp/redis.sock
python -m support.recording sqlite /tmp/features.sqlite
"""

import asyncio
import sys
from pathlib import Path
from typing import NoReturn

from support.aggregates import Desk, over_redis, over_sqlite

USERS = 5
CALLERS = 8


async def _record(desk: Desk, caller: int) -> NoReturn:
    number = 0
    while True:
        user, id = number % USERS, f"{caller}:{number}"
        await desk.record(desk.payment(user, id=id))
        sys.stdout.write(f"{user} {id}\n")
        sys.stdout.flush()
        number += 1


async def main() -> None:
    """Have several callers record."""
    store, where = sys.argv[1:]
    opened = over_redis(where) if store == "redis" else over_sqlite(Path(where))
    async with opened as desk:
        await asyncio.gather(*(_record(desk, caller) for caller in range(CALLERS)))


if __name__ == "__main__":
    asyncio.run(main())
