"""How many payments a second can be decided on, beside the same decision written the usual way.

    PYTHONPATH=perf:examples python perf/fraud_load.py [--searches 12] [--seconds 4] [--no-record]

Two systems on this machine: `inferd serve` with `configs/shop/fraud.yaml`, and
`baselines.fraud_plain` with its models in a second server (`baselines/plain.py`). Each has a Redis
of its own, with what the shop's last weeks tell of users, cards, devices and merchants. The load
is an open loop (`openload`) of the payments that came next, each with an id of its own, since a
payment that is known is not decided on again. The people of each round are new to both: what was
learnt in one round is of no use to the next.

A rate holds if every call is answered in time (100 ms), p99 is below 50 ms, and no decision did
without a model or a feature. Rounds take turns, one of each side; the highest rate that holds is
searched by halving, and given up after two rounds that missed it. Then both are offered what the
usual way can take. CPU is that of all processes of a side, Redis aside, per payment.

With `--searches 6 --seconds 2`, on two cores that others used as well: inferd 160 and 200 a second,
the usual way 110 and 110, 1.5 and 1.8 times as much; undisturbed, a payment takes 3.3 to 3.6 ms of
inferd's CPU, and 5.7 to 6.2 of the usual way's. The aim, 3 times, is missed (docs/fraud.md).
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import yaml
from redis import Redis

from fraud_payments import Payments, Round
from inferd.features.definitions import US
from inferd.v1 import fraud_pb2 as pb
from inferd_perf.capacity import Bounds
from inferd_perf.openload import Report, build, parse
from inferd_perf.payload import framed
from inferd_perf.servers import Metrics, free_port

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "configs" / "shop" / "fraud.yaml"
MODELS = ("fraud_network", "fraud_trees", "fraud_unusual")
METHOD = "/inferd.v1.FraudService/AssessTransaction"
FEATURES_PREFIX = "feat:"
DAYS, ASKED = 30, 5000
DEADLINE_MS, P99_MS = 100, 50.0
WARM_UP_S = 0.5
GUESSES = {"inferd": 160.0, "plain": 110.0}
TOLERANCE = 0.08


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a round."""

    rate: float
    report: Report
    #: Decisions that did without something.
    without: float
    cpu_us: float

    @property
    def holds(self) -> bool:
        """Whether nothing was late."""
        it = self.report
        in_time = it.ok is not None and it.in_time == it.calls and it.ok.p99_ms < P99_MS
        return in_time and not self.without

    def __str__(self) -> str:
        it = self.report
        took = f"p50 {it.ok.p50_ms:6.2f}  p99 {it.ok.p99_ms:6.2f} ms" if it.ok else "no answer"
        others = {name: each.count for name, each in it.answers.items() if name != "OK"}
        lag = 0.0 if it.send_lag is None else it.send_lag.p99_ms
        return (
            f"{self.rate:6.0f}/s  {took}  in time {it.in_time}/{it.calls}"
            f"  without {self.without:.0f}  cpu {self.cpu_us:5.0f} us  lag {lag:.2f} ms"
            f"{f'  {others}' if others else ''}{'' if self.holds else '  MISSED'}"
        )


class System:
    """One side: its processes, its port and its Redis."""

    def __init__(self, directory: Path, port: int, redis: "Redis", http_port: int | None) -> None:
        self.name = directory.name
        self.directory = directory
        self.port = port
        self.redis = redis
        self.processes: list[psutil.Process] = []
        self._http_port = http_port

    def cpu_s(self) -> float:
        """Return what its processes have taken."""
        every = [kid for each in self.processes for kid in (each, *each.children(recursive=True))]
        times = [each.cpu_times() for each in every]
        return sum(each.user + each.system for each in times)

    def without(self) -> float:
        """Return how many stages were done without."""
        if self._http_port is None:
            return 0.0
        with urllib.request.urlopen(f"http://127.0.0.1:{self._http_port}/metrics") as answer:
            metrics = Metrics(answer.read().decode())
        unrecorded = metrics.total("inferd_fraud_events_total", became="unrecorded")
        return metrics.total("inferd_degraded_total") + unrecorded

    def fill(self, rows: Sequence[tuple[str, bytes]]) -> None:
        """Have its Redis know these, and nothing else."""
        self.redis.flushall()
        with self.redis.pipeline(transaction=False) as pipeline:
            for key, blob in rows:
                pipeline.set(FEATURES_PREFIX + key, blob)
            pipeline.execute()


