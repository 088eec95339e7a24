"""What the clients need around a channel: its options, an attempt's metadata, its failure."""

import asyncio
from collections.abc import Iterable
from operator import methodcaller
from typing import Any

from inferd_client._calls import Pairs
from inferd_client._errors import Cancelled, InferdError, error_of
from inferd_client._trailing import mapping_of

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
DEFAULT_TARGET = "127.0.0.1:8001"
ATTEMPTS_KEY = "grpc-previous-rpc-attempts"

SERIALIZE = methodcaller("SerializeToString")
"""A message's bytes, whatever its type."""

Options = Iterable[tuple[str, Any]]
"""gRPC channel arguments."""

_OPTIONS: dict[str, Any] = {
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    # This package retries. Two layers of retries multiply.
    "grpc.enable_retries": 0,
    # gRPC waits a second before it tries to connect again, longer than the retries last.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 5000,
}


def channel_options(given: Options) -> list[tuple[str, Any]]:
    """Return the channel arguments: the package's, overruled by those given."""
    return list((_OPTIONS | dict(given)).items())


def attempt_metadata(metadata: Pairs, made: int) -> Pairs:
    """Return the metadata of an attempt, which says how many were made before, as gRPC's do."""
    return (*metadata, (ATTEMPTS_KEY, str(made))) if made else metadata


def read_failure(rpc: Any) -> InferdError:
    """Return the error for a `grpc.RpcError` or `grpc.aio.AioRpcError`."""
    return error_of(rpc.code(), rpc.details() or "", mapping_of(rpc.trailing_metadata()))


def raise_if_closed() -> None:
    """On an `asyncio.CancelledError`: raise `Cancelled` unless somebody cancelled this task.

    gRPC raises `CancelledError` also when a channel is closed, and a task that nobody
    cancelled would end without a word.
    """
    task = asyncio.current_task()
    if task is not None and not task.cancelling():
        raise Cancelled("the connection was closed while the call was under way") from None
