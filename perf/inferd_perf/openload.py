"""The light generator, `perf/openload`: built on demand, its command line, its report.

A Python generator takes 100 to 300 µs of CPU a call, and shares the cores with the server that
it measures. This one is C, takes a tenth of that, and knows statuses and deadlines. What it
lacks: it reaches loopback only, sends bytes that it is given, and does not look into the answers.
"""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inferd_perf.payload import INFER_PATH, framed
from inferd_perf.stats import INVALID_EXIT, OK, Percentiles

SOURCES = Path(__file__).resolve().parent.parent / "openload"

_FLAGS = ("-O2", "-Wall", "-Wextra")
#: Beyond its own bounds, a generator may take this long to connect and to end.
_SPARE_S = 30.0


class NotBuilt(Exception):
    """There is no generator; the message says what is missing."""


class GeneratorFailed(Exception):
    """The generator could not measure; the message is its own."""


@dataclass(frozen=True, slots=True)
class Open:
    """Calls leave at Poisson times, `rate` per second, whatever the server does."""

    rate: float


@dataclass(frozen=True, slots=True)
class Scheduled:
    """Calls leave as `planned` wrote them down, each with its own deadline and request."""

    rows: Path
    #: Where what became of each is written; `planned` reads it.
    ends: Path


@dataclass(frozen=True, slots=True)
class Closed:
    """So many callers, each of whom waits for its answer; `count` calls at most."""

    concurrency: int
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Churn:
    """`rate` sessions per second: connect, call, then wait, cancel or hang up."""

    rate: float
    count: int | None = None


Pattern = Open | Scheduled | Closed | Churn


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is sent, and for how long. The deadline is each call's, from when it was meant."""

    pattern: Pattern
    duration_s: float
    #: Of a schedule: the longest.
    deadline_s: float
    warmup_s: float = 0.0
    #: How long after its deadline a call is reset, so that late answers are seen.
    grace_s: float = 0.0
    connections: int = 4
    idle_connections: int = 0
    #: What every call says beside what gRPC has it say.
    metadata: Mapping[str, str] = field(default_factory=dict)
    seed: int = 1

    @property
    def longest_s(self) -> float:
        """How long the generator takes when the server answers nothing."""
        return self.warmup_s + self.duration_s + self.deadline_s + self.grace_s + _SPARE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the generator saw. Durations count from the moment that a call was meant for."""

    elapsed_s: float
    calls: int
    #: OK within the deadline, by the caller's clock.
    in_time: int
    #: By how much OK answers missed the deadline; None: none did.
    late_ok: Percentiles | None
    #: By how much calls of an open loop left later than they were meant to.
    send_lag: Percentiles | None
    #: By gRPC code, and for what is no answer by `client:` and what happened.
    answers: Mapping[str, Percentiles]
    #: A churn's sessions, by how they ended.
    sessions: Mapping[str, int]
    connections: Mapping[str, int]
    faults: tuple[str, ...]
    generator_cpu_s: float
    generator_cores: float
    #: Whether an open loop could have the CPU whenever it was due to send.
    is_realtime: bool

    @property
    def ok(self) -> Percentiles | None:
        """The latency of OK answers, late ones included."""
        return self.answers.get(OK)

    @property
    def in_time_per_s(self) -> float:
        """Goodput: OK answers within the deadline, per second."""
        return self.in_time / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def share_in_time(self) -> float:
        """Goodput over what was offered."""
        return self.in_time / self.calls if self.calls else 0.0


def _pattern_options(pattern: Pattern) -> dict[str, object]:
    match pattern:
        case Open(rate):
            return {"--rate": rate}
        case Scheduled(rows, ends):
            return {"--schedule": rows, "--outcomes": ends}
        case Closed(concurrency, count):
            return {"--concurrency": concurrency, "--count": count}
        case Churn(rate, count):
            return {"--churn": rate, "--count": count}


def words(load: Load, port: int, *bodies: Path) -> list[str]:
    """Return the generator's arguments; only a schedule has more than one body."""
    options = {
        **_pattern_options(load.pattern),
        "--port": port,
        "--path": INFER_PATH,
        "--connections": load.connections,
        "--idle-connections": load.idle_connections,
        "--warmup-s": load.warmup_s,
        "--duration-s": load.duration_s,
        "--deadline-ms": load.deadline_s * 1000,
        "--grace-ms": load.grace_s * 1000,
        "--seed": load.seed,
    }
    given = [(name, str(value)) for name, value in options.items() if value is not None]
    given += [("--header", f"{key}: {value}") for key, value in load.metadata.items()]
    given += [("--body", str(body)) for body in bodies]
    return [word for pair in given for word in pair]


