"""Is it safe to send work here? `grpc.health.v1`, as balancers, probes and clients ask it.

The names one may ask about are `""` (the whole server; so are the names of its gRPC
services), a model, and `model/version`. A watch is told of every change and nothing else:
it sleeps on what the models announce.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any, Protocol

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2

from inferd.call import Call
from inferd.errors import Draining, NotFound
from inferd.services.routes import Route, bind

PACKAGE = "grpc.health.v1"


class Entry(Protocol):
    """One version of one model."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def version(self) -> str:
        """Its version's number."""


class Models(Protocol):
    """What health asks of the models."""

    @property
    def serving(self) -> bool:
        """Whether the server as a whole takes work."""

    def index(self) -> Sequence[Entry]:
        """Return every version of every model."""

    def is_ready(self, name: str, version: str = "") -> bool:
        """Return whether a model can run."""

    def watch(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have `listener` called after any change, until the result is called."""


def _described() -> ServiceDescriptor:
    """Return the service, with the `List` that the installed package may be too old for."""
    file = FileDescriptorProto()
    health_pb2.DESCRIPTOR.CopyToProto(file)
    if all(method.name != "List" for method in file.service[0].method):
        _add_list(file)
    pool = DescriptorPool()
    pool.Add(file)
    return pool.FindServiceByName(f"{PACKAGE}.Health")


def _add_list(file: FileDescriptorProto) -> None:
    file.message_type.add(name="HealthListRequest")
    response = file.message_type.add(name="HealthListResponse")
    entry = response.nested_type.add(name="StatusesEntry")
    entry.options.map_entry = True
    one, many = FieldDescriptorProto.LABEL_OPTIONAL, FieldDescriptorProto.LABEL_REPEATED
    text, message = FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_MESSAGE
    of_map = f".{PACKAGE}.HealthListResponse.StatusesEntry"
    of_value = f".{PACKAGE}.HealthCheckResponse"
    entry.field.add(name="key", number=1, label=one, type=text)
    entry.field.add(name="value", number=2, label=one, type=message, type_name=of_value)
    response.field.add(name="statuses", number=1, label=many, type=message, type_name=of_map)
    file.service[0].method.add(
        name="List",
        input_type=f".{PACKAGE}.HealthListRequest",
        output_type=f".{PACKAGE}.HealthListResponse",
    )


SERVICE = _described()
_MESSAGES = SERVICE.file.message_types_by_name
HealthCheckResponse: Any = GetMessageClass(_MESSAGES["HealthCheckResponse"])
HealthListResponse: Any = GetMessageClass(_MESSAGES["HealthListResponse"])

SERVING: int = HealthCheckResponse.SERVING
NOT_SERVING: int = HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN: int = HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """Answers `grpc.health.v1.Health`.

    When the server is about to stop, `drain` says NOT_SERVING of everything, so that callers
    go elsewhere while calls are still taken; `stop` then ends the watches.
    """

    def __init__(self, models: Models, *, services: Collection[str] = ()) -> None:
        self._models = models
        self._server_names = ("", *sorted(services))
        self._watches: set[asyncio.Event] = set()
        self._draining = False
        self._stopped = False

    def routes(self) -> list[Route]:
        """Return the service's routes."""
        return bind(SERVICE, self, unconditional=None)

    def drain(self) -> None:
        """Say NOT_SERVING from now on, whatever the models say."""
        self._draining = True
        self._tell()

    def stop(self) -> None:
        """End the watches: they would outlive every drain."""
        self._stopped = self._draining = True
        self._tell()

    async def check(self, request: Any, _: Call) -> Any:
        """Return the status now; NOT_FOUND for a name that nobody has."""
        status = self._status(request.service)
        if status == SERVICE_UNKNOWN:
            raise NotFound(f"unknown service {request.service!r}")
        return HealthCheckResponse(status=status)

    async def list(self, _request: Any, _: Call) -> Any:
        """Return the status of every name there is."""
        names = [*self._server_names]
        for entry in self._models.index():
            names += (entry.name, f"{entry.name}/{entry.version}")
        return HealthListResponse(
            statuses={name: HealthCheckResponse(status=self._status(name)) for name in names}
        )

    async def watch(self, request: Any, _: Call) -> AsyncIterator[Any]:
        """Yield the status now and whenever it changes. Unknown names may become known."""
        changed = asyncio.Event()
        self._watches.add(changed)
        forget = self._models.watch(changed.set)
        last = None
        try:
            while not self._stopped:
                changed.clear()
                status = self._status(request.service)
                if status != last:
                    last = status
                    yield HealthCheckResponse(status=status)
                await changed.wait()
            raise Draining("the server is shutting down")
        finally:
            forget()
            self._watches.discard(changed)

    def _status(self, service: str) -> int:
        if service in self._server_names:
            ready = self._models.serving
        else:
            name, _, version = service.partition("/")
            if not self._known(name, version):
                return SERVICE_UNKNOWN
            ready = self._models.is_ready(name, version)
        return SERVING if ready and not self._draining else NOT_SERVING

    def _known(self, name: str, version: str) -> bool:
        return any(
            entry.name == name and version in ("", entry.version) for entry in self._models.index()
        )

    def _tell(self) -> None:
        for changed in self._watches:
            changed.set()
