"""h2load as a gRPC load generator: much lighter than a Python one, and blind to gRPC.

It posts the same framed message over and over in a closed loop. It sees HTTP status 200
for every gRPC error, but it also counts the bytes of the bodies: an error has none, so the
answers that were real follow from the bytes of one answer that was checked.
"""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from inferd_perf.payload import INFER_PATH
from inferd_perf.stats import Durations

PACKAGE = "nghttp2-client"

_FINISHED = re.compile(r"^finished in ([\d.]+)(us|ms|s|m|h),", re.MULTILINE)
_REQUESTS = re.compile(
    r"^requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, "
    r"(\d+) failed, (\d+) errored, (\d+) timeout",
    re.MULTILINE,
)
_DATA = re.compile(r"\((\d+)\) data$", re.MULTILINE)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def installed() -> bool:
    """Return whether there is an h2load to run."""
    return shutil.which("h2load") is not None


def split(concurrency: int, channels: int) -> tuple[int, int]:
    """Return connections and streams on each, whose product is exactly `concurrency`."""
    connections = next(n for n in range(min(channels, concurrency), 0, -1) if concurrency % n == 0)
    return connections, concurrency // connections


def command(
    target: str,
    body: Path,
    log: Path,
    *,
    concurrency: int,
    channels: int,
    duration_s: float,
    deadline_s: float,
) -> list[str]:
    """Return the command line of a closed loop of ModelInfer calls with a deadline each."""
    connections, streams = split(concurrency, channels)
    return [
        "h2load",
        f"--clients={connections}",
        f"--max-concurrent-streams={streams}",
        "--threads=1",
        f"--duration={round(duration_s * 1000)}ms",
        "--header=content-type: application/grpc",
        "--header=te: trailers",
        f"--header=grpc-timeout: {round(deadline_s * 1000)}m",
        f"--data={body}",
        f"--log-file={log}",
        f"http://{target}{INFER_PATH}",
    ]


@dataclass(frozen=True, slots=True)
class Result:
    """What h2load counted."""

    elapsed_s: float
    done: int
    #: Answers with HTTP status 200; a gRPC error is one of them.
    succeeded: int
    #: Failed, errored and timed out, as HTTP sees it.
    failed: int
    #: Bytes of all bodies, with gRPC's 5-byte prefixes.
    data_bytes: int

    def real_answers(self, answer_bytes: int) -> float:
        """Return how many answers carried a message, where each has `answer_bytes` framed."""
        return min(self.data_bytes / answer_bytes, float(self.succeeded))


def parse(output: str) -> Result:
    """Read h2load's report; ValueError when it is none."""
    finished = _FINISHED.search(output)
    requests = _REQUESTS.search(output)
    data = _DATA.search(output)
    if finished is None or requests is None or data is None:
        raise ValueError(f"not a report of h2load: {output[-200:]!r}")
    _total, done, succeeded, failed, errored, timeout = map(int, requests.groups())
    return Result(
        elapsed_s=float(finished[1]) * _SECONDS[finished[2]],
        done=done,
        succeeded=succeeded,
        failed=failed + errored + timeout,
        data_bytes=int(data[1]),
    )


def latencies(log: Iterable[str]) -> Durations:
    """Read h2load's log of requests: start in µs, HTTP status, µs until the answer's end."""
    durations = Durations()
    for line in log:
        _start, status, taken_us = line.split("\t")[:3]
        if status == "200":
            durations.record(int(taken_us) / 1e6)
    return durations
