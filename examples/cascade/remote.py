"""A model on another server, asked within what is left of the deadline here.

What is left goes along as `grpc-timeout`, and with it who asks and how much it matters: the other
server schedules by them, and by the time its answer would be late it has stopped.
"""

from cascade.catalogue import Vectors
from inferd.call import Call
from inferd.deadline import Clock, Deadline
from inferd.errors import (
    DependencyFailed,
    Exhausted,
    InvalidRequest,
    NotFound,
    Shed,
    TimedOut,
)
from inferd_client import AsyncClient, RetryPolicy
from inferd_client import DeadlineExceeded as TooLate
from inferd_client import InferdError as RemoteError
from inferd_client import InvalidRequest as Wrong
from inferd_client import NotFound as Missing
from inferd_client import ResourceExhausted as TooMuch
from inferd_client import Unavailable as Away


class RemoteModel:
    """One model of one server that speaks the Open Inference Protocol."""

    def __init__(self, target: str, model: str, clock: Clock) -> None:
        """Connect to `target`, as `host:port`, when it is first asked."""
        self._target = target
        self._model = model
        self._clock = clock
        self._client: AsyncClient | None = None

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._client is not None:
            await self._client.close()

    async def scores(self, call: Call, deadline: Deadline, features: Vectors) -> Vectors:
        """Return the model's `score`, of shape [n], for features of shape [n, width]."""
        # The guard here retries and hedges, within its allowance. Two layers would multiply.
        self._client = self._client or AsyncClient(self._target, retry=RetryPolicy(max_attempts=1))
        try:
            answer = await self._client.infer(
                self._model,
                {"features": features},
                timeout_s=deadline.remaining(self._clock()),
                metadata=call.onward,
            )
        except RemoteError as error:
            raise _ours(error, self._target) from error
        scores: Vectors = answer["score"][:, 0]
        return scores


def _ours(error: RemoteError, target: str) -> Exception:
    """Return the error that says here what another server's says there."""
    text = f"{target}: {error.message}"
    match error:
        case Wrong():
            return InvalidRequest(text)
        case Missing():
            return NotFound(text)
        case TooLate():
            return TimedOut(text)
        case TooMuch():
            return Exhausted(text)
        case Away() if error.reason == Shed.reason:
            return Shed(text, retry_after_s=error.retry_after_s)
        case _:
            return DependencyFailed(text)
