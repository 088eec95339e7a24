"""What a ModelInfer call costs inside inferd, without a transport: CPU microseconds a call.

    .venv/bin/python perf/call_cost.py [MODEL] [--repository DIR] [--profile]

Decoding, checks, scheduling, the run, statistics and encoding, one call after another, next to
the least that any servicer does: parse, `session.run`, serialise. CPU time, and the best of
several rounds, so that it can be read on a busy machine, too.
"""

import argparse
import asyncio
import cProfile
import pstats
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort

from inferd.app.build import build
from inferd.call import Call
from inferd.config import Config
from inferd.deadline import Deadline
from inferd.inference.models import Models
from inferd.oip import grpc_service_pb2 as pb
from inferd.services.pipeline import OneAnswer

ROUNDS, CALLS = 7, 3000
METHOD = "/inference.GRPCInferenceService/ModelInfer"


def request_for(metadata: pb.ModelMetadataResponse) -> bytes:
    """Return one row of random numbers as a serialised request."""
    tensor = metadata.inputs[0]
    shape = [1, *tensor.shape[1:]]
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


async def through_inferd(run: OneAnswer, body: bytes, calls: int) -> None:
    """Send `calls` calls, one after another."""
    for _ in range(calls):
        now = time.monotonic()
        call = Call(METHOD, arrived=now, deadline=Deadline(now + 1.0))
        answer = await run(body, call)
        if type(answer) is not bytes:
            raise SystemExit(f"refused: {answer!r}")


async def loaded(models: Models) -> None:
    """Return when the models are loaded."""
    changed = asyncio.Event()
    models.watch(changed.set)
    while not models.serving:
        changed.clear()
        await changed.wait()


async def measure(args: argparse.Namespace) -> None:
    """Print the best round of both."""
    config = Config.model_validate(
        {"repository": {"paths": [args.repository]}, "runtime": {"intra_op_threads": 1}}
    )
    parts = build(config, lambda level, form: None, None)
    route = next(each for each in parts.routes if each.path == METHOD)
    run = parts.pipeline.bind(route)
    async with parts.models.running():
        await loaded(parts.models)
        call = Call("", arrived=time.monotonic())
        metadata = await parts.open_inference.model_metadata(
            pb.ModelMetadataRequest(name=args.model), call
        )
        body = request_for(metadata)
        best = plain_best = float("inf")
        shortest = plain(args.repository / args.model / "1" / "model.onnx", body)
        for _ in range(ROUNDS):
            began = time.process_time()
            await through_inferd(run, body, CALLS)
            best = min(best, time.process_time() - began)
            began = time.process_time()
            for _ in range(CALLS):
                shortest()
            plain_best = min(plain_best, time.process_time() - began)
        print(f"inferd {best / CALLS * 1e6:.1f} us a call, plain {plain_best / CALLS * 1e6:.1f}")
        if args.profile:
            with cProfile.Profile() as profile:
                await through_inferd(run, body, CALLS)
            pstats.Stats(profile).sort_stats("tottime").print_stats(30)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="mlp_small")
    parser.add_argument("--repository", type=Path, default=Path("perf/models"))
    parser.add_argument("--profile", action="store_true", help="print where the time goes, too")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
