"""One loaded version of one model, from its tensors to its batches and back."""

import asyncio
import math
from collections.abc import Sequence
from enum import StrEnum
from typing import NoReturn, Protocol

import numpy as np

from inferd.call import Call, Value
from inferd.deadline import Clock, Deadline
from inferd.errors import (
    CircuitOpen,
    DeadlineExceeded,
    Expired,
    InvalidRequest,
    ModelFailed,
    Unavailable,
)
from inferd.inference.batcher import Batcher
from inferd.inference.instances import Instances
from inferd.inference.packing import ROWS, Packing
from inferd.inference.repository.model_config import ModelConfig
from inferd.inference.request import Inputs, Request, Tensors
from inferd.inference.scheduling import LatencyModel, Policy
from inferd.inference.standing import standing_of
from inferd.inference.text import with_bytes, with_text
from inferd.resilience.breaker import Breaker
from inferd.resilience.outcome import Outcome, outcome_of
from inferd.runtime.signature import Signature
from inferd.telemetry.statistics import ModelStatistics

#: How old the capacity may be that a version tells.
CAPACITY_REVIEW_S = 0.1


class Watcher(Protocol):
    """Hears of the calls of a version, whoever made them."""

    def answered(self, call: Call, requests: Sequence[Request], said: Tensors, now: float) -> None:
        """Note that a call has its answer; `requests` are its parts, with their inputs."""

    def failed(self, call: Call, error: BaseException) -> None:
        """Note that a call has none."""


