"""What hedging costs the calls of a client that do not need it, and what the others gain.

    .venv/bin/python perf/hedging_cost.py [--rounds 50] [--slow-share 0.02]

Both Python clients against a server in another process, on loopback, that answers at once, but
for a share of the calls that it lets wait. Without hedging, with hedging after so long that it
never happens, and after a moment that is learnt. The ways take turns, a block of calls each, so
that whatever else the machine does falls on all of them; compared is block by block.
"""

import argparse
import asyncio
import multiprocessing
import random
import sys
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import grpc.aio
import numpy as np

from inferd.oip import grpc_service_pb2 as pb
from inferd_client import AsyncClient, Client, HedgePolicy

CALLS = 100
"""In a block."""
SLOW_S = 0.02
TIMEOUT_S = 30.0
LOCAL = [("grpc.enable_http_proxy", 0)]
WAYS = {"never": None, "unused": HedgePolicy(after_s=TIMEOUT_S - 1), "learnt": HedgePolicy()}

Ask = Callable[[], Awaitable[bool]]


class Server(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Says that it lives, at once or after a while."""

    def __init__(self, slow_share: float) -> None:
        self._slow_share = slow_share
        self._answer = pb.ServerLiveResponse(live=True).SerializeToString()

    def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Answer every method in the same way."""
        return grpc.unary_unary_rpc_method_handler(self._live)

    async def _live(self, _request: bytes, _context: object) -> bytes:
        if random.random() < self._slow_share:
            await asyncio.sleep(SLOW_S)
        return self._answer


def serve(slow_share: float, port: Connection) -> None:
    """Serve until killed; say on which port."""

    async def run() -> None:
        server = grpc.aio.server(handlers=[Server(slow_share)])
        bound = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        port.send(bound)
        await server.wait_for_termination()

    asyncio.run(run())


def blocking(address: str, hedge: HedgePolicy | None) -> Ask:
    """Return a call by the blocking client."""
    client = Client(address, options=LOCAL, hedge=hedge)

    async def ask() -> bool:
        return client.server_live(timeout_s=TIMEOUT_S)

    return ask


def awaiting(address: str, hedge: HedgePolicy | None) -> Ask:
    """Return a call by the asyncio client."""
    client = AsyncClient(address, options=LOCAL, hedge=hedge)
    return lambda: client.server_live(timeout_s=TIMEOUT_S)


async def block(ask: Ask) -> list[float]:
    """Return what each of many calls took, in microseconds."""
    took_us = []
    for _ in range(CALLS):
        before = time.perf_counter()
        await ask()
        took_us.append((time.perf_counter() - before) * 1e6)
    return took_us


async def measure(address: str, rounds: int) -> None:
    """Print medians, how far they are above those without hedging, and the tail."""
    for name, client in (("Client", blocking), ("AsyncClient", awaiting)):
        asks = {way: client(address, hedge) for way, hedge in WAYS.items()}
        for ask in asks.values():
            await block(ask)
        took: dict[str, list[list[float]]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, ask in asks.items():
                took[way].append(await block(ask))
        medians = {way: np.median(np.array(blocks), axis=1) for way, blocks in took.items()}
        for way, blocks in took.items():
            extra = np.median(medians[way] - medians["never"])
            p99, p999 = np.percentile(np.array(blocks), (99, 99.9)) / 1000
            sys.stdout.write(
                f"{name:12} {way:7} median {np.median(medians[way]):5.0f} us ({extra:+5.0f})"
                f"  p99 {p99:5.2f} ms  p99.9 {p999:5.2f} ms\n"
            )


def main() -> None:
    """Start the server and ask it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help=f"of {CALLS} calls each way")
    parser.add_argument("--slow-share", type=float, default=0.0)
    given = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    server = spawn.Process(target=serve, args=(given.slow_share, there), daemon=True)
    server.start()
    try:
        asyncio.run(measure(f"127.0.0.1:{here.recv()}", given.rounds))
    finally:
        server.terminate()


if __name__ == "__main__":
    main()
