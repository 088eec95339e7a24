"""How the blocking client gets a call answered: `Attempts` made with a channel and a clock.

Where one attempt follows another the thread makes each itself, as fast as gRPC can. Only a
call that may be hedged is made through futures, whose ends come in by a queue.
"""

import threading
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc import StatusCode

from inferd_client._attempts import Attempts, Tactics
from inferd_client._calls import STREAM, Ask, Method, Pairs, Result
from inferd_client._channel import SERIALIZE, attempt_metadata, read_failure
from inferd_client._errors import InferdError
from inferd_client._hedge import HedgePolicy
from inferd_client._trailing import mapping_of


class Sender:
    """Sends what a client asks, as often as it takes. Thread-safe."""

    def __init__(
        self,
        channel: grpc.Channel,
        tactics: Tactics,
        *,
        metadata: Pairs,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._channel = channel
        self._tactics = tactics
        self._metadata = metadata
        self._clock = clock
        self._sleep = sleep
        self._rpcs: dict[Method, Any] = {}
        self._lock = threading.Lock()  # for the tactics, and every attempt that shares them

    def ask(self, ask: Ask[Result], timeout_s: float, hedge: HedgePolicy | None = None) -> Result:
        """Return the answer. Raises `InferdError`."""
        with self._lock:
            now = self._clock()
            attempts = self._tactics.attempts(now=now, timeout_s=timeout_s, ask=ask, hedge=hedge)
        answer, rpc = (self._race if attempts.may_overlap else self._relay)(ask, attempts)
        with self._lock:
            attempts.answered(self._clock())
        return ask.read(answer, mapping_of(rpc.trailing_metadata()))

    def stream(self, requests: Iterable[Message], timeout_s: float, metadata: Pairs) -> Any:
        """Open the stream of requests and answers."""
        attempts = self._tactics.attempts(now=self._clock(), timeout_s=timeout_s)
        return self._channel.stream_stream(
            STREAM.path,
            request_serializer=SERIALIZE,
            response_deserializer=STREAM.response.FromString,
        )(
            requests,
            timeout=attempts.remaining_s(self._clock()),
            metadata=self._metadata + metadata,
        )

    def _relay(self, ask: Ask[Any], attempts: Attempts) -> tuple[Any, Any]:
        """Make one attempt after another."""
        send = self._rpc(ask.method).with_call
        while True:
            self._begin(attempts)
            try:
                answered: tuple[Any, Any] = send(ask.message, **self._terms(ask, attempts))
            except grpc.RpcError as failure:
                error = read_failure(failure)
            else:
                return answered
            self._failed(attempts, error)
            self._sleep(attempts.wait_s(self._clock()) or 0.0)

    def _race(self, ask: Ask[Any], attempts: Attempts) -> tuple[Any, Any]:
        """Make several attempts at once, if need be."""
        send = self._rpc(ask.method).future
        under_way: set[Any] = set()
        ended: SimpleQueue[Any] = SimpleQueue()
        rpc = None
        try:
            while True:
                if rpc is None and self._begin(attempts):
                    rpc = send(ask.message, **self._terms(ask, attempts))
                    under_way.add(rpc)
                    rpc.add_done_callback(ended.put)
                rpc = _first(ended, attempts.wait_s(self._clock()))
                if rpc is not None:
                    under_way.remove(rpc)
                    if rpc.code() is StatusCode.OK:
                        return rpc.result(), rpc
                    self._failed(attempts, read_failure(rpc))
        finally:
            for rpc in under_way:
                rpc.cancel()

    def _begin(self, attempts: Attempts) -> bool:
        with self._lock:
            return attempts.begin(self._clock())

    def _failed(self, attempts: Attempts, error: InferdError) -> None:
        with self._lock:
            attempts.failed(error, self._clock())

    def _terms(self, ask: Ask[Any], attempts: Attempts) -> dict[str, Any]:
        return {
            "timeout": attempts.remaining_s(self._clock()),
            "metadata": attempt_metadata(self._metadata + ask.metadata, attempts.made - 1),
        }

    def _rpc(self, method: Method) -> Any:
        if method not in self._rpcs:
            self._rpcs[method] = self._channel.unary_unary(
                method.path,
                request_serializer=SERIALIZE,
                response_deserializer=method.response.FromString,
            )
        return self._rpcs[method]


def _first(ended: "SimpleQueue[Any]", within_s: float | None) -> Any:
    """Return the first that has ended; None if none does in time."""
    try:
        return ended.get(timeout=within_s)
    except Empty:
        return None
