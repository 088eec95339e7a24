"""One loaded version of one model, from its tensors to its batches and back."""

import asyncio
from collections.abc import Hashable, Sequence
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inferd.call import Call
from inferd.deadline import Clock, Deadline
from inferd.errors import Expired, InferdError, InvalidRequest, ModelFailed
from inferd.inference.batcher import Batcher
from inferd.inference.repository.model_config import ModelConfig
from inferd.inference.request import Request, Tensors
from inferd.inference.scheduling import Policy
from inferd.inference.worker import Worker
from inferd.runtime.signature import Signature
from inferd.telemetry.statistics import ModelStatistics

#: How long a thread may take to end once its version is unloaded.
THREAD_END_S = 5.0


class State(StrEnum):
    """Where a version stands: in this order, or FAILED."""

    LOADING = "LOADING"
    WARMING = "WARMING"
    READY = "READY"
    DRAINING = "DRAINING"
    UNLOADED = "UNLOADED"
    FAILED = "FAILED"


class ModelVersion:
    """A version that has been loaded and warmed up."""

    def __init__(
        self,
        *,
        name: str,
        number: int,
        config: ModelConfig,
        signature: Signature,
        policy: Policy,
        batcher: Batcher,
        workers: Sequence[Worker],
        statistics: ModelStatistics,
        default_deadline_s: float,
        clock: Clock,
    ) -> None:
        self.name = name
        self.number = number
        self.version = str(number)
        self.config = config
        self.signature = signature
        self.statistics = statistics
        #: Names given to this version, e.g. `stable`. Set by the repository's owner.
        self.labels: tuple[str, ...] = ()
        #: When a request last asked for it, monotonic seconds.
        self.last_used = clock()
        self._policy = policy
        self._batcher = batcher
        self._workers = workers
        self._default_deadline_s = default_deadline_s
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._all_outputs = tuple(output.name for output in signature.outputs)
        self._max_rows = policy.max_batch
        self._text_in = any(not each.datatype.fixed_size for each in signature.inputs)
        self._text_out = any(not each.datatype.fixed_size for each in signature.outputs)
        self._mixed_shapes = signature.batches and any(
            tensor.optional or -1 in tensor.shape[1:] for tensor in signature.inputs
        )

    def __repr__(self) -> str:
        return f"ModelVersion({self.name}/{self.version}, {self.statistics.state})"

    @property
    def ready(self) -> bool:
        """Whether new requests may be sent here."""
        return self.statistics.state == State.READY

    async def infer(
        self,
        inputs: Tensors,
        *,
        rows: int,
        outputs: Sequence[str],
        call: Call,
        priority: int = 0,
        timeout_s: float | None = None,
    ) -> Tensors:
        """Return the named outputs (all, if none is named) for inputs that have been checked.

        `rows` is the size of the first dimension, or 1 for a model that does not batch. More
        rows than fit into a batch are run in parts. BF16 is an array of its bits, BYTES an
        array of `bytes`.

        Raises `InvalidRequest`, `Infeasible`, `Shed`, `Expired`, `NotReady` or `ModelFailed`.
        """
        self.last_used = now = self._clock()
        level = self._level(priority)
        deadline = self._deadline(call.deadline, level, timeout_s, now).at
        if self._text_in:
            inputs = _with_text(inputs)
        wanted = tuple(outputs) or self._all_outputs
        requests = [
            Request(
                inputs=part,
                outputs=wanted,
                future=self._loop.create_future(),
                rows=part_rows,
                deadline=deadline,
                arrived=now,
                key=self._key(part) if self._mixed_shapes else None,
                level=level,
                span=call.span,
            )
            for part, part_rows in self._parts(inputs, rows)
        ]
        result = _joined(await self._answers(requests, rows, call), wanted)
        return _with_bytes(result) if self._text_out else result

    async def drain(self) -> None:
        """Let the requests in flight finish, then give the threads back."""
        await self._batcher.drain()
        for worker in self._workers:
            await asyncio.to_thread(worker.close, timeout_s=THREAD_END_S)

    async def _answers(self, requests: Sequence[Request], rows: int, call: Call) -> list[Tensors]:
        try:
            for request in requests:
                self._batcher.submit(request, more=len(requests) > 1)
            answers = [await request.future for request in requests]
            now = self._clock()
            _require_in_time(requests[0], now)
        except BaseException as error:
            for request in requests:
                self._forget(request)
            self._count(error, call)
            raise
        self._record(requests, rows, call, now)
        return answers

    def _count(self, error: BaseException, call: Call) -> None:
        """Count a call without an answer: here, because a call in parts fails once."""
        took_s = self._clock() - call.arrived
        if isinstance(error, ModelFailed):
            self.statistics.failed(error.reason, took_s)
        elif isinstance(error, InferdError):
            self.statistics.dropped(error.reason, took_s)
        elif isinstance(error, asyncio.CancelledError):
            self.statistics.dropped("CANCELLED", took_s)

    def _forget(self, request: Request) -> None:
        """Leave nothing behind of a request whose caller has gone."""
        future = request.future
        if not future.done():
            future.cancel()
        elif not future.cancelled():
            future.exception()  # seen: a part that failed after another one had
            return
        self._batcher.cancel(request)

    def _parts(self, inputs: Tensors, rows: int) -> list[tuple[Tensors, int]]:
        step = self._max_rows
        if rows <= step:
            return [(inputs, rows)]
        most = step * self._policy.max_queue
        if rows > most:
            text = f"{rows} rows for model '{self.name}', at most {most} fit into its queue"
            raise InvalidRequest(text, field="inputs")
        return [
            ({name: array[at : at + step] for name, array in inputs.items()}, min(step, rows - at))
            for at in range(0, rows, step)
        ]

    def _key(self, inputs: Tensors) -> Hashable:
        """Return what requests must have in common to share a batch."""
        if not self._mixed_shapes:
            return None
        return tuple((name, inputs[name].shape[1:]) for name in sorted(inputs))

    def _level(self, priority: int) -> int:
        levels = self._policy.levels
        if not levels:
            return 0
        level = priority or self._policy.default_level
        if not 1 <= level <= levels:
            text = (
                f"priority must be between 1 and {levels} for model '{self.name}', got {priority}"
            )
            raise InvalidRequest(text, field="parameters[priority]")
        return level

    def _deadline(
        self, deadline: Deadline, level: int, timeout_s: float | None, now: float
    ) -> Deadline:
        if deadline.unlimited:
            deadline = deadline.tightened(self._default_deadline_s, now=now)
        limits = self._policy.limits_of(level)
        if timeout_s is not None and limits.allow_timeout_override:
            deadline = deadline.tightened(timeout_s, now=now)
        if limits.timeout_s:
            deadline = deadline.tightened(limits.timeout_s, now=now)
        return deadline

    def _record(self, requests: Sequence[Request], rows: int, call: Call, now: float) -> None:
        first, last = requests[0], requests[-1]
        queue_s = first.picked - first.arrived
        batch_wait_s = first.run_began - first.picked
        compute_s = last.run_ended - first.run_began
        self.statistics.answered(
            queue_s=queue_s,
            batch_wait_s=batch_wait_s,
            compute_s=compute_s,
            total_s=now - call.arrived,
            slack_s=first.deadline - now,
            rows=rows,
        )
        if call.explains:
            call.stages += [
                ("decode", first.arrived - call.arrived),
                ("queue", queue_s),
                ("batch-wait", batch_wait_s),
                ("compute", compute_s),
                ("return", now - last.run_ended),
            ]


