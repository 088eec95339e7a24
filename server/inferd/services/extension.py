"""Services that are not part of this package, on the same core.

A service is a `.proto` and a class whose methods are its RPCs in snake_case. `server.services`
names functions that make them; each gets the parts of the server to build on, and returns what
there is to serve:

    def services(host: Host) -> list[Service]:
        return [Service(ranking_pb2.DESCRIPTOR.services_by_name["Ranking"], Ranking(host))]
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from google.protobuf.descriptor import ServiceDescriptor

from inferd.deadline import Clock
from inferd.inference.models import Models
from inferd.resilience.toolbox import Toolbox

if TYPE_CHECKING:  # it takes a while to import, and most servers have none
    from inferd.cache.connection import Redis


@dataclass(frozen=True, slots=True)
class Host:
    """What a service is built on. Nothing of it may be used before the event loop runs."""

    models: Models
    #: Guards for what can be slow or broken, and endpoints with budgets and ladders.
    toolbox: Toolbox
    #: Redis; None where none is configured. What goes wrong with it: `cache.connection.translated`.
    redis: "Redis | None"
    #: What `server.service_options` says: not checked by anybody yet.
    options: Mapping[str, Any]
    clock: Clock
    #: What a service opens, it has closed by this, once the last call has been answered.
    closing: AsyncExitStack


class Service(NamedTuple):
    """A service and who answers it."""

    descriptor: ServiceDescriptor
    implementation: object


Extension = Callable[[Host], Iterable[Service]]
"""What `server.services` names. Nothing runs yet when it is called, be it by `inferd check`."""
