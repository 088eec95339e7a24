"""One ONNX Runtime session: a graph with its weights, ready to run.

`run` blocks and releases the interpreter lock while it computes; it may be called from
several threads at once. Arrays come and go as `inferd.runtime.datatypes` says, so BF16,
which NumPy does not know, is an array of its bits and takes a road of its own.
"""

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inferd.errors import LoadFailed, ModelFailed
from inferd.runtime.datatypes import BY_NAME
from inferd.runtime.graph import Graph, GraphTensor
from inferd.runtime.settings import Optimization, Provider, SessionSettings

BF16 = BY_NAME["BF16"]
LEVELS = {
    Optimization.OFF: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    Optimization.BASIC: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    Optimization.EXTENDED: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    Optimization.ALL: ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
#: ONNX Runtime's "fatal only": what matters arrives as an exception, and is logged there.
LOG_SEVERITY = 4


class Stop:
    """Ends a run from another thread, within about one operator's time."""

    __slots__ = ("options",)

    def __init__(self, arena_shrinkage: str = "") -> None:
        self.options = ort.RunOptions()
        self.options.log_severity_level = LOG_SEVERITY
        if arena_shrinkage:
            self.options.add_run_config_entry(
                "memory.enable_memory_arena_shrinkage", arena_shrinkage
            )

    def now(self) -> None:
        """Make the run that was given this fail as soon as it can."""
        self.options.terminate = True


class Session:
    """A loaded model."""

    def __init__(self, model: Path, settings: SessionSettings) -> None:
        """Load `model`, or raise `LoadFailed` with ONNX Runtime's reason."""
        for provider in settings.providers:
            require_provider(provider)
        providers = [(each.name, dict(each.options)) for each in settings.providers]
        try:
            self._session = ort.InferenceSession(
                str(model), _options(settings), providers=providers
            )
        except Exception as error:  # onnxruntime's errors share no other base
            raise LoadFailed(f"{model.name}: {_reason(error)}") from error
        self._require_used(settings.providers)
        self._shrinkage = settings.arena_shrinkage
        self.graph = _graph_of(self._session)
        tensors = (*self.graph.inputs, *self.graph.optional_inputs, *self.graph.outputs)
        self._by_value = any(each.onnx_type == BF16.onnx for each in tensors)
        self._bf16 = {each.name for each in tensors if each.onnx_type == BF16.onnx}

    def stop(self) -> Stop:
        """Return the handle that ends the run it is given to."""
        return Stop(self._shrinkage)

    def run(
        self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str], stop: Stop
    ) -> list[NDArray[Any]]:
        """Return the arrays of the named outputs, or raise `ModelFailed`."""
        try:
            if self._by_value:
                return self._run_by_value(inputs, outputs, stop)
            # The session's own `run` checks again what has been checked: 1.4 us a call.
            return list(self._session._sess.run(outputs, inputs, stop.options))
        except Exception as error:  # onnxruntime's errors share no other base
            raise ModelFailed(_reason(error)) from error

    def _run_by_value(
        self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str], stop: Stop
    ) -> list[NDArray[Any]]:
        values = {name: self._value(name, array) for name, array in inputs.items()}
        results = self._session.run_with_ort_values(list(outputs), values, stop.options)
        return [_array(result) for result in results]

    def _value(self, name: str, array: NDArray[Any]) -> Any:
        contiguous = np.ascontiguousarray(array)
        if name not in self._bf16:
            return ort.OrtValue.ortvalue_from_numpy(contiguous)
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(contiguous, BF16.onnx_number)

    def _require_used(self, providers: Sequence[Provider]) -> None:
        """Refuse a session in which ONNX Runtime fell back to another provider in silence."""
        used = self._session.get_providers()
        for provider in providers:
            if provider.name not in used:
                raise LoadFailed(
                    f"{provider.name} could not be started (its libraries or its device are"
                    f" missing); ONNX Runtime offers {', '.join(used)} instead"
                )


def require_provider(provider: Provider) -> None:
    """Raise `LoadFailed`, with the way out, when ONNX Runtime was built without it."""
    available = ort.get_available_providers()
    if provider.name in available:
        return
    if provider.name in {"CUDAExecutionProvider", "TensorrtExecutionProvider"}:
        raise LoadFailed(
            f"the model asks for a GPU ({provider.name}), and this onnxruntime has none:"
            " install `inferd[gpu]` instead of `inferd[cpu]`, or set"
            " `instance_group { kind: KIND_CPU }`"
        )
    raise LoadFailed(f"{provider.name} is not part of this onnxruntime ({', '.join(available)})")


def gpu_available() -> bool:
    """Whether this onnxruntime can run on a GPU at all."""
    return "CUDAExecutionProvider" in ort.get_available_providers()


def _options(settings: SessionSettings) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = settings.intra_op_threads
    options.inter_op_num_threads = settings.inter_op_threads
    options.execution_mode = (
        ort.ExecutionMode.ORT_PARALLEL if settings.parallel else ort.ExecutionMode.ORT_SEQUENTIAL
    )
    options.graph_optimization_level = LEVELS[settings.optimization]
    options.enable_cpu_mem_arena = settings.memory_arena
    options.enable_mem_pattern = settings.memory_pattern
    options.log_severity_level = LOG_SEVERITY
    spinning = "1" if settings.spinning else "0"
    entries = {
        "session.intra_op.allow_spinning": spinning,
        "session.inter_op.allow_spinning": spinning,
        **settings.entries,
    }
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    return options


def _graph_of(session: ort.InferenceSession) -> Graph:
    def tensors(nodes: Sequence[Any]) -> tuple[GraphTensor, ...]:
        return tuple(GraphTensor(node.name, node.type, tuple(node.shape)) for node in nodes)

    return Graph(
        inputs=tensors(session.get_inputs()),
        outputs=tensors(session.get_outputs()),
        optional_inputs=tensors(session.get_overridable_initializers()),
    )


def _array(value: Any) -> NDArray[Any]:
    if value.data_type() != BF16.onnx:
        result: NDArray[Any] = value.numpy()
        return result
    shape = tuple(value.shape())
    count = int(np.prod(shape))
    if not count:
        return np.empty(shape, BF16.numpy)
    address = ctypes.cast(value.data_ptr(), ctypes.POINTER(ctypes.c_uint16))
    return np.ctypeslib.as_array(address, shape).copy()


def _reason(error: Exception) -> str:
    """Return what ONNX Runtime said, without its prefix of codes."""
    return str(error).removeprefix("[ONNXRuntimeError] : ").strip()
