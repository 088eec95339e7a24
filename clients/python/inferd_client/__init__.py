"""A typed client for inferd and any other server of the Open Inference Protocol v2.

`Client` blocks, `AsyncClient` awaits; they share everything but that. Arrays in, arrays
out, a timeout on every call, errors named for the event, and retries only where the server
invites them. Nothing of the server is imported but the protocol's messages, which live in
a descriptor pool of their own: `tritonclient` may be used in the same process.
"""

from inferd_client._aio import AsyncClient
from inferd_client._answers import (
    Answer,
    BatchStatistics,
    InferResult,
    ModelMetadata,
    ModelState,
    ModelStatistics,
    ServerMetadata,
    StreamAnswer,
    Tally,
    TensorMetadata,
)
from inferd_client._calls import Criticality, InferRequest
from inferd_client._client import Client
from inferd_client._errors import (
    Cancelled,
    Conflict,
    DeadlineExceeded,
    Details,
    FieldViolation,
    InferdError,
    InvalidRequest,
    MalformedAnswer,
    NotFound,
    PermissionDenied,
    RequestFailed,
    ResourceExhausted,
    ServerError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from inferd_client._hedge import HedgePolicy
from inferd_client._retry import RetryPolicy
from inferd_client._tensors import BFloat16
from inferd_client._trailing import Degradation

__all__ = [
    "Answer",
    "AsyncClient",
    "BFloat16",
    "BatchStatistics",
    "Cancelled",
    "Client",
    "Conflict",
    "Criticality",
    "DeadlineExceeded",
    "Degradation",
    "Details",
    "FieldViolation",
    "HedgePolicy",
    "InferRequest",
    "InferResult",
    "InferdError",
    "InvalidRequest",
    "MalformedAnswer",
    "ModelMetadata",
    "ModelState",
    "ModelStatistics",
    "NotFound",
    "PermissionDenied",
    "RequestFailed",
    "ResourceExhausted",
    "RetryPolicy",
    "ServerError",
    "ServerMetadata",
    "StreamAnswer",
    "Tally",
    "TensorMetadata",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
]
