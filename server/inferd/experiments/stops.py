"""What was stopped while it ran, on the disk: it stays so after a restart.

One small file, replaced as a whole.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from inferd.experiments.experiments import Stop

_decode = msgspec.json.Decoder(list[Stop]).decode


def read(path: Path) -> list[Stop]:
    """Return what is stopped; nothing where there is no file.

    Raises `OSError` where it cannot be read, and `ValueError` where that is not what it says: what
    was stopped for a reason must not run again because nobody can tell.
    """
    try:
        said = path.read_bytes()
    except FileNotFoundError:
        return []
    try:
        return _decode(said)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path}: it does not say what is stopped ({error})") from error


def write(path: Path, stops: Sequence[Stop]) -> None:
    """Have the file say this, and return when the disk knows. Raises `OSError`."""
    replace(path, msgspec.json.encode(stops))


def replace(path: Path, data: bytes) -> None:
    """Have a file be this, all of it or nothing; return when the disk knows. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".new")
    with scratch.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)