@contextmanager
def running(command: Sequence[object], log: Path, **environment: str) -> Iterator[psutil.Process]:
    """Run a process for as long as the block lasts."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
            cwd=log.parent,
        )
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait()


def begun(stack: ExitStack, directory: Path, port: int, http_port: int | None = None) -> System:
    """Start a Redis, and return a system without a server."""
    directory.mkdir()
    socket = directory / "redis.sock"
    words = ("redis-server", "--port", "0", "--unixsocket", socket, "--save", "")
    stack.enter_context(running(words, directory / "redis.log"))
    until(socket.exists, "Redis")
    redis = stack.enter_context(Redis.from_url(f"unix://{socket}"))
    return System(directory, port, redis, http_port)


def until(there: Callable[[], bool], what: str) -> None:
    """Wait for something."""
    for _ in range(600):
        if there():
            return
        time.sleep(0.05)
    raise SystemExit(f"{what} did not start")


def configured(directory: Path, given: argparse.Namespace) -> Path:
    """Write the shop's configuration so that all of it is in a directory, and in Redis."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    there = CONFIG.parent
    config["features"]["definitions"] = str(there / config["features"]["definitions"])
    config["features"]["store"] = "redis"
    repository = directory / "models"
    repository.mkdir()
    for name in MODELS:
        shutil.copytree(ROOT / "model_repository" / name, repository / name)
    config["repository"]["paths"] = [str(repository)]
    config["redis"] = {"url": f"unix://{directory}/redis.sock"}
    fraud = config["fraud"]
    fraud["rules"], fraud["policy"] = str(there / fraud["rules"]), str(there / fraud["policy"])
    fraud["audit"] |= {"path": str(directory / "audit"), "fsync": given.fsync}
    fraud["idempotency"] = {"store": "redis"}
    if not given.record:
        del fraud["transaction_event"]
    path = directory / "fraud.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def inferd(stack: ExitStack, directory: Path, given: argparse.Namespace) -> System:
    """Start inferd."""
    port, http_port = free_port(), free_port()
    system = begun(stack, directory, port, http_port)
    command = (sys.executable, "-m", "inferd", "serve", "--config", configured(directory, given))
    more = ("--port", port, "--http-port", http_port, "--transport", given.transport)
    process = stack.enter_context(running((*command, *more), directory / "server.log"))
    system.processes.append(process)
    return system


def plain(stack: ExitStack, directory: Path, given: argparse.Namespace) -> System:
    """Start the usual way."""
    port, models = free_port(), free_port()
    system = begun(stack, directory, port)
    config = configured(directory, given)
    and_models = ("--models", models)
    script = Path(__file__).parent / "baselines" / "plain.py"
    for log, command in (
        ("models.log", (script, "--repository", directory / "models", "--port", models)),
        (
            "server.log",
            ("-m", "baselines.fraud_plain", *("--config", config, "--port", port), *and_models),
        ),
    ):
        process = stack.enter_context(running((sys.executable, *command), directory / log))
        system.processes.append(process)
    return system


def asked(system: System, requests: Sequence[bytes]) -> list[pb.Assessment]:
    """Ask for decisions, one after the other, and wait for a server that is about to start."""
    with grpc.insecure_channel(f"127.0.0.1:{system.port}") as channel:
        call = channel.unary_unary(METHOD, response_deserializer=pb.Assessment.FromString)
        try:
            return [call(each, timeout=20, wait_for_ready=True) for each in requests]
        except grpc.RpcError as error:
            log = (system.directory / "server.log").read_text()[-2000:]
            raise SystemExit(f"{system.name}: {error.code().name}\n{log}") from error


def compared(systems: Sequence[System], payments: Payments) -> None:
    """See that both decide alike."""
    there = payments.round("same", 300, now_us())
    answers = []
    for system in systems:
        system.fill(there.rows)
        answers.append(asked(system, there.requests))
    pairs = list(zip(*answers, strict=True))
    other = sum(one.decision != two.decision for one, two in pairs)
    apart = sum(abs(one.risk_score - two.risk_score) > 1e-6 for one, two in pairs)
    unasked = sum(not one.model_scores for one, _ in pairs)
    print(
        f"{len(pairs)} payments: {other} decided otherwise by the other, {apart} of other risk,"
        f" {unasked} without a model"
    )


