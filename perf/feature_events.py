"""What it takes to record events, and to read what they come to.

    .venv/bin/python perf/feature_events.py [--seconds 2]

Events of many users, drawn evenly, in batches of a hundred; a view of eight aggregates over three
windows (10 m, 1 h, 24 h). In this process' memory, and in a Redis of its own on a private socket.
Several callers record at once, so that there is something to be written together. Then entities
are read: those that are at hand, as a server has that records them, and those of another server,
which must decode each. Told are medians over rounds; guards are as the server has them but for
their patience.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from inferd import config
from inferd.cache.blobs import Blobs
from inferd.cache.connection import client, close
from inferd.cache.memory_blobs import MemoryBlobs
from inferd.cache.redis_blobs import RedisBlobs
from inferd.call import Call
from inferd.config import resilience
from inferd.config.faults import Faults
from inferd.deadline import Deadline
from inferd.features.aggregates.aggregator import Aggregator
from inferd.features.aggregates.events import CheckedEvent, EventWrite
from inferd.features.definitions import US, Definitions
from inferd.features.store import READS, READS_GUARDED_AS, WRITES, WRITES_GUARDED_AS
from inferd.features.values import Lookup, Status
from inferd.features.writing import Limits
from inferd.resilience.faults.points import FaultPoints
from inferd.resilience.toolbox import Toolbox
from inferd.telemetry.statistics import Histogram

BATCH = 100
CALLERS = 4
READ = 100
WALL_CLOCK = time.time  # noqa: TID251 - events have times of day
CALL = Call("/inferd.v1.FeatureService/Record", arrived=0.0)
AGGREGATES: Sequence[dict[str, Any]] = [
    {"function": "count", "window": "10m"},
    {"function": "count", "window": "1h"},
    {"function": "count", "window": "24h"},
    {"function": "sum", "of": "amount", "window": "1h"},
    {"function": "mean", "of": "amount", "window": "24h"},
    {"function": "variance", "of": "amount", "window": "24h"},
    {"function": "max", "of": "amount", "window": "24h"},
    {"function": "distinct", "of": "merchant", "window": "1h"},
]
INTEGERS = ("count", "distinct")
DECLARED = {
    "entities": [{"name": "user", "id": "int64"}],
    "events": [
        {
            "name": "payment",
            "fields": [
                {"name": "user", "type": "int64", "required": True},
                {"name": "merchant", "type": "string"},
                {"name": "amount", "type": "float64"},
            ],
        }
    ],
    "views": [
        {
            "name": "spending",
            "entity": "user",
            "events": "payment",
            "features": [
                {
                    "name": f"f{place}",
                    "type": "int64" if each["function"] in INTEGERS else "float64",
                    "aggregate": each,
                }
                for place, each in enumerate(AGGREGATES)
            ],
        }
    ],
}


def an_aggregator(blobs: Blobs) -> Aggregator:
    """Return an aggregator, guarded as the server's is but for its patience."""
    ample = {"timeout_ms": 10_000.0, "hedge": resilience.Hedge(enabled=False)}
    settings = resilience.Resilience(
        dependencies={
            READS: READS_GUARDED_AS.model_copy(update=ample),
            WRITES: WRITES_GUARDED_AS.model_copy(update=ample),
        }
    )
    toolbox = Toolbox(settings, FaultPoints(Faults(), time.monotonic), histogram=a_histogram)
    return Aggregator(
        Definitions.read(DECLARED),
        blobs,
        reads=toolbox.dependency(READS),
        writes=toolbox.dependency(WRITES),
        wall_clock=WALL_CLOCK,
        limits=Limits(65536, 300 * US),
    )


def a_histogram() -> Histogram:
    """Return one of sizes, or of seconds."""
    return Histogram([0.001, 0.01, 1.0, 10.0, 100.0])


