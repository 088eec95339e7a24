"""The blocking client."""

import random as random_numbers
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

import grpc
from google.protobuf.message import Message

from inferd_client import _calls
from inferd_client._answers import (
    Answer,
    InferResult,
    ModelMetadata,
    ModelState,
    ModelStatistics,
    Parameters,
    ServerMetadata,
    StreamAnswer,
)
from inferd_client._attempts import Tactics
from inferd_client._calls import Criticality, InferRequest, LoadParameters, Metadata, Response
from inferd_client._channel import DEFAULT_TARGET, Options, channel_options
from inferd_client._hedge import HedgePolicy
from inferd_client._retry import RetryPolicy
from inferd_client._sender import Sender
from inferd_client._streams import Outgoing, answers
from inferd_client._tensors import Tensor


class Client:
    """A connection to one server, for programs with threads. All methods are thread-safe::

        with Client("127.0.0.1:8001") as client:
            answer = client.infer("digits", {"pixels": pixels}, timeout_s=0.05)
            answer["label"]  # int64 [rows, 1]

    Timeouts are required, in seconds, and cover everything: connecting, every attempt and
    the waits between them. One too short for anything (`RetryPolicy.least_attempt_s`) raises
    `DeadlineExceeded` at once.

    Every method raises `InferdError`, of the subclass that names what happened. Which
    failures are retried first: see `RetryPolicy`; what is sent twice: see `HedgePolicy`.
    """

    def __init__(
        self,
        target: str | grpc.Channel = DEFAULT_TARGET,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Metadata = (),
        options: Options = (),
        retry: RetryPolicy | None = None,
        hedge: HedgePolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random_numbers.random,
    ) -> None:
        """Connect lazily to `host:port`, or use a channel, which stays the caller's to close.

        Args:
            target: The server's address or an open channel.
            credentials: For TLS. None: plain text, fit for loopback only.
            metadata: Sent with every call, e.g. `{"authorization": "Bearer ..."}`.
            options: gRPC channel arguments, over the defaults: messages of up to 64 MiB
                either way, no keepalive, none of gRPC's own retries.
            retry: When to retry; None for the defaults.
            hedge: When to send a call again that is not answered yet; None for never.
            clock: Monotonic, in seconds.
            sleep: Waits for that many seconds between attempts.
            random: Numbers in [0, 1) that spread the back-off.
        """
        self._owned = _open(target, credentials, options) if isinstance(target, str) else None
        self._sender = Sender(
            target if self._owned is None else self._owned,
            Tactics(retry or RetryPolicy(), hedge, random),
            metadata=_calls.pairs(metadata),
            clock=clock,
            sleep=sleep,
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. Calls under way raise `Cancelled`; later ones are misuse."""
        if self._owned is not None:
            self._owned.close()

    def infer(
        self,
        model: str,
        inputs: Mapping[str, Tensor],
        *,
        timeout_s: float,
        version: str = "",
        outputs: Sequence[str] | None = None,
        request_id: str = "",
        parameters: Parameters | None = None,
        metadata: Metadata = (),
        priority: int | None = None,
        explain: bool = False,
        criticality: Criticality | None = None,
        hedge: HedgePolicy | None = None,
    ) -> InferResult:
        """Run a model on one request.

        Args:
            model: The model's name.
            inputs: An array per input, in the model's shapes, e.g. `[rows, 64]`; the dtype
                decides the protocol's datatype. BYTES and BF16: see `BFloat16` and the README.
            timeout_s: The time the answer is worth waiting for.
            version: Of the model; empty for the highest that is ready.
            outputs: The names of those wanted; None for all.
            request_id: Echoed in the answer.
            parameters: Values beside the tensors, for the model or the server.
            metadata: Sent with this call, after the client's own.
            priority: The protocol's `priority` parameter; None leaves it to the server.
            explain: Ask the server to say where the time went (`InferResult.latency`).
            criticality: What the answer is worth to you where there is not enough for all;
                None is the same as `CRITICAL`.
            hedge: When to send it again, if not as the client does. Requests of a sequence
                (`sequence_id` among the parameters) never are.

        Raises:
            InvalidRequest: A tensor does not fit the model; `violations` names the fields.
            NotFound: No such model, or no such version of it.
            Unavailable: Loading, draining, shedding load, or out of reach.
            DeadlineExceeded: No answer could be ready in time.
            ServerError: The model failed on this request.
        """
        request = InferRequest(
            model=model,
            inputs=inputs,
            version=version,
            outputs=outputs,
            request_id=request_id,
            parameters=parameters or {},
            priority=priority,
        )
        ask = _calls.infer(request, metadata=metadata, explain=explain, criticality=criticality)
        return self._sender.ask(ask, timeout_s, hedge)

    def infer_stream(
        self, requests: Iterable[InferRequest], *, timeout_s: float, metadata: Metadata = ()
    ) -> Generator[StreamAnswer, None, None]:
        """Run requests one after another on one stream; yield the answers as they come.

        The timeout is for the whole stream, and nothing on it is retried. `requests` is
        iterated by another thread. To stop early, close the iterator; the rest is cancelled.

        Raises:
            InferdError: The stream broke. One request's failure is a `StreamAnswer`.
        """
        outgoing = Outgoing(requests)
        rpc = self._sender.stream(iter(outgoing), timeout_s, _calls.pairs(metadata))
        return answers(rpc, outgoing)

    def call(
        self,
        method: str,
        request: Message,
        response: type[Response],
        *,
        timeout_s: float,
        metadata: Metadata = (),
        criticality: Criticality | None = None,
        repeatable: bool = False,
        hedge: HedgePolicy | None = None,
    ) -> Answer[Response]:
        """Call any unary RPC of any service that the server has.

        Args:
            method: `/package.Service/Method`.
            request: What to send.
            response: The class of the message that comes back.
            timeout_s: The time the answer is worth waiting for.
            metadata: Sent with this call, after the client's own.
            criticality: What the answer is worth to you where there is not enough for all.
            repeatable: Whether it does no harm if the server does it twice. Others are not
                hedged, and retried only if the server invites it or never saw them.
            hedge: When to send it again, if not as the client does.

        Raises:
            ValueError: `method` is no path.
            InferdError: Of the subclass that names what happened.
        """
        ask = _calls.any_unary(
            method,
            request,
            response,
            metadata=metadata,
            criticality=criticality,
            repeatable=repeatable,
        )
        return self._sender.ask(ask, timeout_s, hedge)

    def server_live(self, *, timeout_s: float) -> bool:
        """Return whether the process is up."""
        return self._sender.ask(_calls.server_live(), timeout_s)

    def server_ready(self, *, timeout_s: float) -> bool:
        """Return whether all models that should serve are ready."""
        return self._sender.ask(_calls.server_ready(), timeout_s)

    def model_ready(self, model: str, *, timeout_s: float, version: str = "") -> bool:
        """Return whether that version of the model, or with no version any, is ready."""
        return self._sender.ask(_calls.model_ready(model, version), timeout_s)

    def server_metadata(self, *, timeout_s: float) -> ServerMetadata:
        """Return the server's name, version and protocol extensions."""
        return self._sender.ask(_calls.server_metadata(), timeout_s)

    def model_metadata(self, model: str, *, timeout_s: float, version: str = "") -> ModelMetadata:
        """Return the model's inputs, outputs and versions.

        Raises:
            NotFound: No such model, or no such version of it.
        """
        return self._sender.ask(_calls.model_metadata(model, version), timeout_s)

    def repository_index(self, *, timeout_s: float, ready: bool = False) -> tuple[ModelState, ...]:
        """Return every model version in the repositories; with `ready`, only those."""
        return self._sender.ask(_calls.repository_index(ready=ready), timeout_s)

    def load_model(
        self, model: str, *, timeout_s: float, parameters: LoadParameters | None = None
    ) -> None:
        """Load the model, or load it again. Returns once it is ready.

        `parameters` are the protocol's: `config` (JSON) and `file:<path>` (bytes).
        """
        self._sender.ask(_calls.load_model(model, parameters or {}), timeout_s)

    def unload_model(
        self, model: str, *, timeout_s: float, unload_dependents: bool = False
    ) -> None:
        """Unload the model, once its calls in flight have finished."""
        ask = _calls.unload_model(model, unload_dependents=unload_dependents)
        self._sender.ask(ask, timeout_s)

    def statistics(
        self, model: str = "", *, timeout_s: float, version: str = ""
    ) -> tuple[ModelStatistics, ...]:
        """Return counts and times since loading, per version; with no name, of all models."""
        return self._sender.ask(_calls.statistics(model, version), timeout_s)


def _open(
    target: str, credentials: grpc.ChannelCredentials | None, options: Options
) -> grpc.Channel:
    arguments = channel_options(options)
    if credentials is None:
        return grpc.insecure_channel(target, options=arguments)
    return grpc.secure_channel(target, credentials, options=arguments)