def _require_in_time(request: Request, now: float) -> None:
    if now > request.deadline:
        raise Expired("the answer was ready after the deadline")


def _joined(parts: list[Tensors], wanted: Sequence[str]) -> Tensors:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in wanted}


def _with_text(inputs: Tensors) -> Tensors:
    """Decode BYTES inputs: ONNX Runtime takes strings as text."""
    return {
        name: _decoded(name, index, array) if array.dtype.hasobject else array
        for index, (name, array) in enumerate(inputs.items())
    }


def _decoded(name: str, index: int, array: NDArray[Any]) -> NDArray[Any]:
    result = np.empty(array.size, np.object_)
    for at, element in enumerate(array.ravel()):
        try:
            result[at] = element.decode() if isinstance(element, bytes) else element
        except UnicodeDecodeError as error:
            text = f"element {at} of input '{name}' is not valid UTF-8 ({error.reason})"
            raise InvalidRequest(text, field=f"inputs[{index}]") from None
    return result.reshape(array.shape)


def _with_bytes(outputs: Tensors) -> Tensors:
    """Encode text outputs: on the wire they are BYTES."""
    return {
        name: _encoded(array) if array.dtype.hasobject else array for name, array in outputs.items()
    }


def _encoded(array: NDArray[Any]) -> NDArray[Any]:
    result = np.empty(array.size, np.object_)
    result[:] = [element.encode() for element in array.ravel()]
    return result.reshape(array.shape)
