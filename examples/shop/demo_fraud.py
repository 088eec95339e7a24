"""Fraud decisions as they happen: days of the shop's payments in seconds, and Redis dies meanwhile.

    make demo-fraud

Starts Redis and a server, has the server hear what happened before, and asks it about payments as
they come; the time of day is the shop's (`hurried`). Half-way Redis is killed, and started again
with what it had. At the end: how right the decisions were, how late, and whether all are on record.
"""

import argparse
import asyncio
import heapq
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Final

import numpy as np

from inferd.v1 import fraud_pb2 as pb
from inferd_client import AsyncClient, HedgePolicy, InferdError, RetryPolicy
from shop import paying, sinks
from shop.clock import BEGIN, DAY, S
from shop.deciding import CONFIG
from shop.events import Json
from shop.hurried import Hurried
from shop.vectors import COUNTED
from shop.world import SEED, World

METHOD = "/inferd.v1.FraudService/AssessTransaction"
PATIENCE_S: Final = 0.1
"""How long a payment waits for its decision."""
START_S, STOP_S = 30.0, 20.0
#: Only what can be asked again is worth asking for twice, and here is nobody to ask.
ONCE, UNHEDGED = RetryPolicy(max_attempts=1), HedgePolicy(max_attempts=1)
BATCH: Final = 500

