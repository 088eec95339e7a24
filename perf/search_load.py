"""How many searches a second are answered while documents come, beside the usual way.

    PYTHONPATH=perf:examples python perf/search_load.py [--searches 12] [--seconds 4]

Two systems on this machine: `inferd serve` with `configs/shop/search.yaml`, and
`baselines.search_plain` with its model in a second server (`baselines/plain.py`). Both have an
index on the disk with all items of the shop. The load is an open loop (`openload`) of what the
shop's users searched for, in their order, typing errors included; meanwhile 100 documents a second,
whose stock has changed, are streamed in, ten in a request.

A rate holds if every call is answered in time (100 ms), p99 is below 50 ms, nothing was done
without, and every document was acknowledged. Rounds take turns, one of each side; the highest rate
that holds is searched by halving, and given up after two rounds that missed it. Then both are
offered what the usual way can take. CPU is that of all processes of a side, per search, documents
included.

With `--searches 3 --seconds 2`, on two cores that others used as well: inferd 375 a second, the
usual way 180, 2.1 times as much; a search takes 2.5 to 3.5 ms of inferd's CPU, and 3.1 to 4.0 of
the usual way's. The aim, 3 times, is missed (docs/search.md).
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import yaml

from fraud_load import running
from inferd.v1 import search_pb2 as pb
from inferd_perf.capacity import Bounds
from inferd_perf.openload import Report, build, parse
from inferd_perf.payload import framed
from inferd_perf.servers import Metrics, free_port
from shop.events import query_of
from shop.indexing import METHOD as INDEX
from shop.indexing import index, messages
from shop.world import World

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "configs" / "shop" / "search.yaml"
METHOD = "/inferd.v1.SearchService/Search"
DAYS = 30
DOCUMENTS_PER_S, TOGETHER = 100, 10
DEADLINE_MS, P99_MS = 100, 50.0
WARM_UP_S = 0.5
GUESSES = {"inferd": 250.0, "plain": 120.0}
TOLERANCE = 0.08
CONFIGURED_S = 3.0
"""Both know the words of all documents by then."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a round."""

    rate: float
    report: Report
    #: Answers that did without something.
    without: float
    #: Documents that were acknowledged, and how long the slowest request of ten took.
    indexed: int
    ack_ms: float
    cpu_us: float

    @property
    def holds(self) -> bool:
        """Whether nothing was late."""
        it = self.report
        in_time = it.ok is not None and it.in_time == it.calls and it.ok.p99_ms < P99_MS
        return in_time and not self.without and self.indexed > 0

    def __str__(self) -> str:
        it = self.report
        took = f"p50 {it.ok.p50_ms:6.2f}  p99 {it.ok.p99_ms:6.2f} ms" if it.ok else "no answer"
        others = {name: each.count for name, each in it.answers.items() if name != "OK"}
        return (
            f"{self.rate:6.0f}/s  {took}  in time {it.in_time}/{it.calls}"
            f"  without {self.without:.0f}  {self.indexed} documents, at most {self.ack_ms:.0f} ms"
            f"  cpu {self.cpu_us:5.0f} us"
            f"{f'  {others}' if others else ''}{'' if self.holds else '  MISSED'}"
        )


class System:
    """One side: its processes, and its port."""

    def __init__(self, directory: Path, port: int, http_port: int | None = None) -> None:
        directory.mkdir()
        self.name = directory.name
        self.directory = directory
        self.port = port
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
            return Metrics(answer.read().decode()).total("inferd_degraded_total")


class Searches:
    """What the shop's users searched for, as requests, and its items."""

    def __init__(self, *, skip_cache: bool) -> None:
        world = World.generate(days=DAYS)
        lists, sessions = world.browsing.lists, world.browsing.sessions
        rows = np.flatnonzero(lists.is_search)
        users = sessions.user[lists.session[rows]]
        self.requests = [
            pb.SearchRequest(
                query=query_of(product, wording), user_id=f"u{user}", skip_cache=skip_cache
            ).SerializeToString()
            for product, wording, user in zip(
                lists.product[rows].tolist(),
                lists.wording[rows].tolist(),
                users.tolist(),
                strict=True,
            )
        ]
        self.documents = [*messages(world)]
        self._at = 0

    def next(self, count: int) -> Sequence[bytes]:
        """Return those that come next."""
        there = [self.requests[(self._at + each) % len(self.requests)] for each in range(count)]
        self._at += count
        return there


