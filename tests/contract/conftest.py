"""The echo server behind either transport: whoever uses `a_wire` runs for both."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from support.transports import TRANSPORTS, Transport
from support.wire import Servers, Wires, wires


@pytest.fixture(scope="session", params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> Transport:
    name: Transport = request.param
    return name


@pytest.fixture(scope="session")
def servers(transport: Transport, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(transport, tmp_path_factory.mktemp(transport), stack)


@pytest.fixture
def a_wire(servers: Servers) -> Wires:
    """Return what opens a wire. Tests that want the same settings share a server."""
    return wires(servers)
