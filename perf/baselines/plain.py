"""The plain baseline: the OIP servicer an ordinary engineer would write in an afternoon.

`grpc.aio` on uvloop, generated messages, `np.frombuffer`, and `session.run` called inline.
No batching, no deadlines, no admission. Whatever inferd costs, it must beat this.
"""

import argparse
import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime as ort
from google.protobuf.message import Message
from numpy.typing import NDArray

from inferd.oip import grpc_service_pb2 as pb
from inferd_perf.repository import model_files

SERVICE = "inference.GRPCInferenceService"
NUMPY_OF = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}
OIP_OF_NUMPY = {np.dtype(kind): name for name, kind in NUMPY_OF.items()}
OIP_OF_ORT = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
}
Handler = Callable[[Any, "grpc.aio.ServicerContext[Any, Any]"], Awaitable[Message]]


def load(path: Path, threads: int) -> ort.InferenceSession:
    """Return a CPU session whose operators run on `threads` threads."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def tensor_metadata(arg: ort.NodeArg) -> pb.ModelMetadataResponse.TensorMetadata:
    """Describe one input or output; a dimension without a number is -1."""
    shape = [dim if isinstance(dim, int) else -1 for dim in arg.shape]
    return pb.ModelMetadataResponse.TensorMetadata(
        name=arg.name, datatype=OIP_OF_ORT[arg.type], shape=shape
    )


class Model:
    """A loaded model: its session, its version and the names of its outputs."""

    def __init__(self, path: Path, threads: int) -> None:
        self.version = path.parent.name
        self.session = load(path, threads)
        self.outputs = [output.name for output in self.session.get_outputs()]


class PlainServicer:
    """Four methods of the protocol, run one call at a time."""

    def __init__(self, models: dict[str, Model]) -> None:
        self._models = models

    async def _model(self, name: str, context: grpc.aio.ServicerContext[Any, Any]) -> Model:
        if name not in self._models:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"unknown model: '{name}'")
        return self._models[name]

    async def ServerReady(  # noqa: N802
        self, _request: pb.ServerReadyRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ServerReadyResponse:
        """Say yes: models are loaded before the port opens."""
        return pb.ServerReadyResponse(ready=True)

    async def ModelReady(  # noqa: N802
        self, request: pb.ModelReadyRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ModelReadyResponse:
        """Say whether it was there at start."""
        return pb.ModelReadyResponse(ready=request.name in self._models)

    async def ModelMetadata(  # noqa: N802
        self, request: pb.ModelMetadataRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ModelMetadataResponse:
        """Describe the ONNX graph's inputs and outputs."""
        model = await self._model(request.name, context)
        return pb.ModelMetadataResponse(
            name=request.name,
            versions=[model.version],
            platform="onnxruntime_onnx",
            inputs=[tensor_metadata(arg) for arg in model.session.get_inputs()],
            outputs=[tensor_metadata(arg) for arg in model.session.get_outputs()],
        )

    async def ModelInfer(  # noqa: N802
        self, request: pb.ModelInferRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ModelInferResponse:
        """Decode, run, encode."""
        model = await self._model(request.model_name, context)
        if len(request.inputs) != len(request.raw_input_contents):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "one raw content per input")
        feeds: dict[str, NDArray[Any]] = {
            tensor.name: np.frombuffer(raw, NUMPY_OF[tensor.datatype]).reshape(tuple(tensor.shape))
            for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        response = pb.ModelInferResponse(
            model_name=request.model_name, model_version=model.version, id=request.id
        )
        values = model.session.run(model.outputs, feeds)
        for name, value in zip(model.outputs, values, strict=True):
            response.outputs.add(name=name, datatype=OIP_OF_NUMPY[value.dtype], shape=value.shape)
            response.raw_output_contents.append(value.tobytes())
        return response


def handlers(servicer: PlainServicer) -> grpc.GenericRpcHandler:
    """Bind the servicer's methods; `inferd.oip` has messages but no stubs."""
    bindings: list[tuple[Handler, type[Message], type[Message]]] = [
        (servicer.ServerReady, pb.ServerReadyRequest, pb.ServerReadyResponse),
        (servicer.ModelReady, pb.ModelReadyRequest, pb.ModelReadyResponse),
        (servicer.ModelMetadata, pb.ModelMetadataRequest, pb.ModelMetadataResponse),
        (servicer.ModelInfer, pb.ModelInferRequest, pb.ModelInferResponse),
    ]
    methods = {
        method.__name__: grpc.unary_unary_rpc_method_handler(
            method,
            request_deserializer=request.FromString,
            response_serializer=response.SerializeToString,
        )
        for method, request, response in bindings
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)


async def serve(repository: Path, address: str, threads: int) -> None:
    """Serve every model in the repository until SIGTERM or SIGINT."""
    models = {name: Model(path, threads) for name, path in model_files(repository).items()}
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((handlers(PlainServicer(models)),))
    server.add_insecure_port(address)
    await server.start()
    print(f"plain: {', '.join(models) or 'no models'} on {address}", flush=True)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await stopping.wait()
    await server.stop(grace=1.0)


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description="A plain grpc.aio OIP server without batching.")
    parser.add_argument("--repository", type=Path, default=Path("perf/models"))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--threads", type=int, default=1, help="ONNX Runtime intra-op threads")
    args = parser.parse_args()
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(args.repository, f"{args.host}:{args.port}", args.threads))


if __name__ == "__main__":
    main()
