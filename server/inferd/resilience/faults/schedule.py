"""Faults that come by themselves: a schedule, from the server's start."""

import asyncio
import logging
from collections.abc import Iterable

from inferd.config.faults import Scheduled
from inferd.errors import InferdError
from inferd.resilience.faults.points import FaultPoints

log = logging.getLogger(__name__)


async def follow(schedule: Iterable[Scheduled], points: FaultPoints) -> None:
    """Inject every fault when its time comes, also where there is no such point yet."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for each in sorted(schedule, key=lambda each: each.at_s):
        await asyncio.sleep(began + each.at_s - loop.time())
        try:
            points.inject(each.point, each.fault, ahead=True)
        except InferdError as error:  # no reason to leave out the others
            log.warning("faults.schedule, at %g s: %s", each.at_s, error)
