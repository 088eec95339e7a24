"""A PostgreSQL of one's own, on a private socket, that can be stopped and started again.

It refuses to be root's, so that tests run by root have it run by a user who is nobody.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inferd import config

#: Far longer than it takes.
START_S = 30.0
#: Where Debian has what is not meant to be run by hand.
DEBIAN = Path("/usr/lib/postgresql")


class PostgresServer:
    """PostgreSQL as a process. What is in its directory stays until that is deleted."""

    def __init__(self, binaries: Path, directory: Path) -> None:
        #: For `postgres.url` in the configuration.
        self.url = f"postgresql://inferd@/postgres?host={directory}"
        self._binaries = binaries
        self._data = directory / "data"
        self._socket = directory
        self._user = "nobody" if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make what it keeps its data in."""
        if self._user is not None:
            shutil.chown(self._socket, self._user)
        made = self._run("initdb", "--username=inferd", "--auth=trust", "--no-sync", "-E", "UTF8")
        output, _ = made.communicate()
        assert made.returncode == 0, output.decode()

    def start(self) -> None:
        """Return when it takes statements."""
        assert self._process is None, "it is running"
        options = {"listen_addresses": "", "unix_socket_directories": self._socket, "fsync": "off"}
        given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._process = self._run("postgres", *given)
        ends = time.monotonic() + START_S
        while not self._is_ready(self._process.pid):
            assert self._process.poll() is None, "it has ended"
            assert time.monotonic() < ends, f"not ready in {START_S:g} s"
            time.sleep(0.005)

    def stop(self) -> None:
        """End it at once, with all of its connections. It may be started again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Have it keep its connections and do nothing for as long as the block lasts."""
        assert self._process is not None, "it is not running"
        first = self._process.pid
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        processes = [first, *map(int, children)]
        for each in processes:
            os.kill(each, signal.SIGSTOP)
        try:
            yield
        finally:
            for each in processes:
                os.kill(each, signal.SIGCONT)

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self._binaries / program, "-D", self._data, *arguments],
            user=self._user,
            group=None if self._user is None else "nogroup",
            extra_groups=None if self._user is None else [],
            cwd=self._socket,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )

    def _is_ready(self, pid: int) -> bool:
        """Whether its file says so: the first line is the process, the last one how it is."""
        with contextlib.suppress(OSError):
            lines = (self._data / "postmaster.pid").read_text().split()
            return lines[:1] == [str(pid)] and lines[-1] == "ready"
        return False


def binaries() -> Path | None:
    """Return where PostgreSQL's programs are; None where it is not installed."""
    if (found := shutil.which("initdb")) is not None:
        return Path(found).resolve().parent
    versions = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda it: float(it.parts[-3]))
    return versions[-1].parent if versions else None


@contextlib.contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Run one for as long as the block lasts. Skips the test where there is no PostgreSQL."""
    if (where := binaries()) is None:
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL is not installed")
        pytest.skip("PostgreSQL is not installed")
    # Not where pytest has its directories: nobody else may enter those.
    with tempfile.TemporaryDirectory(prefix="inferd-postgres-") as directory:
        server = PostgresServer(where, Path(directory))
        server.create()
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Return a PostgreSQL that many tests share: each has a prefix of its own for its keys."""
    with running_postgres() as server:
        yield server


def a_postgres(server: PostgresServer, **settings: object) -> config.Postgres:
    """Return the configuration of whoever connects to it."""
    return config.Postgres.model_validate({"url": server.url, **settings})
