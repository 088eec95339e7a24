"""A disk that does as it is told: put before `fsync` in the process of a server under test.

What it is told is in a file: nothing, `slow 200` (milliseconds), `hung`, or `error`. A full disk
needs none of this: the kernel has a limit for it.
"""

import errno
import os
import time
from pathlib import Path

LOOK_S = 0.005
TOLD = "INFERD_CHAOS_DISK"
"""The environment variable that says where the file is."""


def install(told: Path) -> None:
    """Stand before `os.fsync`."""
    really = os.fsync

    def fsync(file: int) -> None:
        said = told.read_text()
        if said.startswith("slow"):
            time.sleep(float(said.split()[1]) / 1000)
        if said == "error":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        while told.read_text() == "hung":
            time.sleep(LOOK_S)
        really(file)

    vars(os)["fsync"] = fsync


def environment(directory: Path, told: Path) -> dict[str, str]:
    """Return what to add to a server's environment; `directory` gets what Python runs at start."""
    told.write_text("")
    (directory / "sitecustomize.py").write_text(
        "import os, pathlib\n"
        "from support.chaos.fraud import disk\n"
        "disk.install(pathlib.Path(os.environ[disk.TOLD]))\n"
    )
    return {TOLD: str(told)}