def now_us() -> int:
    """Return the time of day."""
    return round(time.time() * US)  # noqa: TID251 - payments have times of day


def fired(system: System, round: Round, rate: float, given: argparse.Namespace) -> Report:
    """Send payments at a rate."""
    rng = np.random.default_rng(len(round.requests))
    at_ns = np.cumsum(rng.exponential(1e9 / rate, len(round.requests))).astype(np.int64)
    with tempfile.TemporaryDirectory(prefix="inferd-perf-") as name:
        bodies, rows = Path(name, "bodies"), Path(name, "rows")
        bodies.write_bytes(b"".join(map(framed, round.requests)))
        deadline_ns = DEADLINE_MS * 1_000_000
        rows.write_text("".join(f"{at} {at + deadline_ns} {n}\n" for n, at in enumerate(at_ns)))
        words: Mapping[str, object] = {
            "--schedule": rows,
            "--bodies": bodies,
            "--port": system.port,
            "--path": METHOD,
            "--warmup-s": WARM_UP_S,
            "--duration-s": given.seconds,
            "--grace-ms": 100,
        }
        command = [str(build()), *(str(word) for pair in words.items() for word in pair)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return parse(done.stdout)


def measured(
    system: System, payments: Payments, name: str, rate: float, given: argparse.Namespace
) -> Seen:
    """Run a round, and tell of it."""
    count = round(rate * (WARM_UP_S + given.seconds))
    if count > len(payments):
        raise SystemExit(f"there are not enough payments for {rate:.0f}/s")
    there = payments.round(name, count, now_us())
    system.fill(there.rows)
    cpu_s, without = system.cpu_s(), system.without()
    report = fired(system, there, rate, given)
    cpu_us = (system.cpu_s() - cpu_s) / count * 1e6
    seen = Seen(rate, report, system.without() - without, cpu_us)
    print(f"{system.name:<8}{seen}", flush=True)
    return seen


def searched(
    systems: Sequence[System], payments: Payments, given: argparse.Namespace
) -> dict[str, float]:
    """Return the highest rates that hold, by system."""
    bounds = {each.name: Bounds() for each in systems}
    for number in range(given.searches):
        for system in systems:
            known = bounds[system.name]
            rate = known.next_rate(GUESSES[system.name], TOLERANCE)
            if rate is None:
                continue
            seen = measured(system, payments, f"s{number}", rate, given)
            if not seen.holds:
                seen = measured(system, payments, f"t{number}", rate, given)
            bounds[system.name] = known.told(rate, holds=seen.holds)
    return {name: each.held for name, each in bounds.items()}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=12, help="rates of each side, at most")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    parser.add_argument("--rate", type=float, help="one round of each at this rate, and no search")
    parser.add_argument("--side", choices=("inferd", "plain"), help="only this one, with --rate")
    parser.add_argument("--transport", default="grpcio", choices=("grpcio", "envoy"))
    parser.add_argument("--fsync", default="always", choices=("always", "interval", "never"))
    parser.add_argument(
        "--no-record",
        dest="record",
        action="store_false",
        help="neither side tells its aggregates of payments",
    )
    given = parser.parse_args()
    payments = Payments(days=DAYS, asked=ASKED, now_us=now_us())
    with tempfile.TemporaryDirectory(prefix="inferd-perf-") as name, ExitStack() as stack:
        directory = Path(name)
        systems = [
            inferd(stack, directory / "inferd", given),
            plain(stack, directory / "plain", given),
        ]
        compared(systems, payments)
        if given.rate:
            for system in systems:
                if given.side in (None, system.name):
                    measured(system, payments, "r", given.rate, given)
            return
        held = searched(systems, payments, given)
        print(
            f"inferd {held['inferd']:.0f}/s, plain {held['plain']:.0f}/s:"
            f" {held['inferd'] / max(held['plain'], 1):.2f} times; at the latter:"
        )
        for number in range(2):
            for system in systems:
                measured(system, payments, f"u{number}", held["plain"] or GUESSES["plain"], given)


if __name__ == "__main__":
    main()
