from collections.abc import Iterator

import pytest

from support.server import REPOSITORY, ROOT, Server, copy_model, serving
from support.transports import TRANSPORTS, Transport

NO_SHEDDING = {"INFERD__SERVER__ENVOY__SHED_ABOVE_BUSY": "1"}


@pytest.fixture(scope="session", params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> Transport:
    """Return what carries the calls. Whoever uses it, or the server, runs for both."""
    name: Transport = request.param
    return name


@pytest.fixture(scope="session")
def server(transport: Transport, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for every test that leaves no trace in it but counts.

    Besides the probes and the digits it serves `patient`: `poison`, but a batch waits until
    it is full, so that a test decides who shares one; and `calm`, the same for tests without
    poison, after which batches may be smaller. Envoy leaves it to the server to refuse.
    """
    directory = tmp_path_factory.mktemp("server")
    batching = "dynamic_batching { max_queue_delay_microseconds: 20000000 }"
    for name in ("patient", "calm"):
        copy_model("poison", directory / "models" / name, batching=batching)
    repositories = [REPOSITORY, ROOT / "model_repository", directory / "models"]
    with serving(
        directory, repository=repositories, transport=transport, environment=NO_SHEDDING
    ) as running:
        yield running
