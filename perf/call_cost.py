"""What a ModelInfer call costs inside inferd, without a transport: CPU microseconds a call.

    .venv/bin/python perf/call_cost.py [--inline-below-us 0] [--profile alone|bulk|refused]

Decoding, checks, scheduling, the run, statistics and encoding, next to the least that any
servicer does: parse, `session.run`, serialise. Three ways: one call in every turn of the event
loop, as grpcio hands them over; many in a turn, as a bulk transport does; and calls that are
refused because the model is busy for longer than they can wait. CPU time of the process (of the
loop's thread for refusals: the model is busy beside them), less what as many tasks take that do
nothing, and the best of several rounds, so that it can be read on a busy machine, too.
"""

import argparse
import asyncio
import cProfile
import pstats
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import numpy as np
import onnxruntime as ort
import uvloop

from inferd.app.build import Parts, build
from inferd.call import Call
from inferd.config import Config
from inferd.deadline import Clock, Deadline
from inferd.inference.models import Models
from inferd.oip import grpc_service_pb2 as pb
from inferd.services.pipeline import OneAnswer

ROUNDS, CALLS = 7, 3200
#: Calls that arrive in one turn.
BULK = 32
#: What keeps a model busy, and the deadline of those who do not care to wait for that.
BLOCKER_ROWS = 1024
TIGHT_S = 0.004
#: One that takes microseconds, and one that takes milliseconds.
QUICK, SLOW = "mlp_small", "mlp_large"
METHOD = "/inference.GRPCInferenceService/ModelInfer"

Ask = Callable[[], Awaitable[None]]


def request_for(metadata: pb.ModelMetadataResponse, rows: int) -> bytes:
    """Return rows of random numbers as a serialised request."""
    tensor = metadata.inputs[0]
    shape = [rows, *tensor.shape[1:]]
    data = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    request = pb.ModelInferRequest(model_name=metadata.name)
    request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=shape)
    request.raw_input_contents.append(data.tobytes())
    return request.SerializeToString()


def plain(model: Path, body: bytes) -> Callable[[], bytes]:
    """Return a call as the shortest servicer would answer it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(model), options)
    name, output = session.get_inputs()[0].name, session.get_outputs()[0].name

    def call() -> bytes:
        request = pb.ModelInferRequest.FromString(body)
        shape = tuple(request.inputs[0].shape)
        array = np.frombuffer(request.raw_input_contents[0], np.float32).reshape(shape)
        result = session.run(None, {name: array})[0]
        answer = pb.ModelInferResponse(model_name=request.model_name, model_version="1")
        answer.outputs.add(name=output, datatype="FP32", shape=result.shape)
        answer.raw_output_contents.append(result.tobytes())
        return answer.SerializeToString()

    return call


class Caller:
    """Sends one request over and over, and counts who is turned away."""

    def __init__(self, run: OneAnswer, body: bytes, within_s: float) -> None:
        self._run = run
        self._body = body
        self._within_s = within_s
        self.calls = self.refused = 0

    async def ask(self) -> None:
        """Make a call."""
        now = time.monotonic()
        call = Call(METHOD, arrived=now, deadline=Deadline(now + self._within_s))
        self.calls += 1
        self.refused += type(await self._run(self._body, call)) is not bytes


async def nothing() -> None:
    """Cost what any task costs."""


async def alone(ask: Ask) -> None:
    """Make one call per turn of the loop."""
    for _ in range(CALLS):
        await ask()
        await asyncio.sleep(0)


async def in_bulk(ask: Ask) -> None:
    """Make many calls per turn, each a task of its own."""
    for _ in range(CALLS // BULK):
        await asyncio.gather(*(ask() for _ in range(BULK)))


async def cpu_us(calls: Callable[[Ask], Awaitable[None]], ask: Ask, clock: Clock) -> float:
    """Return the CPU time of a call in microseconds, without its task's: the best of the rounds."""
    spent = []
    for each in (nothing, ask):
        best = float("inf")
        for _ in range(ROUNDS):
            began = clock()
            await calls(each)
            best = min(best, clock() - began)
        spent.append(best / CALLS * 1e6)
    return spent[1] - spent[0]


async def loaded(models: Models) -> None:
    """Return when the models are loaded."""
    changed = asyncio.Event()
    models.watch(changed.set)
    while not models.serving:
        changed.clear()
        await changed.wait()


async def measure(args: argparse.Namespace) -> None:
    """Print what calls cost."""
    sys.setswitchinterval(0.0005)
    config = Config.model_validate(
        {
            "repository": {"paths": [args.repository]},
            "inference": {"inline_below_us": args.inline_below_us},
            "runtime": {"intra_op_threads": 1},
        }
    )
    parts = build(config, lambda level, form: None, None)
    run = parts.pipeline.bind(next(each for each in parts.routes if each.path == METHOD))
    async with parts.models.running():
        await loaded(parts.models)
        body = request_for(await described(parts, QUICK), 1)
        served = Caller(run, body, within_s=5.0)
        for name, calls in (("alone", alone), ("bulk", in_bulk)):
            with profiled(args.profile == name):
                cost = await cpu_us(calls, served.ask, time.process_time)
            print(f"{name:8s} {cost:.1f} us, {served.refused} of {served.calls} calls refused")
        best = plain_us(args.repository / QUICK / "1" / "model.onnx", body)
        print(f"plain    {best:.1f} us")
        slow = await described(parts, SLOW)
        async with busy(run, request_for(slow, BLOCKER_ROWS)):
            late = Caller(run, request_for(slow, 1), within_s=TIGHT_S)
            with profiled(args.profile == "refused"):
                cost = await cpu_us(in_bulk, late.ask, time.thread_time)
            print(f"refused  {cost:.1f} us, {late.refused} of {late.calls} calls refused")


async def described(parts: Parts, model: str) -> pb.ModelMetadataResponse:
    """Return what a model says of itself."""
    request, call = pb.ModelMetadataRequest(name=model), Call("", arrived=time.monotonic())
    return await parts.open_inference.model_metadata(request, call)


@asynccontextmanager
async def busy(run: OneAnswer, body: bytes) -> AsyncIterator[None]:
    """Keep the model busy with work that can wait, for as long as the block lasts."""
    blocker = Caller(run, body, within_s=60.0)

    async def forever() -> None:
        while True:
            await blocker.ask()

    tasks = [asyncio.create_task(forever()) for _ in range(2)]
    await asyncio.sleep(0.05)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def profiled(wanted: bool) -> Iterator[None]:
    """Print where the time of the block went, if that is wanted."""
    if not wanted:
        yield
        return
    with cProfile.Profile() as profile:
        yield
    pstats.Stats(profile).sort_stats("tottime").print_stats(40)


def plain_us(model: Path, body: bytes) -> float:
    """Return the CPU time of a call to the shortest servicer, in microseconds."""
    call, best = plain(model, body), float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(CALLS):
            call()
        best = min(best, time.process_time() - began)
    return best / CALLS * 1e6


def main() -> None:
    """Run the command line."""
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repository", type=Path, default=Path("perf/models"))
    parser.add_argument(
        "--inline-below-us",
        type=float,
        default=Config().inference.inline_below_us,
        help="what runs on the event loop",
    )
    parser.add_argument("--profile", choices=("alone", "bulk", "refused"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
