"""Refresh-ahead of a real cache under Zipf load: what is asked for is there."""

import asyncio
import random
from collections.abc import Sequence

from inferd.cache.blobs import HEAD
from inferd.cache.multilevel import MultiLevel
from inferd.call import Call
from inferd.config.cache import CachePolicy
from inferd.config.precompute import Precompute
from inferd.deadline import NEVER, Deadline
from inferd.features.precompute.refresh import RefreshAhead

CALL = Call("/inferd.v1.FeatureService/Get", arrived=0.0)
ENTITIES = 100
TTL_S = 10.0
READS_PER_S = 20
COST_S = 0.002
SHARE = 0.05


class Text:
    def encode(self, value: str) -> bytes:
        return HEAD + (2**32).to_bytes(8) + value.encode()

    def decode(self, blob: bytes) -> str:
        return blob[len(HEAD) + 8 :].decode()


async def hit_ratio(*, refresh_ahead: bool) -> tuple[float, float]:
    """Return it, and which part of the time the thread worked for refreshes."""
    clock, dice = asyncio.get_running_loop().time, random.Random(3)
    misses, refreshes = 0, 0

    async def missed(call: Call, deadline: Deadline, keys: Sequence[str]) -> Sequence[str]:
        nonlocal misses
        misses += len(keys)
        return keys

    async def refreshed(call: Call, deadline: Deadline, keys: Sequence[str]) -> Sequence[str]:
        nonlocal refreshes
        refreshes += len(keys)
        return keys

    policy = CachePolicy(l1_ttl_s=TTL_S)
    cache: MultiLevel[str] = MultiLevel(
        "computed", policy, [], Text(), clock=clock, random=dice.random
    )
    ahead = RefreshAhead(
        Precompute(top=90, max_cpu_share=SHARE),
        busy=lambda: 0.0,
        clock=clock,
        thread_clock=lambda: refreshes * COST_S,
    )
    cache.on_hit = ahead.watch(cache, refreshed, ttl_s=TTL_S)
    task = asyncio.create_task(ahead.run()) if refresh_ahead else None
    keys = [f"clicks:1:{number}" for number in range(ENTITIES)]
    weights = [1 / rank for rank in range(1, ENTITIES + 1)]
    for read in range(2 * (reads := 2000)):
        if read == reads:  # what is new is missed by anybody
            misses = 0
            began, before = clock(), refreshes
        await cache.get(CALL, NEVER, dice.choices(keys, weights), missed)
        await asyncio.sleep(1 / READS_PER_S)
    if task is not None:
        task.cancel()
    await cache.close()
    return 1 - misses / reads, (refreshes - before) * COST_S / (clock() - began)


async def test_most_reads_of_the_popular_are_hits_within_the_share_that_it_may_take() -> None:
    without, nothing = await hit_ratio(refresh_ahead=False)
    ratio, share = await hit_ratio(refresh_ahead=True)

    assert ratio >= 0.95
    assert without < 0.85
    assert 0 == nothing < share <= SHARE
