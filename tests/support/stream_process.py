"""`inferd stream` as its users have it: a process of its own, with a Redis of the test's."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.server import HASTY, INFERD, REPOSITORY, START_S, STOP_S

_HTTP = re.compile(r"^  metrics +(?P<url>http://\S+)/metrics$", re.MULTILINE)
#: With a fallback, so that there is a result however late the model is on a busy machine.
ROUTE = {"model": "identity_fp32", "inputs": {"INPUT0": ["data.amount"]}, "fallback": -1.0}


@dataclass(slots=True)
class Process:
    """A stream's process."""

    process: "subprocess.Popen[str]"
    announcement: str
    log: Path

    @property
    def http(self) -> str:
        found = _HTTP.search(self.announcement)
        assert found is not None
        return found["url"]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """End it as one should, and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(STOP_S)

    def metric(self, name: str) -> float:
        """Return the sum of a metric's samples."""
        with urllib.request.urlopen(f"{self.http}/metrics", timeout=STOP_S) as response:
            text = response.read().decode()
        lines = [line for line in text.splitlines() if re.match(rf"{name}[ {{]", line)]
        return sum(float(line.rpartition(" ")[2]) for line in lines)


def write_config(directory: Path, redis_url: str = "", **stream: Any) -> Path:
    """Write a configuration for the models of the tests, and return where."""
    path = directory / "stream.yaml"
    models = ["identity_fp32", "slow"]
    path.write_text(
        yaml.safe_dump(
            {
                "repository": {
                    "paths": [str(REPOSITORY)],
                    "control_mode": "explicit",
                    "load_models": models,
                },
                "redis": {"url": redis_url},
                "stream": {"http_port": 0, "routes": {"buy": ROUTE}, **stream},
            }
        )
    )
    return path


@contextmanager
def streaming(config: Path) -> Iterator[Process]:
    """Run one for as long as the block lasts; kill what is left of it then."""
    log = config.with_name(f"stream-{time.monotonic_ns()}.log")
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*INFERD, "stream", "--config", str(config)],
            env={**os.environ, **HASTY},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    try:
        lines: list[str] = []
        while not (lines and lines[-1].startswith("kill -USR1")):
            line = process.stdout.readline()
            assert line, f"it ended before it began:\n{log.read_text()}"
            lines.append(line)
        yield Process(process, "".join(lines), log)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert "Traceback" not in log.read_text(), log.read_text()


def until(what: Callable[[], bool], *, within_s: float = START_S) -> None:
    """Return when it is so."""
    ends = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < ends, "it did not come to be so"
        time.sleep(0.02)


def bodies(entries: Any) -> list[dict[str, Any]]:
    """Return what was published, from a stream's entries."""
    return [json.loads(fields[b"body"]) for _, fields in entries]
