"""From a service's descriptor and an object with its methods to what a transport can serve.

There are no generated stubs: a method is its RPC's name in snake_case, and the descriptor
knows the rest. A transport moves bytes; it looks up a route by path and needs no message
class, so that every transport serves the same routes.
"""

import inspect
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Route:
    """One method: where it is found, how its messages become bytes, and who answers."""

    #: The full path, e.g. `/inference.GRPCInferenceService/ModelInfer`.
    path: str
    #: The request's full name, for the caller who sent something else.
    request_name: str
    client_streaming: bool
    server_streaming: bool
    #: From a message's bytes; raises protobuf's `DecodeError`.
    decode: Callable[[bytes], Any]
    #: To a message's bytes. A handler may have encoded its answer already: bytes stay bytes.
    encode: Callable[[Any], bytes]
    #: `async (request, call) -> answer`. Where the client streams, the request is an
    #: asynchronous iterator; where the server streams, the handler is an asynchronous
    #: generator function.
    handler: Callable[..., Any]
    #: Answered while the server drains, too: health and the like.
    unconditional: bool = False


def bind(
    service: ServiceDescriptor,
    implementation: object,
    *,
    unconditional: Collection[str] | None = (),
) -> list[Route]:
    """Return one route per method of `service`, answered by `implementation`.

    `unconditional` names the RPCs that answer while the server drains; None is all of them.
    Raises `TypeError` when a method is missing or of the wrong kind, naming it.
    """
    if unknown := set(unconditional or ()) - {method.name for method in service.methods}:
        raise TypeError(f"{service.full_name} has no method {min(unknown)}")
    return [
        _route(
            service,
            method,
            _handler(service, method, implementation),
            unconditional is None or method.name in unconditional,
        )
        for method in service.methods
    ]


def snake_case(name: str) -> str:
    """Return an RPC's name as its method is called: `ModelInfer` is `model_infer`."""
    return _WORD.sub("_", name).lower()


def _route(
    service: ServiceDescriptor,
    method: MethodDescriptor,
    handler: Callable[..., Any],
    unconditional: bool,
) -> Route:
    return Route(
        path=f"/{service.full_name}/{method.name}",
        request_name=method.input_type.full_name,
        client_streaming=method.client_streaming,
        server_streaming=method.server_streaming,
        decode=GetMessageClass(method.input_type).FromString,
        encode=_encode,
        handler=handler,
        unconditional=unconditional,
    )


def _handler(
    service: ServiceDescriptor, method: MethodDescriptor, implementation: object
) -> Callable[..., Any]:
    name, owner = snake_case(method.name), type(implementation).__name__
    handler: Callable[..., Any] | None = getattr(implementation, name, None)
    if handler is None:
        raise TypeError(f"{owner} has no method {name} to answer {service.full_name}.{method.name}")
    if method.server_streaming:
        if not inspect.isasyncgenfunction(handler):
            raise TypeError(f"{owner}.{name} must be an async generator: its answers are a stream")
    elif not inspect.iscoroutinefunction(handler):
        raise TypeError(f"{owner}.{name} must be `async def` and return its answer")
    return handler


def _encode(answer: Any) -> bytes:
    if type(answer) is bytes:
        return answer
    encoded: bytes = answer.SerializeToString()
    return encoded
