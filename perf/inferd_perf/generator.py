"""The load generator's I/O: channels, tasks and a clock around `schedule` and `stats`.

One process and one event loop. Messages are bytes both ways, so that what limits a run
is the server; `Outcome.cpu_cores` tells when it was not.
"""

import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

import grpc

from inferd.oip import grpc_service_pb2 as pb
from inferd_perf.pacer import Pacer, pacing
from inferd_perf.payload import INFER_PATH, SERVICE_PATH, Recipe, defect, payloads
from inferd_perf.report import progress_line
from inferd_perf.schedule import Quota, Window, bounded, fixed, poisson
from inferd_perf.stats import OK, Summary, Tally

Arrivals = Literal["poisson", "fixed"]

#: The status of an answer that came as OK and was not one (`--check`).
BAD_ANSWER = "BAD_ANSWER"
_CONNECT_S = 10.0
_PROGRESS_S = 0.25


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Requests leave on schedule, `rate` per second, whatever the server does."""

    rate: float
    arrivals: Arrivals = "poisson"
    seed: int = 0
    #: Arrivals that find this many in flight are dropped, which makes the run invalid.
    max_in_flight: int = 10_000

    def times(self) -> Iterator[float]:
        """Return the arrival times in seconds from the start."""
        return fixed(self.rate) if self.arrivals == "fixed" else poisson(self.rate, self.seed)


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """`concurrency` callers, each of whom sends the next request after the last answer."""

    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A whole run."""

    target: str
    recipe: Recipe
    pattern: OpenLoop | ClosedLoop
    window: Window
    #: From the intended send time; the caller's patience and the server's budget.
    deadline_s: float
    channels: int
    #: Parse every answer, and count those without outputs as failures.
    check: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run's figures, and the cores that the generator itself kept busy."""

    summary: Summary
    cpu_cores: float


class Sender:
    """Sends requests in turn over all channels, and tells the tally what came of them."""

    def __init__(
        self,
        calls: Sequence[Callable[..., Any]],
        messages: Sequence[bytes],
        load: Load,
        tally: Tally,
        now: Callable[[], float],
    ) -> None:
        self._calls = calls
        self._messages = messages
        self._deadline_s = load.deadline_s
        self._check = load.check
        self._tally = tally
        self._now = now
        self._turns = count()

    def begin(self, intended_s: float) -> Any:
        """Make the call that was meant for `intended_s`; a task of its own sends it."""
        turn = next(self._turns)
        left_s = max(self._deadline_s - (self._now() - intended_s), 0.001)
        message = self._messages[turn % len(self._messages)]
        return self._calls[turn % len(self._calls)](message, timeout=left_s)

    async def settle(self, call: Any, intended_s: float) -> None:
        """Wait for the answer. As a task it starts after the call's own: the call has left."""
        self._tally.send(intended_s, self._now())
        status = OK
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            status = error.code().name
        done_s = self._now()
        if status == OK and self._check and defect(answer) is not None:
            status = BAD_ANSWER
        self._tally.answer(intended_s, done_s, status)


async def open_loop(
    pattern: OpenLoop, window: Window, sender: Sender, tally: Tally, pacer: Pacer
) -> None:
    """Send on schedule, and wait for the last answer."""
    async with asyncio.TaskGroup() as tasks:
        for at in bounded(pattern.times(), window):
            await pacer.until(at)
            if tally.in_flight < pattern.max_in_flight:
                tasks.create_task(sender.settle(sender.begin(at), at))
            else:
                tally.skip(at)


async def closed_loop(pattern: ClosedLoop, window: Window, sender: Sender, pacer: Pacer) -> None:
    """Keep `concurrency` requests in flight until the window ends."""
    quota = Quota(window)

    async def caller() -> None:
        while quota.admits(at := pacer.now()):
            await sender.settle(sender.begin(at), at)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(pattern.concurrency):
            tasks.create_task(caller())


@asynccontextmanager
async def connected(target: str, channels: int) -> AsyncIterator[list[grpc.aio.Channel]]:
    """Lend `channels` connections to the target; TimeoutError when there is nobody."""
    # Without a pool of its own, a channel shares the connection of its equals.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    lent = [grpc.aio.insecure_channel(target, options=options) for _ in range(channels)]
    try:
        async with asyncio.timeout(_CONNECT_S):
            for channel in lent:
                await channel.channel_ready()
        yield lent
    finally:
        for channel in lent:
            await channel.close()


async def metadata_of(channel: grpc.aio.Channel, recipe: Recipe) -> pb.ModelMetadataResponse:
    """Ask the server for the model's inputs and outputs."""
    method = channel.unary_unary(
        SERVICE_PATH + "ModelMetadata",
        request_serializer=pb.ModelMetadataRequest.SerializeToString,
        response_deserializer=pb.ModelMetadataResponse.FromString,
    )
    request = pb.ModelMetadataRequest(name=recipe.model, version=recipe.version)
    response: pb.ModelMetadataResponse = await method(request, timeout=_CONNECT_S)
    return response


async def _report_progress(load: Load, tally: Tally, now: Callable[[], float]) -> None:
    while True:
        line = progress_line(now(), load.window, tally)
        print(f"\r{line:<79}", end="", file=sys.stderr, flush=True)
        await asyncio.sleep(_PROGRESS_S)


@asynccontextmanager
async def progress(load: Load, tally: Tally, now: Callable[[], float]) -> AsyncIterator[None]:
    """Keep a line on standard error up to date, where somebody is watching."""
    if not sys.stderr.isatty():
        yield
        return
    task = asyncio.create_task(_report_progress(load, tally, now), name="progress")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        print(f"\r{'':<79}\r", end="", file=sys.stderr, flush=True)


async def run(load: Load) -> Outcome:
    """Connect, build the requests, send, and return the figures.

    Raises DoesNotFit when the recipe does not fit the model, TimeoutError when nobody
    answers at the target, and grpc.aio.AioRpcError when there is no such model.
    """
    async with connected(load.target, load.channels) as channels:
        messages = payloads(load.recipe, await metadata_of(channels[0], load.recipe))
        calls = [channel.unary_unary(INFER_PATH) for channel in channels]
        tally = Tally(load.window, load.deadline_s)
        # A full collection over all modules would stop the generator for milliseconds.
        gc.collect()
        gc.freeze()
        cpu_s = time.process_time()
        with pacing() as pacer:
            sender = Sender(calls, messages, load, tally, pacer.now)
            async with progress(load, tally, pacer.now):
                match load.pattern:
                    case OpenLoop() as pattern:
                        await open_loop(pattern, load.window, sender, tally, pacer)
                    case ClosedLoop() as pattern:
                        await closed_loop(pattern, load.window, sender, pacer)
            cores = (time.process_time() - cpu_s) / pacer.now()
        return Outcome(tally.summary(), cores)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def run_blocking(load: Load) -> Outcome:
    """Run on uvloop where there is one."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(run(load))
