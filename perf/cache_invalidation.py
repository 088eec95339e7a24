"""How soon one process forgets what another has written: from the write to the other's memory.

    .venv/bin/python perf/cache_invalidation.py [--writes 2000] [--rate 500]

A Redis of its own on a private socket, a process that writes, and a process that has every key in
its memory and listens (`cache.tracking`). Times are of the machine's monotonic clock, which both
processes read: from just before the write is sent until the entry is gone from the other's memory.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from inferd import config
from inferd.cache.blobs import EARLIEST_STAMP, HEAD, Entry
from inferd.cache.connection import client, close
from inferd.cache.local import Local
from inferd.cache.redis_blobs import RedisBlobs
from inferd.cache.tracking import Tracking
from inferd.telemetry.statistics import Histogram

PREFIX = "cache:"


async def listen(url: str, writes: int) -> None:
    """Forget what is written; when all is, tell when each key went."""
    memory: Local[bytes] = Local(max_entries=2 * writes)
    for number in range(writes):
        memory.put(str(number), b"", now=0.0, ttl_s=1e9)
    gone: list[tuple[str, int]] = []
    done = asyncio.Event()

    def forget(keys: Sequence[str]) -> None:
        for key in keys:
            memory.discard(key)
            gone.append((key, time.monotonic_ns()))
        if len(gone) >= writes:
            done.set()

    redis = client(config.Redis(url=url))

    def ready() -> None:
        print("ready", flush=True)

    tracking = Tracking(redis, {PREFIX: forget}, on_flush=ready)
    tracking.start()
    await done.wait()
    for key, at_ns in gone:
        print(key, at_ns)
    sys.stdout.flush()
    await tracking.close()
    await close(redis)


async def write(url: str, writes: int, rate: float) -> dict[str, int]:
    """Write so many keys at that rate, and return when each write was begun."""
    redis = client(config.Redis(url=url))
    blobs = RedisBlobs(redis, prefix=PREFIX, sizes=Histogram([1.0]))
    begun: dict[str, int] = {}
    blob = HEAD + EARLIEST_STAMP.to_bytes(8) + b"\x80"
    for number in range(writes):
        await asyncio.sleep(1 / rate)
        begun[str(number)] = time.monotonic_ns()
        await blobs.put([Entry(str(number), blob, 60.0)])
    await blobs.close()
    await close(redis)
    return begun


def measured(url: str, writes: int, rate: float) -> list[float]:
    """Return how long each write took to be heard of, in milliseconds, in order."""
    listener = subprocess.Popen(
        [sys.executable, __file__, "--listen", url, "--writes", str(writes)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert listener.stdout is not None
    assert listener.stdout.readline() == "ready\n"
    begun = asyncio.run(write(url, writes, rate))
    lines = [listener.stdout.readline().split() for _ in range(writes)]
    listener.wait()
    return sorted((int(at_ns) - begun[key]) / 1e6 for key, at_ns in lines)


def main() -> None:
    """Start Redis and both processes, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writes", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=500.0, help="writes per second, at most")
    parser.add_argument("--listen", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.listen:
        asyncio.run(listen(given.listen, given.writes))
        return
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
            took_ms = measured(f"unix://{socket}", given.writes, given.rate)
        finally:
            server.terminate()
            server.wait()
    cuts = statistics.quantiles(took_ms, n=1000)
    print(f"{given.writes} writes, each forgotten elsewhere after, in ms:")
    print(f"p50 {cuts[499]:.3f}  p99 {cuts[989]:.3f}  p99.9 {cuts[998]:.3f}  max {took_ms[-1]:.3f}")


if __name__ == "__main__":
    main()