class Stocking:
    """Streams documents into a server for as long as it is told to."""

    def __init__(self, system: System, documents: Sequence[pb.Document]) -> None:
        self._system = system
        self._documents = documents
        self._over = threading.Event()
        self._sent: list[float] = []
        #: Seconds until each request was acknowledged.
        self.acknowledged: list[float] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Stream for as long as the block lasts, and wait for the last answer."""
        thread = threading.Thread(target=self._stream)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _stream(self) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{self._system.port}") as channel:
            answers = channel.stream_stream(
                INDEX,
                request_serializer=pb.IndexDocumentsRequest.SerializeToString,
                response_deserializer=pb.IndexDocumentsResponse.FromString,
            )(self._requests())
            for answer, sent in zip(answers, self._sent_in_order(), strict=False):
                if all(it.status == pb.IndexDocumentsResponse.INDEXED for it in answer.results):
                    self.acknowledged.append(time.monotonic() - sent)

    def _sent_in_order(self) -> Iterator[float]:
        number = 0
        while True:
            yield self._sent[number]
            number += 1

    def _requests(self) -> Iterator[pb.IndexDocumentsRequest]:
        begin, at = time.monotonic(), 0
        while not self._over.is_set():
            some = [self._documents[(at + each) % len(self._documents)] for each in range(TOGETHER)]
            at += TOGETHER
            for each in some:
                each.fields["stock"].number += 1
            self._sent.append(time.monotonic())
            yield pb.IndexDocumentsRequest(documents=some)
            self._over.wait(max(0.0, begin + at / DOCUMENTS_PER_S - time.monotonic()))


def configured(directory: Path, given: argparse.Namespace) -> Path:
    """Write the shop's configuration, with an index in a directory."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    config["repository"]["paths"] = [str(given.models)]
    config["search"]["index"]["directory"] = str(directory / "index")
    path = directory / "search.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def inferd(stack: ExitStack, directory: Path, given: argparse.Namespace) -> System:
    """Start inferd."""
    port, http_port = free_port(), free_port()
    system = System(directory, port, http_port)
    command = (sys.executable, "-m", "inferd", "serve", "--config", configured(directory, given))
    more = ("--port", port, "--http-port", http_port, "--transport", given.transport)
    process = stack.enter_context(running((*command, *more), directory / "server.log"))
    system.processes.append(process)
    return system


def plain(stack: ExitStack, directory: Path, given: argparse.Namespace) -> System:
    """Start the usual way."""
    port, models = free_port(), free_port()
    system = System(directory, port)
    config, script = configured(directory, given), Path(__file__).parent / "baselines" / "plain.py"
    server = ("-m", "baselines.search_plain", *("--config", config, "--port", port))
    for log, command in (
        ("models.log", (script, "--repository", given.models, "--port", models)),
        ("server.log", (*server, "--models", models)),
    ):
        process = stack.enter_context(running((sys.executable, *command), directory / log))
        system.processes.append(process)
    return system


def stocked(system: System, searches: Searches) -> None:
    """Wait for a server that is about to start, and give it all documents."""
    target = f"127.0.0.1:{system.port}"
    with grpc.insecure_channel(target) as channel:
        grpc.channel_ready_future(channel).result(30)
    counts = index(target, searches.documents)
    if counts != {"indexed": len(searches.documents)}:
        raise SystemExit(f"{system.name}: {counts}")


def asked(system: System, requests: Sequence[bytes]) -> list[pb.SearchResponse]:
    """Search, one after the other."""
    with grpc.insecure_channel(f"127.0.0.1:{system.port}") as channel:
        call = channel.unary_unary(METHOD, response_deserializer=pb.SearchResponse.FromString)
        try:
            return [call(each, timeout=20) for each in requests]
        except grpc.RpcError as error:
            log = (system.directory / "server.log").read_text()[-2000:]
            raise SystemExit(f"{system.name}: {error.code().name}\n{log}") from error


def uncached(request: bytes) -> bytes:
    """Return the same search, to be computed: what is cached is of before other searches."""
    message = pb.SearchRequest.FromString(request)
    message.skip_cache = True
    return message.SerializeToString()


