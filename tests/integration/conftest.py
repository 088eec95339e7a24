from collections.abc import Iterator

import pytest

from support.server import REPOSITORY, ROOT, Server, copy_model, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for every test that leaves no trace in it but counts.

    Besides the probes and the digits it serves `patient`: `poison`, but a batch waits until
    it is full, so that a test decides who shares one.
    """
    directory = tmp_path_factory.mktemp("server")
    batching = "dynamic_batching { max_queue_delay_microseconds: 20000000 }"
    copy_model("poison", directory / "models" / "patient", batching=batching)
    repositories = [REPOSITORY, ROOT / "model_repository", directory / "models"]
    with serving(directory, repository=repositories) as running:
        yield running