_ADDRESS = re.compile(r"^  gRPC +(\S+:\d+)$")
_READY = re.compile(r"^  grpcurl .* list$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of one payment."""

    is_fraud: bool
    latency_s: float
    #: None: nothing, or nothing in time.
    assessment: pb.Assessment | None


@dataclass(slots=True)
class Seen:
    """All that was answered."""

    all: list[Answered] = field(default_factory=list)
    #: Up to here it is in the table.
    told: int = 0


class Redis:
    """Redis on a socket of its own, which keeps what it is told over its death."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "redis.sock"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_up(self) -> bool:
        """Whether it has been started, and not killed."""
        return self._process is not None

    def start(self) -> None:
        """Start it. It takes a moment until it answers."""
        self._process = subprocess.Popen(
            [
                *("redis-server", "--port", "0", "--unixsocket", str(self.socket)),
                *("--save", "", "--appendonly", "yes", "--appendfsync", "no"),
                *("--dir", str(self._directory), "--logfile", "redis.log"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def serving(
    directory: Path, redis: Redis, config: Path, settings: Mapping[str, object]
) -> Iterator[str]:
    """Run a server, and yield its address. Raises `RuntimeError` if it does not start.

    `settings` go over the configuration, by their keys as the environment has them.
    """
    log = directory / "server.log"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("INFERD_")}
    settings = {
        "SERVER__TRANSPORT": "grpcio",
        "REDIS__URL": f"unix://{redis.socket}",
        "FEATURES__STORE": "redis",
        **settings,
    }
    environment |= {f"INFERD__{key}": str(value) for key, value in settings.items()}
    ports = ("--port", "0", "--http-port", "0")
    command = [sys.executable, "-m", "shop.hurried", str(directory / "clock"), "serve"]
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*command, "--config", str(config), *ports],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
            text=True,
            start_new_session=True,
        )
    try:
        yield address_of(process, log)
    finally:
        process.terminate()
        killer = threading.Timer(STOP_S, process.kill)
        killer.start()
        process.wait()
        killer.cancel()
        assert process.stdout is not None
        process.stdout.close()


def address_of(process: "subprocess.Popen[str]", log: Path) -> str:
    """Return the address that a server announces. Raises `RuntimeError` if it does not start."""
    # Reading blocks until there is a line or an end; the watchdog makes an end.
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    assert process.stdout is not None
    try:
        return _announced(process.stdout)
    except EOFError:
        text = f"the server did not start:\n{log.read_text(errors='replace')}"
        raise RuntimeError(text) from None
    finally:
        watchdog.cancel()


def _announced(lines: Iterable[str]) -> str:
    """Return the address that is announced. Raises `EOFError` if there is none."""
    found = ""
    for line in lines:
        if matched := _ADDRESS.match(line):
            found = matched[1]
        if found and _READY.match(line):
            return found
    raise EOFError


@dataclass(frozen=True, slots=True)
class Plot:
    """What happens: first what is only heard, then what is decided on."""

    before: Sequence[Json]
    during: Sequence[Json]
    frauds: frozenset[str]
    from_us: int
    #: How many times as fast as it was.
    speed: float

    @classmethod
    def of(cls, world: World, *, begin: float, end: float, seconds: float) -> "Plot":
        """Have the days from `begin` to `end` pass in so many seconds."""
        first, last = (round(BEGIN + day * DAY) for day in (begin, end))
        counted = (each for each in world.events() if each["event_type"] in COUNTED)
        merged = heapq.merge(counted, world.outcomes(), key=lambda each: str(each["timestamp"]))
        happened = [*takewhile(lambda each: paying.time_us(each) < last, merged)]
        cut = sum(paying.time_us(each) < first for each in happened)
        frauds = frozenset(each["id"] for each in world.truth() if each["fraud"])
        return cls(happened[:cut], happened[cut:], frauds, first, (last - first) / S / seconds)


class Demo:
    """Asks about payments when they are due, and tells what is answered."""

    def __init__(self, plot: Plot, redis: Redis, server: sinks.Server, client: AsyncClient) -> None:
        self._plot = plot
        self._redis = redis
        self._server = server
        self._client = client
        self._seen = Seen()
        self._lost = 0
        self._began = 0.0

    async def run(self, seconds: float, down_s: float) -> list[Answered]:
        """Have it all happen, Redis killed for `down_s` in the middle; return what was answered."""
        self._began = time.monotonic()
        print(_HEAD)
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(self._tell())
            dying = tasks.create_task(self._die(at_s=(seconds - down_s) / 2, down_s=down_s))
            async with asyncio.TaskGroup() as asking:
                for event in self._plot.during:
                    due_s = (paying.time_us(event) - self._plot.from_us) / S / self._plot.speed
                    await asyncio.sleep(max(0.0, due_s - self._now_s()))
                    happens = self._pays if event["event_type"] == "transaction" else self._heard
                    asking.create_task(happens(event))
            await dying
            telling.cancel()
        self._row()
        if self._lost:
            print(f"{self._lost} logins and outcomes could not be recorded")
        return self._seen.all

    def _now_s(self) -> float:
        return time.monotonic() - self._began

    async def _pays(self, event: Json) -> None:
        request = pb.AssessTransactionRequest(transaction=paying.transaction(event))
        began, assessment = time.monotonic(), None
        try:
            answer = await self._client.call(METHOD, request, pb.Assessment, timeout_s=PATIENCE_S)
            assessment = answer.message
        except InferdError:
            pass  # it is counted as unanswered
        latency_s = time.monotonic() - began
        is_fraud = event["id"] in self._plot.frauds
        self._seen.all.append(
            Answered(is_fraud=is_fraud, latency_s=latency_s, assessment=assessment)
        )

    async def _heard(self, event: Json) -> None:
        try:
            counts = await asyncio.to_thread(self._server.send, [event])
        except sinks.Refused:
            self._lost += 1
        else:
            self._lost += counts["failed"]

    async def _die(self, *, at_s: float, down_s: float) -> None:
        await asyncio.sleep(at_s)
        self._redis.kill()
        print("---- Redis is killed")
        await asyncio.sleep(down_s)
        self._redis.start()
        print("---- Redis is started again")

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._row()

    def _row(self) -> None:
        new = self._seen.all[self._seen.told :]
        self._seen.told = len(self._seen.all)
        if not new:
            return
        decisions = Counter(_decision(each) for each in new)
        latencies = np.array([each.latency_s for each in new]) * 1000
        without = Counter(
            it.stage for each in new if each.assessment for it in each.assessment.degradations
        )
        told = ", ".join(f"{stage} {count}" for stage, count in sorted(without.items()))
        p50, p99 = np.quantile(latencies, (0.5, 0.99))
        counts = " ".join(f"{decisions[name]:9}" for name in _DECISIONS)
        up = "up" if self._redis.is_up else "down"
        print(f"{self._now_s():4.0f} {len(new):8} {counts} {p50:7.1f} {p99:7.1f}  {up:5}  {told}")


_DECISIONS = ("APPROVE", "CHALLENGE", "REVIEW", "BLOCK", "none")
_HEAD = (
    f"{'s':>4} {'payments':>8} {' '.join(f'{name:>9}' for name in _DECISIONS)}"
    f" {'p50 ms':>7} {'p99 ms':>7}  Redis  without"
)


def _decision(answered: Answered) -> str:
    if answered.assessment is None:
        return "none"
    return pb.Assessment.Decision.Name(answered.assessment.decision)


def summary(answered: Sequence[Answered]) -> str:
    """Return how right and how late decisions were."""
    told = [each for each in answered if each.assessment is not None]
    informed = [
        each
        for each in told
        if each.assessment and each.assessment.basis != pb.Assessment.CONSERVATIVE
    ]
    latencies = np.array([each.latency_s for each in answered]) * 1000
    return "\n".join(
        [
            f"{len(answered)} payments, {sum(it.is_fraud for it in answered)} of them fraud;"
            f" {len(answered) - len(told)} without a decision in {PATIENCE_S * 1000:g} ms",
            f"all decisions:            {_rightness(told)}",
            f"those with all they need: {_rightness(informed)}"
            f" ({len(told) - len(informed)} others are conservative)",
            f"p50 {np.quantile(latencies, 0.5):.1f} ms, p99 {np.quantile(latencies, 0.99):.1f} ms",
        ]
    )


def _rightness(told: Sequence[Answered]) -> str:
    cared = [each for each in told if _decision(each) != "APPROVE"]
    right = sum(each.is_fraud for each in cared)
    frauds = sum(each.is_fraud for each in told)
    return f"precision {_share(right, len(cared))}, recall {_share(right, frauds)}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2f} ({part} of {whole})" if whole else "unknown (0 of 0)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Show it, and return whether all decisions are on record: 0 if they are."""
    parser = argparse.ArgumentParser(description="Show fraud decisions as they happen.")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--down", type=float, default=4.0, help="for how long Redis is away")
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--from-day", type=float, default=21.0, help="from here on it is decided")
    parser.add_argument("--days", type=float, default=1.0, help="how much of it")
    parser.add_argument("--seed", type=int, default=SEED + 1)
    asked = parser.parse_args(arguments)
    end = asked.from_day + asked.days
    world = World.generate(asked.seed, max(7, int(end) + 1), users=asked.users)
    plot = Plot.of(world, begin=asked.from_day, end=end, seconds=asked.seconds)
    # Whoever ends this ends what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="inferd-demo-")))
        redis = Redis(directory)
        stack.callback(redis.kill)
        redis.start()
        clock = Hurried.made(directory / "clock", from_s=plot.from_us / S, speed=plot.speed)
        settings = {
            "FRAUD__IDEMPOTENCY__STORE": "redis",
            "FRAUD__AUDIT__PATH": directory / "audit",
        }
        with (
            serving(directory, redis, CONFIG, settings) as address,
            sinks.to_server(address) as server,
        ):
            print(f"{address} hears {len(plot.before)} payments, logins and outcomes", flush=True)
            for number in range(0, len(plot.before), BATCH):
                server.send(plot.before[number : number + BATCH])
            clock.start()
            answered = asyncio.run(_shown(plot, redis, server, address, asked))
        print(summary(answered), flush=True)
        verify = ("audit", "verify", "--path", str(directory / "audit"))
        return subprocess.run([sys.executable, "-m", "inferd", *verify], check=False).returncode


async def _shown(
    plot: Plot, redis: Redis, server: sinks.Server, address: str, asked: argparse.Namespace
) -> list[Answered]:
    async with AsyncClient(address, retry=ONCE, hedge=UNHEDGED) as client:
        demo = Demo(plot, redis, server, client)
        async with asyncio.timeout(2 * asked.seconds + START_S):
            return await demo.run(asked.seconds, asked.down)


if __name__ == "__main__":
    sys.exit(main())
