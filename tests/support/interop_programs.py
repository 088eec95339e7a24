"""Other people's gRPC, built from source: the examples in `clients/`, and gRPC's own test client.

What is built lies in the user's cache under the hash of what it was built from, so that it
is built once for all runs of the tests, and never in the tree.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

from inferd.transport.envoy import launch
from support.server import ROOT

#: A first build fetches compilers' plugins and libraries.
BUILD_S = 500.0
#: A build is kept for this long once there is a newer one.
KEPT_S = 7 * 24 * 3600.0
GRPC_GO = "google.golang.org/grpc/interop/client@v1.85.0"

_LEFTOVERS = shutil.ignore_patterns("node_modules", "target", "*.pb.go", "README.md")
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "inferd-tests"


@dataclass(frozen=True, slots=True)
class Language:
    """An example in `clients/<name>`, and how its README says that it is built and run."""

    name: str
    #: The programs that it takes.
    tools: tuple[str, ...]
    #: What builds it, in a copy of its directory.
    build: tuple[tuple[str, ...], ...]
    #: What runs it, there.
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


LANGUAGES = (
    Language(
        "go",
        tools=("go",),
        build=(
            ("go", "install", "tool"),
            ("go", "generate", "./..."),
            ("go", "build", "-o", "bin/example", "."),
        ),
        command=("bin/example",),
    ),
    Language(
        "node",
        tools=("node", "npm"),
        build=(("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"),),
        command=("node", "example.js"),
    ),
    Language(
        "java",
        tools=("java", "mvn"),
        build=(("mvn", "-q", "-B", "compile"),),
        command=("java", "-cp", "target/classes:target/lib/*", "inferd.example.Example"),
        # To compile a hundred thousand generated lines once, the better compiler does not pay.
        environment={"MAVEN_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"},
    ),
)


def require(*tools: str) -> None:
    """Skip the test where a tool is missing; where everything is tested, fail it."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        _do_without(f"not installed: {', '.join(missing)}")


def require_transport(name: str) -> None:
    """Skip the test, or fail it, where this machine cannot have that transport."""
    missing = launch.missing() if name == "envoy" else ""
    if missing:
        _do_without(missing)


def _do_without(missing: str) -> NoReturn:
    if "CI" in os.environ:
        pytest.fail(missing)
    pytest.skip(missing)


def an_example(language: Language) -> Path:
    """Build a language's example and return the directory that its command runs in."""
    require(*language.tools)
    with tempfile.TemporaryDirectory() as scratch:
        sources = Path(scratch)
        shutil.copytree(ROOT / "protos", sources / "protos")
        place = Path("clients", language.name)
        shutil.copytree(ROOT / place, sources / place, ignore=_LEFTOVERS)

        def build(target: Path) -> None:
            shutil.copytree(sources, target, dirs_exist_ok=True)
            there = target / place
            _protoc(there / "bin")
            environment = {**language.environment, "GOBIN": str(there / "bin")}
            for command in language.build:
                _run(command, there, environment)

        return _cached(f"{language.name}-{_hash(sources)}", build) / place


def grpcs_own_client() -> Path:
    """Build the client of gRPC's interoperability tests and return its path."""
    require("go")

    def build(target: Path) -> None:
        _run(("go", "install", GRPC_GO), target, {"GOBIN": str(target)})

    return _cached(f"interop-{GRPC_GO.rpartition('@')[2]}", build) / "client"


def _cached(name: str, build: Callable[[Path], None]) -> Path:
    """Return the directory of that name, built if it is not there. Builders may race."""
    place = _CACHE / name
    if not place.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        _clear_away(name.partition("-")[0])
        with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
            fresh = Path(scratch) / "built"
            fresh.mkdir()
            build(fresh)
            if not place.exists():
                fresh.rename(place)
    return place


def _clear_away(language: str) -> None:
    """Remove what was built of sources that are not there any more, in all likelihood."""
    for old in _CACHE.glob(f"{language}-*"):
        if time.time() - old.stat().st_mtime > KEPT_S:
            shutil.rmtree(old, ignore_errors=True)


def _hash(directory: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(each for each in directory.rglob("*") if each.is_file()):
        digest.update(str(path.relative_to(directory)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _protoc(directory: Path) -> None:
    """Put a `protoc` there: the one that this interpreter has."""
    directory.mkdir(exist_ok=True)
    script = directory / "protoc"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m grpc_tools.protoc "$@"\n')
    script.chmod(0o755)


def _run(command: tuple[str, ...], directory: Path, environment: Mapping[str, str]) -> None:
    path = f"{directory / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, "PATH": path, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    said = done.stdout[-4000:]
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{said}"
