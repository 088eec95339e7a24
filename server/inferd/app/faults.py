"""Breaking things on purpose, as the configuration says: proxies, and a schedule."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from inferd.config.faults import Faults
from inferd.resilience.faults.points import FaultPoints
from inferd.resilience.faults.proxy import Proxy
from inferd.resilience.faults.schedule import follow


@asynccontextmanager
async def breaking(config: Faults, points: FaultPoints) -> AsyncIterator[None]:
    """Run proxies and the schedule for as long as the block lasts; then nothing is broken.

    Raises `OSError` for a proxy that cannot listen.
    """
    if not config.enabled:
        yield
        return
    dice = random.Random(config.seed).random
    async with AsyncExitStack() as proxies, asyncio.TaskGroup() as tasks:
        for name, settings in config.proxies.items():
            proxy = Proxy(name, settings, points, clock=time.monotonic, random=dice)
            await proxies.enter_async_context(proxy.running())
        following = tasks.create_task(follow(config.schedule, points), name="fault schedule")
        try:
            yield
        finally:
            following.cancel()
            points.clear()  # or threads that hang would keep their models
