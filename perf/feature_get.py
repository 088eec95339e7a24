"""What a Get of one entity takes end to end, over gRPC on loopback.

    .venv/bin/python perf/feature_get.py [--rate 200] [--transport grpcio]

Starts `inferd serve` with one view of 20 features, over each store in turn, writes an entity, and
asks for it in an open loop from another process (`perf/openload`). In turns with it, on the same
server, `ServerLive`, which reads nothing: what is left is the price of features, and what both
have in common is that of the machine and whoever else uses it.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
import yaml

from inferd.oip import grpc_service_pb2
from inferd.v1 import features_pb2 as pb
from inferd_perf.openload import build, parse
from inferd_perf.payload import framed
from inferd_perf.servers import free_port
from inferd_perf.stats import OK, Percentiles

FEATURES = 20
STORES = ("memory", "redis", "sqlite")
GET = "/inferd.v1.FeatureService/Get"
LIVE = "/inference.GRPCInferenceService/ServerLive"
DEFINITIONS = {
    "entities": [{"name": "user", "id": "int64"}],
    "views": [
        {
            "name": "profile",
            "entity": "user",
            "features": [{"name": f"f{n}", "type": "float64"} for n in range(FEATURES)],
        }
    ],
}
REQUEST = pb.GetFeaturesRequest(entity="user", id="1")
ALIVE = grpc_service_pb2.ServerLiveRequest().SerializeToString()
FEAST_P99_MS = 1.70
"""One row, precomputed vector (feast.dev, 2026)."""


@contextmanager
def serving(directory: Path, store: str, transport: str) -> Iterator[int]:
    """Run a server for as long as the block lasts. Yields its port."""
    definitions = directory / "definitions.yaml"
    definitions.write_text(yaml.safe_dump(DEFINITIONS))
    settings = {
        "INFERD__FEATURES__DEFINITIONS": str(definitions),
        "INFERD__FEATURES__STORE": store,
        "INFERD__FEATURES__SQLITE_PATH": str(directory / "features.sqlite"),
        "INFERD__REDIS__URL": f"unix://{directory}/redis.sock",
    }
    port = free_port()
    command = [sys.executable, "-m", "inferd", "serve", "--transport", transport]
    command += ["--port", str(port), "--http-port", "0", "--repository", str(directory / "models")]
    server = subprocess.Popen(
        command, env=os.environ | settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert server.stdout is not None
        if not any(line.endswith(b" list\n") for line in server.stdout):
            raise SystemExit(f"the server did not start: {' '.join(command)}")
        yield port
    finally:
        server.terminate()
        server.wait()


@contextmanager
def redis(directory: Path) -> Iterator[None]:
    """Run Redis for as long as the block lasts."""
    socket = directory / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", ""]
    server = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            time.sleep(0.01)
        yield
    finally:
        server.terminate()
        server.wait()


def write(port: int) -> None:
    """Write the entity, and see that it is there."""
    row = pb.FeatureRow(
        view="profile",
        id="1",
        event_time_us=time.time_ns() // 1000,
        values={f"f{n}": pb.FeatureValue(float64_value=n / 7) for n in range(FEATURES)},
    )
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        service = "/inferd.v1.FeatureService"
        channel.unary_unary(f"{service}/Set", pb.SetFeaturesRequest.SerializeToString)(
            pb.SetFeaturesRequest(rows=[row]), timeout=10.0
        )
        get = channel.unary_unary(
            GET, pb.GetFeaturesRequest.SerializeToString, pb.GetFeaturesResponse.FromString
        )
        answer = get(REQUEST, timeout=10.0)
    assert {it.status for it in answer.features} == {pb.Feature.PRESENT}


def asked(
    directory: Path, port: int, path: str, message: bytes, given: argparse.Namespace
) -> Percentiles:
    """Return what an open loop of calls took, all of which must be answered."""
    body = directory / "body"
    body.write_bytes(framed(message))
    words = {
        "--port": port,
        "--path": path,
        "--body": body,
        **({"--rate": given.rate} if given.rate else {"--concurrency": 1, "--connections": 1}),
        "--warmup-s": 0.5,
        "--duration-s": given.seconds,
        "--deadline-ms": 1000,
    }
    command = [str(build()), *(str(word) for pair in words.items() for word in pair)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    report = parse(done.stdout)
    took = report.answers.get(OK)
    if took is None or took.count < report.calls or report.faults:
        raise SystemExit(f"{path}: {report}")
    return took


def told(name: str, rounds: Sequence[Percentiles]) -> str:
    """Return a line: medians of the rounds, and the best and the worst p99."""
    p50, p99 = ([getattr(each, key) for each in rounds] for key in ("p50_ms", "p99_ms"))
    return (
        f"  {name:18} p50 {statistics.median(p50):6.3f}  p99 {statistics.median(p99):6.3f} ms"
        f"  ({min(p99):.3f}..{max(p99):.3f}), {sum(each.count for each in rounds)} calls\n"
    )


def main() -> None:
    """Measure each store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rate",
        type=float,
        default=200.0,
        help="calls per second; 0: one caller, who waits for the answer",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round")
    parser.add_argument("--transport", default="grpcio", choices=("grpcio", "envoy"))
    parser.add_argument("--store", default=STORES, nargs="+", choices=STORES)
    given = parser.parse_args()
    request = REQUEST.SerializeToString()
    load = f"{given.rate:g} calls/s" if given.rate else "one caller"
    sys.stdout.write(
        f"{given.transport}, {load}, one entity, {FEATURES} features"
        f" (Feast's published p99 for one row: {FEAST_P99_MS} ms)\n"
    )
    with tempfile.TemporaryDirectory(prefix="inferd-perf-") as name:
        directory = Path(name)
        (directory / "models").mkdir()
        with redis(directory):
            for store in given.store:
                with serving(directory, store, given.transport) as port:
                    write(port)
                    gets: list[Percentiles] = []
                    lives: list[Percentiles] = []
                    for _ in range(given.rounds):
                        gets.append(asked(directory, port, GET, request, given))
                        lives.append(asked(directory, port, LIVE, ALIVE, given))
                sys.stdout.write(told(f"{store}: Get", gets) + told("  ServerLive", lives))


if __name__ == "__main__":
    main()
