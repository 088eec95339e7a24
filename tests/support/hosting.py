"""A test's server within Envoy: the way in, and its life in there."""

import os
import shutil
import traceback
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import NoReturn

from inferd.config import Server
from inferd.transport import sockets
from inferd.transport.envoy import launch


def become_envoy(
    config: Server, application: str, files: Mapping[str, str] | None = None
) -> NoReturn:
    """Become Envoy with `application` in it, which finds `files` in its run directory."""
    from inferd.transport.envoy.bootstrap import bootstrap

    sockets.check_free(config.host, config.port, reuse_port=config.reuse_port)
    directory = launch.run_directory()
    try:
        for name, text in (files or {}).items():
            (directory / name).write_text(text)
        admin = launch.admin_socket(directory)
        prepared = bootstrap(config, application=application, admin=admin)
        launch.become_envoy(directory, prepared, "--concurrency", "1", "--log-level", "warning")
    finally:  # only reached when it has failed
        shutil.rmtree(directory, ignore_errors=True)


async def to_the_end(life: Awaitable[None], directory: Path) -> NoReturn:
    """Live, and end the process with what came of it."""
    code = 1
    try:
        await life
        code = 0
    except Exception:
        traceback.print_exc()
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(code)
