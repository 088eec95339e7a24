"""The examples in other languages, as their users have them: built from source, run as programs."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.interop_programs import BUILD_S, LANGUAGES, Language, an_example, require_transport
from support.server import ROOT, Server, eventually, free_port, serving

pytestmark = pytest.mark.timeout(BUILD_S + 100)

AMPLE_S = 60.0
in_each_language = pytest.mark.parametrize("language", LANGUAGES, ids=lambda each: each.name)
REFUSED = "refused: inputs[0].shape: unexpected shape for input 'pixels' for model 'digits'."


@pytest.fixture(scope="module", params=["grpcio", "envoy"])
def server(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Server]:
    """Serve `digits`, and `patient`: the same, but it answers a full batch only."""
    require_transport(request.param)
    directory: Path = tmp_path_factory.mktemp("server")
    patient = directory / "models" / "patient"
    shutil.copytree(ROOT / "model_repository" / "digits", patient)
    config = (patient / "config.pbtxt").read_text()
    for old, new in (
        ('name: "digits"', 'name: "patient"'),
        ("dynamic_batching {", "dynamic_batching { max_queue_delay_microseconds: 60000000"),
    ):
        assert old in config
        config = config.replace(old, new, 1)
    (patient / "config.pbtxt").write_text(config)
    repositories = [ROOT / "model_repository", directory / "models"]
    environment = {"INFERD__SERVER__TRANSPORT": request.param}
    with serving(directory, repository=repositories, environment=environment) as running:
        yield running


def run(language: Language, *arguments: str) -> str:
    """Run the example to its good end and return what it printed."""
    directory = an_example(language)
    done = subprocess.run(
        [*language.command, *arguments],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=AMPLE_S,
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def cancelled(server: Server) -> int:
    """Return how many calls of a model have been cancelled."""
    found = re.search(
        r'^inferd_rpc_total\{code="CANCELLED",method="\S+/ModelInfer"\} (\d+)$',
        server.get("/metrics"),
        re.MULTILINE,
    )
    return int(found[1]) if found else 0


@in_each_language
def test_an_example(language: Language, server: Server) -> None:
    before, logged = cancelled(server), len(server.logged())

    ready, digit, refused, gave_up = run(language, server.address, "patient").splitlines()

    assert (ready, digit) == ("ready", "it is a 0, says version 2")
    assert refused.startswith(REFUSED)
    assert gave_up == "gave up on patient"
    eventually(lambda: cancelled(server) == before + 1)
    deadline = re.search(r"INVALID_ARGUMENT.* deadline_ms=([\d.]+)", server.logged()[logged:])
    assert deadline
    assert 0 < float(deadline[1]) <= 2001, "the deadline that the server saw"


@in_each_language
def test_an_example_without_a_server(language: Language) -> None:
    with pytest.raises(AssertionError, match=r"(?is)exit code 1:.*unavailable"):
        run(language, f"127.0.0.1:{free_port()}")
