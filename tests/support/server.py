"""`inferd serve` as its users have it: a process of its own, ended by its pid.

Leaving the block is part of the test: the server must end as it should, with the exit code
that was expected and no traceback in its log.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.transports import Transport, run_directory

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = ROOT / "tests" / "repository"
INFERD = (sys.executable, "-m", "inferd")
#: Tests have other things to wait for than a good estimate of how long a run takes.
HASTY = {"INFERD__INFERENCE__WARMUP_RUNS": "1"}
#: Far more than a start takes, and a stop: what hangs should fail, not what is slow.
START_S = 60.0
STOP_S = 60.0

_ADDRESS = re.compile(r"^  gRPC +(?P<host>\S+):(?P<port>\d+)$", re.MULTILINE)
_HTTP = re.compile(r"^  health +http://\S+:(?P<port>\d+)/", re.MULTILINE)
_LAST_LINE = re.compile(r"^  grpcurl .* list$")


class NotStarted(AssertionError):
    """The server ended, or said nothing, before it announced itself."""


@dataclass(slots=True)
class Server:
    """A process that serves, or did."""

    process: "subprocess.Popen[str]"
    host: str
    port: int
    http_port: int
    #: What it printed when it was ready.
    announcement: str
    #: Its standard error.
    log: Path
    #: What it is expected to end with.
    exit_code: int = 0
    #: Whether tracebacks in its log are what the test is about.
    alarming: bool = False
    #: What Envoy's process keeps for itself, where that is known.
    run_directory: Path | None = None
    #: Whether it has been told to stop.
    told: bool = field(default=False, init=False)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def http(self) -> str:
        return f"http://{self.host}:{self.http_port}"

    def logged(self) -> str:
        return self.log.read_text(errors="replace")

    def get(self, path: str) -> str:
        """Ask for a page over HTTP."""
        with urllib.request.urlopen(f"{self.http}{path}", timeout=STOP_S) as response:
            text: str = response.read().decode()
        return text

    def signal(self, number: signal.Signals) -> None:
        self.told = True
        self.process.send_signal(number)

    def ended(self, *, within_s: float = STOP_S) -> int:
        """Wait for the end and return the exit code, negative for the signal that killed it."""
        return self.process.wait(within_s)


@contextmanager
def serving(
    directory: Path,
    *arguments: str,
    repository: Path | Sequence[Path] = REPOSITORY,
    port: int = 0,
    exit_code: int = 0,
    alarming: bool = False,
    transport: Transport | None = "grpcio",
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run a server for as long as the block lasts, unless the block ends it itself.

    A test that does not care for the transport need not name one. `directory` gets the log.
    Raises `NotStarted` with what it said instead, and
    `AssertionError` when it does not end as it should.
    """
    log = directory / "stderr.log"
    paths = [repository] if isinstance(repository, Path) else repository
    command = [*INFERD, "serve", "--port", str(port), "--http-port", "0", *arguments]
    for path in paths:
        command += ["--repository", str(path)]
    with log.open("w") as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=server_environment(transport) | dict(environment or {}),
            cwd=ROOT,
            text=True,
            start_new_session=True,
        )
    try:
        server = _announced(process, log)
        server.exit_code, server.alarming = exit_code, alarming
        try:
            yield server
            _end(server)
        finally:
            _sweep(server)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def without(directory: Path, *modules: str) -> dict[str, str]:
    """Return what to add to an environment in which modules cannot be imported.

    `directory` gets a file that Python runs when it starts, embedded or not.
    """
    hide = f"import sys\nsys.modules.update(dict.fromkeys({modules!r}))\n"
    (directory / "sitecustomize.py").write_text(hide)
    return {"PYTHONPATH": str(directory)}


def copy_model(name: str, target: Path, *, batching: str = "dynamic_batching { }") -> None:
    """Copy a probe to `target`, whose name it gets, with other batching."""
    shutil.copytree(REPOSITORY / name, target)
    config = target / "config.pbtxt"
    text = config.read_text().replace(f'name: "{name}"', f'name: "{target.name}"', 1)
    config.write_text(text.replace("dynamic_batching { }", batching))


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds that nobody tells us of."""
    give_up = time.monotonic() + START_S
    while not holds():
        assert time.monotonic() < give_up, "it never came to hold"
        time.sleep(0.01)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would configure a server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("INFERD__")}


def server_environment(transport: Transport | None) -> dict[str, str]:
    """Return the environment of a server that is to start quickly, on this transport if any."""
    chosen = {} if transport is None else {"INFERD__SERVER__TRANSPORT": transport}
    return {**clean_environment(), **HASTY, **chosen}


def _announced(process: "subprocess.Popen[str]", log: Path) -> Server:
    # Reading blocks until there is a line or an end; the watchdog makes an end.
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    lines: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if _LAST_LINE.match(line):
                break
    finally:
        watchdog.cancel()
        watchdog.join()
    text = "".join(lines)
    address, http = _ADDRESS.search(text), _HTTP.search(text)
    if not address or not http:
        code = process.wait(STOP_S)
        raise NotStarted(f"exit code {code}\n{text}\n{log.read_text(errors='replace')}")
    return Server(
        process=process,
        host=address["host"],
        port=int(address["port"]),
        http_port=int(http["port"]),
        announcement=text,
        log=log,
        run_directory=run_directory(process.pid),
    )


def _end(server: Server) -> None:
    """Stop the server unless it has been told to, and look at how it ended."""
    if not server.told:
        server.signal(signal.SIGTERM)
    try:
        code = server.ended()
    except subprocess.TimeoutExpired:
        raise AssertionError(f"it did not stop within {STOP_S} s:\n{_tail(server)}") from None
    assert code == server.exit_code, f"exit code {code}:\n{_tail(server)}"
    if server.run_directory is not None and code == 0:
        assert not server.run_directory.exists(), "it left something behind"
    log = server.logged()
    at = log.find("Traceback")
    assert at < 0 or server.alarming, log[max(0, at - 500) : at + 4000]


def _sweep(server: Server) -> None:
    """Remove what a server that was killed had no time to."""
    if server.run_directory is not None:
        shutil.rmtree(server.run_directory, ignore_errors=True)


def _tail(server: Server) -> str:
    return server.logged()[-4000:]
