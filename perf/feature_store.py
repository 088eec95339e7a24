"""What coalescing is worth: reads of features from Redis, and the same reads one by one.

    .venv/bin/python perf/feature_store.py [--seconds 3]

A Redis of its own on a private socket, rows of 20 features. Many entities at once are read with a
GET each by redis-py (bare bytes), by the store's blobs (bare bytes, too), and by the feature store
(guards, decoding and statuses included). Then many callers read one entity each at the same time,
with and without company. Where rows are at hand, no store is asked. The ways take turns, so that
whatever else the machine does falls on all of them; told are medians, and the median of how many
times faster than the first each was in the same round.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from operator import truediv
from pathlib import Path
from random import Random
from typing import Any

from redis.asyncio import Redis

from inferd import config
from inferd.cache.blobs import Entry
from inferd.cache.connection import client, close
from inferd.cache.local import Local
from inferd.cache.redis_blobs import RedisBlobs
from inferd.call import Call
from inferd.config import resilience
from inferd.config.faults import Faults
from inferd.deadline import Deadline
from inferd.features.definitions import US, Definitions
from inferd.features.near import NearRows
from inferd.features.store import (
    READS,
    READS_GUARDED_AS,
    WRITES,
    WRITES_GUARDED_AS,
    FeatureStore,
)
from inferd.features.values import Lookup, Status
from inferd.features.writing import Limits, Write
from inferd.resilience.faults.points import FaultPoints
from inferd.resilience.toolbox import Toolbox
from inferd.telemetry.statistics import Histogram

BATCH = 200
CALLERS = 50
FEATURES = 20
CALL = Call("/inferd.v1.FeatureService/Get", arrived=0.0)
DECLARED = {
    "entities": [{"name": "user", "id": "int64"}],
    "views": [
        {
            "name": "profile",
            "entity": "user",
            "features": [{"name": f"f{n}", "type": "float64"} for n in range(FEATURES)],
        }
    ],
}

Way = Callable[[], Awaitable[object]]


class OneByOne(RedisBlobs):
    """The same store, without company."""

    def get(self, keys: Sequence[str]) -> Coroutine[Any, Any, Sequence[bytes | None]]:
        """Ask for what this caller asked for, at once."""
        return self._mget(keys)


def a_store(blobs: RedisBlobs, *, near: NearRows | None = None) -> FeatureStore:
    """Return a feature store, guarded as the server's is but for its patience."""
    ample = {"timeout_ms": 10_000.0, "hedge": resilience.Hedge(enabled=False)}
    settings = resilience.Resilience(
        dependencies={READS: READS_GUARDED_AS.model_copy(update=ample)}
    )
    toolbox = Toolbox(settings, FaultPoints(Faults(), time.monotonic), histogram=a_histogram)
    return FeatureStore(
        Definitions.read(DECLARED),
        blobs,
        reads=toolbox.dependency(READS),
        writes=toolbox.dependency(WRITES, WRITES_GUARDED_AS),
        wall_clock=time.time,  # noqa: TID251 - events have times of day
        limits=Limits(65536, 300 * US),
        through=(lambda read: read) if near is None else near.through,
    )


def near_rows() -> NearRows:
    """Return what keeps rows in this process, as the server does."""
    kept: Any = Local(max_entries=100_000)
    return NearRows(kept, ttl_s=600, jitter=0.1, clock=time.monotonic, random=Random(1))


def a_histogram() -> Histogram:
    """Return one of sizes, or of seconds."""
    return Histogram([0.001, 0.01, 1.0, 10.0, 100.0])


