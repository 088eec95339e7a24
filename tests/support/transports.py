"""The two transports, as tests are parametrised by them."""

import os
from pathlib import Path
from typing import Literal

import pytest

from inferd.transport.envoy import launch

Transport = Literal["grpcio", "envoy"]

_WHY_NOT = launch.missing()

needs_envoy = pytest.mark.skipif(bool(_WHY_NOT) and "CI" not in os.environ, reason=_WHY_NOT)

ENVOY = pytest.param("envoy", marks=needs_envoy)
TRANSPORTS = ["grpcio", ENVOY]


def run_directory(pid: int) -> Path | None:
    """Return the directory of a process that has become Envoy, where that can be known."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    named = f"{launch.RUN_DIRECTORY}=".encode()
    found = [each.removeprefix(named) for each in environment if each.startswith(named)]
    return Path(found[0].decode()) if found else None
