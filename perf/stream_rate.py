"""What `inferd stream` makes of events: how many a second, and how soon after they were written.

    .venv/bin/python perf/stream_rate.py [--events 50000] [--rate 1000] [--seconds 8]

A Redis of its own on a private socket, in and out, and one `inferd stream` process whose model is
`perf/models/mlp_small`: 64 numbers of the event in, one prediction out. First the stream is filled
before the process starts, and what is told is at which rate results came, from the first to the
last by Redis's clock. Then events are written at a fixed rate, whatever becomes of them, and what
is told is how long after an event's own entry its result's was there, by Redis's clock, too.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import redis
import yaml

MODELS = Path(__file__).resolve().parent / "models"
USERS = 5000
WIDTH = 64
#: Written by one command.
FILL = 500


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000, help="in the stream at the start")
    parser.add_argument("--rate", type=float, default=1000.0, help="events a second, then")
    parser.add_argument("--seconds", type=float, default=8.0, help="for so long")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, a_redis(Path(name)) as client:
        config = configured(Path(name))
        fill(client, arguments.events)
        with streaming(config) as process:
            wait_for(client, arguments.events, process)
            told_rate(client)
            client.delete("results")
            asked = paced(client, arguments.rate, arguments.seconds)
            wait_for(client, asked, process)
            told_delays(client, arguments.rate)
    return 0


@contextmanager
def a_redis(directory: Path) -> Iterator["redis.Redis"]:
    """Run a Redis for as long as the block lasts."""
    socket = directory / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    client = redis.Redis(unix_socket_path=str(socket))
    try:
        while not socket.exists():
            time.sleep(0.01)
        yield client
    finally:
        client.close()
        server.terminate()
        server.wait()


def configured(directory: Path) -> Path:
    """Write a configuration, and return where."""
    inputs = [f"data.x{n}" for n in range(WIDTH)]
    config = {
        "repository": {
            "paths": [str(MODELS)],
            "control_mode": "explicit",
            "load_models": ["mlp_small"],
        },
        "redis": {"url": f"unix://{directory}/redis.sock"},
        "stream": {
            "http_port": 0,
            "routes": {"click": {"model": "mlp_small", "inputs": {"input": inputs}, "fallback": 0}},
        },
    }
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def streaming(config: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `inferd stream` for as long as the block lasts."""
    command = [sys.executable, "-m", "inferd", "stream", "--config", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield process
        cpu_s = sum(map(int, Path(f"/proc/{process.pid}/stat").read_text().split()[13:15]))
        print(f"  processor time of the process, start and warm-up included: {cpu_s / 100:.1f} s")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def event(number: int) -> bytes:
    """Return an event as it is written."""
    data = {f"x{n}": round(random.random(), 3) for n in range(WIDTH)}
    return json.dumps(
        {
            "id": f"e{number}-{os.getpid()}",
            "timestamp": datetime.now(UTC).isoformat(),
            "user_id": f"u{number % USERS}",
            "event_type": "click",
            "data": data,
        }
    ).encode()


def fill(client: "redis.Redis", events: int) -> None:
    """Write events as fast as can be."""
    for begin in range(0, events, FILL):
        pipe = client.pipeline(transaction=False)
        for number in range(begin, min(begin + FILL, events)):
            pipe.xadd("events", {"body": event(number)})
        pipe.execute()


def paced(client: "redis.Redis", rate: float, seconds: float) -> int:
    """Write events at a rate, one command each, and return how many."""
    count = round(rate * seconds)
    bodies = [event(10_000_000 + number) for number in range(count)]
    began = time.monotonic()
    for number, body in enumerate(bodies):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        client.xadd("events", {"body": body})
    return count


def wait_for(client: "redis.Redis", results: int, process: "subprocess.Popen[bytes]") -> None:
    """Return when so many results are there. Ends the program if the process has ended."""
    while (there := client.xlen("results")) < results:
        if process.poll() is not None:
            sys.exit("inferd stream has ended")
        time.sleep(0.05 if there else 0.2)


def entries(client: "redis.Redis", stream: str) -> list[tuple[int, bytes]]:
    """Return a stream's entries, each with the milliseconds when it was written."""
    found: Any = client.xrange(stream)
    return [(int(id.split(b"-")[0]), fields[b"body"]) for id, fields in found]


def told_rate(client: "redis.Redis") -> None:
    """Print at which rate results came."""
    found = entries(client, "results")
    took_s = (found[-1][0] - found[0][0]) / 1000
    failed = sum(json.loads(body)["status"] != "ok" for _, body in found)
    print(
        f"{len(found)} events that waited: {len(found) / took_s:,.0f} events/s;"
        f" {failed} not ok; {client.xlen('dead-letters')} letters"
    )


def told_delays(client: "redis.Redis", rate: float) -> None:
    """Print how long after its event each result came."""
    written = {json.loads(body)["id"]: at for at, body in entries(client, "events")}
    results = [(at, json.loads(body)) for at, body in entries(client, "results")]
    delays = [at - written[result["event_id"]] for at, result in results]
    p50, p99, p999 = np.percentile(delays, [50, 99, 99.9])
    failed = sum(result["status"] != "ok" for _, result in results)
    print(
        f"{rate:,.0f} events/s: event to result p50 {p50:.0f} ms, p99 {p99:.0f} ms,"
        f" p99.9 {p999:.0f} ms (whole milliseconds); {failed} of {len(results)} not ok"
    )


if __name__ == "__main__":
    sys.exit(main())
