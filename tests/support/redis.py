"""A Redis of one's own, on a private socket, that can be killed, stopped and started again."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Far longer than it takes.
START_S = 10.0


class RedisServer:
    """Redis as a process. It keeps nothing: what it knew is gone when it is started again."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "redis.sock"
        #: For `redis.url` in the configuration.
        self.url = f"unix://{self.socket}"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it takes commands."""
        assert self._process is None, "it is running"
        self._process = subprocess.Popen(
            [
                *("redis-server", "--port", "0", "--unixsocket", str(self.socket)),
                *("--save", "", "--appendonly", "no", "--daemonize", "no"),
                *("--dir", str(self._directory), "--logfile", "redis.log"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        ends = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, self._log()
            assert time.monotonic() < ends, f"no answer in {START_S:g} s:\n{self._log()}"
            time.sleep(0.005)

    def kill(self) -> None:
        """End it at once, as `kill -9` does. It may be started again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill it, and return when another one takes commands."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Have it keep its connections and do nothing, until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on, with all that was asked meanwhile."""
        self._signal(signal.SIGCONT)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Pause it for as long as the block lasts."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "it is not running"
        self._process.send_signal(number)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
            connection.settimeout(START_S)
            connection.connect(str(self.socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(16) == b"+PONG\r\n"
        return False

    def _log(self) -> str:
        with contextlib.suppress(OSError):
            return (self._directory / "redis.log").read_text(errors="replace")
        return ""


@contextlib.contextmanager
def running_redis(directory: Path) -> Iterator[RedisServer]:
    """Run one for as long as the block lasts. Skips the test where there is no Redis."""
    if shutil.which("redis-server") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server is not installed")
        pytest.skip("redis-server is not installed")
    server = RedisServer(directory)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Return a Redis that no other test uses."""
    with running_redis(tmp_path) as server:
        yield server