def compared(systems: Sequence[System], searches: Searches) -> None:
    """See that both find alike."""
    requests = [*dict.fromkeys(map(uncached, searches.next(400)))]
    answers = [asked(each, requests) for each in systems]
    pairs = list(zip(*answers, strict=True))
    other = sum([it.id for it in one.hits] != [it.id for it in two.hits] for one, two in pairs)
    totals = sum(one.total != two.total for one, two in pairs if not one.understood.relaxed)
    unranked = sum(not one.ranker for one, _ in pairs if one.hits)
    relaxed = sum(bool(one.understood.relaxed) for one, _ in pairs)
    print(
        f"{len(pairs)} queries: {other} with other hits, {totals} with another total,"
        f" {relaxed} relaxed by inferd only, {unranked} that no model ranked"
    )


def fired(system: System, requests: Sequence[bytes], rate: float, seconds: float) -> Report:
    """Send searches at a rate."""
    rng = np.random.default_rng(len(requests))
    at_ns = np.cumsum(rng.exponential(1e9 / rate, len(requests))).astype(np.int64)
    with tempfile.TemporaryDirectory(prefix="inferd-perf-") as name:
        bodies, rows = Path(name, "bodies"), Path(name, "rows")
        bodies.write_bytes(b"".join(map(framed, requests)))
        deadline_ns = DEADLINE_MS * 1_000_000
        rows.write_text("".join(f"{at} {at + deadline_ns} {n}\n" for n, at in enumerate(at_ns)))
        words = {
            "--schedule": rows,
            "--bodies": bodies,
            "--port": system.port,
            "--path": METHOD,
            "--warmup-s": WARM_UP_S,
            "--duration-s": seconds,
            "--grace-ms": 100,
        }
        command = [str(build()), *(str(word) for pair in words.items() for word in pair)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return parse(done.stdout)


def measured(system: System, searches: Searches, rate: float, given: argparse.Namespace) -> Seen:
    """Run a round, and tell of it."""
    requests = searches.next(round(rate * (WARM_UP_S + given.seconds)))
    cpu_s, without = system.cpu_s(), system.without()
    stocking = Stocking(system, searches.documents)
    with stocking.running():
        report = fired(system, requests, rate, given.seconds)
    acknowledged = stocking.acknowledged
    seen = Seen(
        rate,
        report,
        system.without() - without,
        indexed=len(acknowledged) * TOGETHER,
        ack_ms=1000 * max(acknowledged, default=0.0),
        cpu_us=(system.cpu_s() - cpu_s) / len(requests) * 1e6,
    )
    print(f"{system.name:<8}{seen}", flush=True)
    return seen


def searched(
    systems: Sequence[System], searches: Searches, given: argparse.Namespace
) -> dict[str, float]:
    """Return the highest rates that hold, by system."""
    bounds = {each.name: Bounds() for each in systems}
    for _ in range(given.searches):
        for system in systems:
            known = bounds[system.name]
            rate = known.next_rate(GUESSES[system.name], TOLERANCE)
            if rate is None:
                continue
            seen = measured(system, searches, rate, given)
            if not seen.holds:
                seen = measured(system, searches, rate, given)
            bounds[system.name] = known.told(rate, holds=seen.holds)
    return {name: each.held for name, each in bounds.items()}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=12, help="rates of each side, at most")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    parser.add_argument("--rate", type=float, nargs="+", help="rounds at these, and no search")
    parser.add_argument("--side", choices=("inferd", "plain"), help="only this one, with --rate")
    parser.add_argument("--transport", default="grpcio", choices=("grpcio", "envoy"))
    parser.add_argument("--models", type=Path, default=ROOT / "model_repository")
    parser.add_argument("--skip-cache", action="store_true", help="every search is computed")
    given = parser.parse_args()
    searches = Searches(skip_cache=given.skip_cache)
    with tempfile.TemporaryDirectory(prefix="inferd-perf-") as name, ExitStack() as stack:
        directory = Path(name)
        systems = [
            inferd(stack, directory / "inferd", given),
            plain(stack, directory / "plain", given),
        ]
        for system in systems:
            stocked(system, searches)
        time.sleep(CONFIGURED_S)
        compared(systems, searches)
        if given.rate:
            for rate in given.rate:
                for system in systems:
                    if given.side in (None, system.name):
                        measured(system, searches, rate, given)
            return
        held = searched(systems, searches, given)
        print(
            f"inferd {held['inferd']:.0f}/s, plain {held['plain']:.0f}/s:"
            f" {held['inferd'] / max(held['plain'], 1):.2f} times; at the latter:"
        )
        for _ in range(2):
            for system in systems:
                measured(system, searches, held["plain"] or GUESSES["plain"], given)


if __name__ == "__main__":
    main()