class Payments:
    """Events as they come in."""

    def __init__(self, definitions: Definitions, users: int) -> None:
        self._event = definitions.events["payment"]
        self._random = Random(7)
        self._users = users
        self.made = 0

    def next(self, aggregator: Aggregator) -> list[CheckedEvent]:
        """Return a batch of events of just now."""
        now_us = aggregator.now_us()
        random = self._random
        batch = []
        for _ in range(BATCH):
            self.made += 1
            fields = {
                "user": random.randrange(self._users),
                "merchant": f"m{random.randrange(1000)}",
                "amount": random.random() * 100,
            }
            write = EventWrite(self._event, f"e{self.made}", now_us, fields)
            batch.append(aggregator.checked(write))
        return batch


async def recorded(
    aggregator: Aggregator, payments: Payments, seconds: float
) -> tuple[float, float]:
    """Return the events per second that are recorded, and the microseconds that each computes.

    Their check is not counted, and neither is what Redis computes.
    """
    deadline = Deadline(time.monotonic() + 600)
    rates, computed_us = [], []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        batches = [[payments.next(aggregator) for _ in range(5)] for _ in range(CALLERS)]

        async def record(mine: Sequence[Sequence[CheckedEvent]]) -> None:
            for batch in mine:
                await aggregator.record(CALL, deadline, batch)

        events = 5 * BATCH * CALLERS
        began, began_computing = time.perf_counter(), time.process_time()
        await asyncio.gather(*map(record, batches))
        rates.append(events / (time.perf_counter() - began))
        computed_us.append((time.process_time() - began_computing) * 1e6 / events)
    return statistics.median(rates), statistics.median(computed_us)


async def taken_us(what: Callable[[], Awaitable[object]], rounds: int) -> float:
    """Return the median microseconds that something takes."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        await what()
        took.append((time.perf_counter() - began) * 1e6)
    return statistics.median(took)


async def measure(blobs: Blobs, users: int, seconds: float) -> None:
    """Print figures over a store."""
    aggregator = an_aggregator(blobs)
    view = aggregator.definitions.view("spending", field="view")
    payments = Payments(aggregator.definitions, users)
    check_us = await taken_us(checking(payments, aggregator), 20) / BATCH
    rate, computed_us = await recorded(aggregator, payments, seconds)
    lookups = [Lookup(view, user, view.everything) for user in range(READ)]
    deadline = Deadline(time.monotonic() + 600)

    async def read() -> None:
        found = await aggregator.fetch(CALL, deadline, lookups)
        assert any(each.status is Status.PRESENT for each in found)

    async def read_elsewhere() -> None:
        another = an_aggregator(blobs)
        its = another.definitions.view("spending", field="view")
        found = await another.fetch(
            CALL, deadline, [Lookup(its, each.entity_id, its.everything) for each in lookups]
        )
        assert any(each.status is Status.PRESENT for each in found)

    at_hand_us = await taken_us(read, 20) / READ
    elsewhere_us = await taken_us(read_elsewhere, 10) / READ
    kept = await blobs.get([f"{view.prefix}{each.entity_id}" for each in lookups])
    largest = max(len(blob or b"") for blob in kept)
    sys.stdout.write(
        f"  {blobs.name:7} {users:6} users {payments.made / users:7.1f} events each"
        f" at most {largest:5} bytes | check {check_us:4.1f} us,"
        f" record {rate:7.0f} events/s, computing {computed_us:4.1f} us each,"
        f" fetch {at_hand_us:5.1f} us, decoding {elsewhere_us:5.1f} us an entity\n"
    )
    await aggregator.close()


def checking(payments: Payments, aggregator: Aggregator) -> Callable[[], Awaitable[None]]:
    """Return what checks a batch of events."""

    async def check() -> None:
        payments.next(aggregator)

    return check


async def main_of(socket: Path, seconds: float) -> None:
    """Measure both stores, for few users that have many events and for many that have few."""
    redis = client(config.Redis(url=f"unix://{socket}"))
    for users in (100, 1000, 10_000):
        await measure(MemoryBlobs(max_bytes=10**9, clock=time.monotonic), users, seconds)
        blobs = RedisBlobs(redis, prefix=f"{users}:", sizes=a_histogram())
        await measure(blobs, users, seconds)
        await blobs.close()
    await close(redis)


def main() -> None:
    """Start Redis and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line")
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
            asyncio.run(main_of(socket, given.seconds))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