def _percentiles(values: Mapping[str, Any]) -> Percentiles | None:
    return Percentiles(**values) if values["count"] else None


def parse(output: str) -> Report:
    """Read the generator's report; ValueError when it is none."""
    try:
        found = json.loads(output)
        return Report(
            elapsed_s=found["elapsed_s"],
            calls=found["calls"],
            in_time=found["in_time"],
            late_ok=_percentiles(found["late_ok"]),
            send_lag=_percentiles(found["send_lag"]),
            answers={name: Percentiles(**each) for name, each in found["answers"].items()},
            sessions=found["sessions"],
            connections=found["connections"],
            faults=tuple(found["faults"]),
            generator_cpu_s=found["generator_cpu_s"],
            generator_cores=found["generator_cores"],
            is_realtime=found["is_realtime"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a report of openload: {output[-200:]!r}") from error


def _compiler() -> str:
    named = os.environ.get("CC", "cc")
    if shutil.which(shlex.split(named)[0]) is None:
        raise NotBuilt(
            f"no C compiler: there is no `{named}` (apt-get install gcc, or name one in CC)"
        )
    return named


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "inferd-perf"


def build() -> Path:
    """Return the generator's executable, compiled if these sources have not been yet.

    Raises NotBuilt when this is not Linux, or when sources or a compiler are missing, or fail.
    """
    if sys.platform != "linux":
        raise NotBuilt("the light generator needs Linux: it waits with epoll")
    sources = sorted(SOURCES.glob("*.[ch]"))
    if not sources:
        raise NotBuilt(f"no sources in {SOURCES}: the light generator comes with a checkout only")
    recipe = hashlib.sha256(repr(_FLAGS).encode())
    for source in sources:
        recipe.update(source.name.encode() + source.read_bytes())
    built = _cache() / f"openload-{recipe.hexdigest()[:16]}"
    if not built.exists():
        _compile([source for source in sources if source.suffix == ".c"], built)
    return built


def _compile(sources: list[Path], target: Path) -> None:
    compiler = _compiler()
    target.parent.mkdir(parents=True, exist_ok=True)
    # Somewhere else first: two who compile at once shall not read each other's half.
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        made = Path(scratch, "openload")
        command = [*shlex.split(compiler), *_FLAGS, "-o", str(made), *map(str, sources), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotBuilt(f"{compiler} could not compile {SOURCES}\n{done.stderr[-2000:].strip()}")
        made.rename(target)


class Shot:
    """A generator that is running."""

    def __init__(self, process: subprocess.Popen[str], load: Load) -> None:
        self._process = process
        self._load = load

    def report(self) -> Report:
        """Wait for the end, and return what was seen; raise GeneratorFailed if nothing was."""
        try:
            output, errors = self._process.communicate(timeout=self._load.longest_s)
        except subprocess.TimeoutExpired as error:
            raise GeneratorFailed("openload does not end") from error
        if self._process.returncode not in (0, INVALID_EXIT):
            raise GeneratorFailed(errors.strip() or f"openload: {self._process.returncode}")
        return parse(output)


def _write_bodies(directory: Path, messages: Sequence[bytes]) -> list[Path]:
    bodies = [directory / str(number) for number in range(len(messages))]
    for body, message in zip(bodies, messages, strict=True):
        body.write_bytes(framed(message))
    return bodies


@contextmanager
def firing(load: Load, port: int, *messages: bytes) -> Iterator[Shot]:
    """Start the generator with serialised requests; it does not outlive the block."""
    executable = build()
    with tempfile.TemporaryDirectory(prefix="inferd-perf-") as directory:
        arguments = words(load, port, *_write_bodies(Path(directory), messages))
        with subprocess.Popen(
            [str(executable), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield Shot(process, load)
            finally:
                process.kill()


def fire(load: Load, port: int, *messages: bytes) -> Report:
    """Run the generator to its end; raise GeneratorFailed when it saw nothing."""
    with firing(load, port, *messages) as shot:
        return shot.report()