async def measured(ways: dict[str, Way], seconds: float) -> None:
    """Print the median that each way takes, and how many times faster than the first it is."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        for name, way in ways.items():
            began = time.perf_counter()
            await way()
            took[name].append((time.perf_counter() - began) * 1000)
    first = next(iter(took.values()))
    for name, each in took.items():
        times = statistics.median(map(truediv, first, each))
        sys.stdout.write(f"  {name:40} {statistics.median(each):7.2f} ms  {times:5.1f}x\n")


async def mgets(redis: Redis) -> int:
    """Return how many MGETs Redis has been told."""
    told = await redis.info("commandstats")
    return int(told.get("cmdstat_mget", {"calls": 0})["calls"])


async def measure(socket: Path, seconds: float) -> None:
    """Print medians and ratios."""
    settings = config.Redis(url=f"unix://{socket}")
    redis, bare = client(settings), client(settings)
    blobs = RedisBlobs(redis, prefix="feat:", sizes=a_histogram())
    apart = RedisBlobs(redis, prefix="feat:", sizes=a_histogram())
    together = a_store(blobs)
    at_hand = a_store(RedisBlobs(redis, prefix="feat:", sizes=a_histogram()), near=near_rows())
    one_by_one = a_store(OneByOne(redis, prefix="feat:", sizes=a_histogram()))
    view = together.definitions.view("profile", field="view")
    now_us = together.now_us()
    rows = [
        together.checked(Write(view, id, now_us, {f"f{n}": id + n / 7 for n in range(FEATURES)}))
        for id in range(BATCH)
    ]
    deadline = Deadline(time.monotonic() + 600)
    await together.set(CALL, deadline, rows)
    lookups = [Lookup(view, id, range(FEATURES)) for id in range(BATCH)]
    theirs = [
        Lookup(one_by_one.definitions.view("profile", field="view"), id, range(FEATURES))
        for id in range(CALLERS)
    ]
    near = [
        Lookup(at_hand.definitions.view("profile", field="view"), id, range(FEATURES))
        for id in range(BATCH)
    ]
    entries: list[Entry] = [row.entry for row in rows]

    async def batch() -> None:
        found = await together.fetch(CALL, deadline, lookups)
        assert found[-1].status is Status.PRESENT

    async def batch_at_hand() -> None:
        await at_hand.fetch(CALL, deadline, near)

    async def gathered(reads: Iterable[Awaitable[object]]) -> None:
        await asyncio.gather(*reads)

    async def gathered_gets() -> None:
        await gathered(bare.get("feat:" + entry.key) for entry in entries)

    async def bare_batch() -> None:
        await apart.get([entry.key for entry in entries])

    async def callers(store: FeatureStore, lookups: Sequence[Lookup]) -> None:
        await gathered(store.fetch(CALL, deadline, [each]) for each in lookups)

    before = await mgets(bare)
    await batch()
    said = await mgets(bare) - before
    assert said == 1, said
    sys.stdout.write(f"{BATCH} entities, {FEATURES} features each: {said} MGET\n")
    await measured(
        {
            "redis-py, a GET each, gathered, bytes": gathered_gets,
            "blobs, bytes": bare_batch,
            "feature store, values": batch,
            "feature store, rows at hand, values": batch_at_hand,
        },
        seconds,
    )
    sys.stdout.write(f"{CALLERS} callers at once, one entity each\n")
    keys = [entry.key for entry in entries[:CALLERS]]
    await measured(
        {
            "redis-py, a GET each, bytes": lambda: gathered(
                bare.get("feat:" + key) for key in keys
            ),
            "blobs, bytes": lambda: gathered(apart.get([key]) for key in keys),
        },
        seconds,
    )
    await measured(
        {
            "feature store, not coalesced, values": lambda: callers(one_by_one, theirs),
            "feature store, values": lambda: callers(together, lookups[:CALLERS]),
            "feature store, rows at hand, values": lambda: callers(at_hand, near[:CALLERS]),
        },
        seconds,
    )
    for each in (blobs, apart):
        await each.close()
    for connected in (redis, bare):
        await close(connected)


def main() -> None:
    """Start Redis and ask it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each comparison")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        socket = Path(directory) / "redis.sock"
        server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", ""],
            cwd=directory,
            stdout=subprocess.DEVNULL,
        )
        try:
            while not socket.exists():
                time.sleep(0.01)
            asyncio.run(measure(socket, given.seconds))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