QUEUE_MS = "x-queue-ms"
"""Trailing metadata: how long a request was in the queue."""
BATCH = "x-batch"
"""Trailing metadata: the rows of the batch that a request was in."""


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
        packing: Packing = ROWS,
        latency: LatencyModel,
        batcher: Batcher,
        instances: Instances,
        breaker: Breaker,
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
        #: Hears of its calls. None: nobody does.
        self.watcher: Watcher | None = None
        #: When a request last asked for it, monotonic seconds.
        self.last_used = clock()
        self._policy = policy
        self._latency = latency
        #: Rows per second, and when that was worked out.
        self._capacity = (0.0, -math.inf)
        self._packing = packing
        #: Whether a request without wishes has more than its caller's deadline to be told by.
        self._particular = bool(
            policy.levels
            or policy.default_limits.timeout_s
            or any(each.timeout_s for each in policy.limits.values())
        )
        self._batcher = batcher
        self.instances = instances
        self.breaker = breaker
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
        return self.statistics.state == State.READY and self.in_service

    @property
    def in_service(self) -> bool:
        """Whether any instance serves."""
        return self.statistics.instances > 0

    @property
    def capacity_rows_s(self) -> float:
        """The rows that its instances in service can serve in a second, with the machine's cores.

        At the best batch size, as predicted. 0: there is no instance, or nothing is known.
        """
        rows_s, at = self._capacity
        now = self._clock()
        if now - at >= CAPACITY_REVIEW_S:
            rows_s = self.statistics.instances * self._latency.rows_per_s()
            self._capacity = rows_s, now
        return rows_s

    async def infer(
        self,
        inputs: Inputs,
        *,
        rows: int,
        outputs: Sequence[str],
        call: Call,
        priority: int = 0,
        timeout_s: float | None = None,
    ) -> Tensors:
        """Return the named outputs (all, if none is named) for inputs that have been checked.

        `inputs` may be what makes them: a refusal then costs no more than the asking. `rows` is
        the size of the first dimension, or 1 for a model that does not batch. More rows than
        fit into a batch are run in parts. BF16 is an array of its bits, BYTES an array of
        `bytes`.

        Raises `InvalidRequest`, `Infeasible`, `Shed`, `Expired`, `NotReady`, `CircuitOpen` or
        `ModelFailed`, and what `inputs` raises. The call's trailing metadata tell how a request
        fared that was refused after it had been let in, and of any whose caller asks for
        explanations.
        """
        self.last_used = now = self._clock()
        level, deadline, yields_at = 0, call.deadline, math.inf
        if self._particular or timeout_s is not None or deadline.unlimited:
            level = self._level(priority)
            deadline, yields_at = self._limited(deadline, level, timeout_s, now)
        weight, caller, retried = standing_of(call.metadata)
        wanted = tuple(outputs) or self._all_outputs
        parts = (rows,) if rows <= self._max_rows else self._parts(rows)
        requests = [
            Request(
                outputs=wanted,
                rows=each,
                deadline=deadline.at,
                arrived=now,
                within_s=deadline.at - call.arrived,
                level=level,
                weight=weight / len(parts),
                caller=caller,
                retried=retried,
                yields_at=yields_at,
                span=call.span,
            )
            for each in parts
        ]
        permit = self.breaker.admit(now)
        try:
            if not permit:
                self._leave_alone(now)
            if len(requests) == 1:
                result = self._at_once(requests[0], inputs) or await requests[0].future
            else:
                result = _joined(await self._all_of(requests, inputs), wanted)
            now = self._clock()
            _require_in_time(now, deadline)
        except BaseException as error:
            self.breaker.settle(permit, _outcome(error), 0.0, self._clock())
            self._give_up(requests)
            self._count(error, call)
            if self.watcher is not None:
                self.watcher.failed(call, error)
            first = requests[0]
            was_let_in = first.sequence or first.batch_rows
            if was_let_in and isinstance(error, Unavailable | DeadlineExceeded):
                call.trailing += _whereabouts(first, self._clock())
            raise
        last = requests[-1]
        self.breaker.settle(permit, Outcome.SUCCESS, last.run_ended - last.run_began, now)
        self._record(requests, rows, call, now)
        result = with_bytes(result) if self._text_out else result
        if self.watcher is not None:
            self.watcher.answered(call, requests, result, now)
        return result

    async def drain(self) -> None:
        """Let the requests in flight finish, then give the threads back."""
        try:
            await self._batcher.drain()
        finally:
            await self.instances.close()

    def _leave_alone(self, now: float) -> NoReturn:
        text = f"'{self.name}' version {self.version} has failed too often of late"
        raise CircuitOpen(text, retry_after_s=self.breaker.retry_after(now))

    def _at_once(self, request: Request, inputs: Inputs) -> Tensors | None:
        """Return the answer to a request, or None: then it is queued, and its future gets it.

        The inputs are read as late as can be.
        """
        batcher = self._batcher
        here = batcher.runs_here(request)
        if here:
            self._hand_out(inputs, (request,))
            answer = batcher.run_here(request)
            if answer is not None:
                return answer
        elif self._mixed_shapes:
            self._hand_out(inputs, (request,))
        batcher.admit(request)
        request.future = self._loop.create_future()
        if not (here or self._mixed_shapes):
            self._hand_out(inputs, (request,))
        return None

    async def _all_of(self, requests: Sequence[Request], inputs: Inputs) -> list[Tensors]:
        """Return the answers to the parts of a request that no batch can hold."""
        if self._mixed_shapes:
            self._hand_out(inputs, requests)
        for request in requests:
            self._batcher.admit(request)
            request.future = self._loop.create_future()
        if not self._mixed_shapes:
            self._hand_out(inputs, requests)
        return [await request.future for request in requests]

    def _hand_out(self, inputs: Inputs, requests: Sequence[Request]) -> None:
        """Give every request its part of the inputs."""
        tensors = inputs() if callable(inputs) else inputs
        if self._text_in:
            tensors = with_text(tensors)
        at = 0
        for request in requests:
            request.inputs = tensors
            if len(requests) > 1:
                end = at + request.rows
                request.inputs = {name: array[at:end] for name, array in tensors.items()}
                at = end
            if self._mixed_shapes:
                request.key = self._packing.key(request.inputs)

    def _count(self, error: BaseException, call: Call) -> None:
        """Count a call without an answer: here, because a call in parts fails once.

        What the caller got wrong is counted by whoever speaks its language.
        """
        took_s = self._clock() - call.arrived
        if isinstance(error, Unavailable | DeadlineExceeded):
            self.statistics.dropped(error.reason, took_s)
        elif isinstance(error, ModelFailed):
            self.statistics.failed(error.reason, took_s)
        elif isinstance(error, asyncio.CancelledError):
            self.statistics.dropped("CANCELLED", took_s)

    def _give_up(self, requests: Sequence[Request]) -> None:
        """Leave nothing behind of requests whose caller gets no answer."""
        for request in requests:
            if not request.sequence:
                continue  # it has never been admitted
            future = request.future
            if not future.done():
                future.cancel()
            elif not future.cancelled():
                future.exception()  # seen: a part that failed after another one had
                continue
            self._batcher.cancel(request)

    def _parts(self, rows: int) -> list[int]:
        """Return the rows of each part of a request that no batch can hold."""
        step = self._max_rows
        most = step * self._policy.max_queue
        if rows > most:
            text = f"{rows} rows for model '{self.name}', at most {most} fit into its queue"
            raise InvalidRequest(text, field="inputs")
        return [min(step, rows - at) for at in range(0, rows, step)]

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

    def _limited(
        self, deadline: Deadline, level: int, timeout_s: float | None, now: float
    ) -> tuple[Deadline, float]:
        """Return the deadline by a level's limits, and when a request goes behind the others."""
        if deadline.unlimited:
            deadline = deadline.tightened(self._default_deadline_s, now=now)
        limits = self._policy.limits_of(level)
        waits_s = limits.timeout_s or math.inf
        if timeout_s is not None and limits.allow_timeout_override:
            waits_s = min(waits_s, timeout_s)
        if limits.delays:
            return deadline, now + waits_s
        return deadline.tightened(waits_s, now=now), math.inf

    def _record(self, requests: Sequence[Request], rows: int, call: Call, now: float) -> None:
        first = last = requests[0]
        if len(requests) > 1:  # parts need not be run in their order
            first = min(requests, key=lambda part: part.run_began)
            last = max(requests, key=lambda part: part.run_ended)
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
            call.trailing += _whereabouts(first, now)


def _outcome(error: BaseException) -> Outcome:
    """Return what a call without an answer says about the model: as a rule, nothing.

    Refusals, deadlines and callers who leave do not; nor does an input that the model fails at
    while it does well otherwise.
    """
    return outcome_of(error) if isinstance(error, ModelFailed) else Outcome.IGNORED


def _require_in_time(now: float, deadline: Deadline) -> None:
    if now > deadline.at:
        raise Expired("the answer was ready after the deadline")


def _whereabouts(request: Request, now: float) -> list[tuple[str, Value]]:
    """Return how long a request was in the queue and, if it has left, in what company."""
    if request.batch_rows:
        waited_s = request.picked - request.arrived
        return [_queue_ms(waited_s), (BATCH, str(request.batch_rows))]
    return [_queue_ms(now - request.arrived)]


def _queue_ms(seconds: float) -> tuple[str, Value]:
    return QUEUE_MS, f"{seconds * 1e3:.3f}"


def _joined(parts: list[Tensors], wanted: Sequence[str]) -> Tensors:
    return {name: np.concatenate([part[name] for part in parts]) for name in wanted}
