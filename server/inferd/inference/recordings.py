"""Recorded requests: every `*.pb` in a model's `warmup/` that no `model_warmup` uses itself.

Each is one request as it came over the wire. What is in it is the business of whoever
speaks that protocol; here it is bytes with a name.
"""

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from inferd.errors import LoadFailed
from inferd.inference.repository.layout import WARMUP_DIRECTORY, ModelFiles

SUFFIX = ".pb"
#: More, or larger, was not meant to warm a model up.
MAX_RECORDINGS = 1000
MAX_BYTES = 256 * 1024 * 1024


def recordings(directory: Path, *, but: Collection[str] = ()) -> Iterator[tuple[str, bytes]]:
    """Return the requests recorded for the model in `directory`: each file's name, and bytes.

    `but` are the names of files that are something else. Raises `LoadFailed`, naming the file.
    """
    names = [name for name in _names(directory) if name not in but]
    if len(names) > MAX_RECORDINGS:
        raise LoadFailed(
            f"{WARMUP_DIRECTORY} has {len(names)} recorded requests, {MAX_RECORDINGS} are the most"
        )
    for name in names:
        yield name, read_inner(directory, f"{WARMUP_DIRECTORY}/{name}", most=MAX_BYTES)


def read_inner(directory: Path, name: str, *, most: int) -> bytes:
    """Return the content of a file in a model's directory, or raise `LoadFailed`."""
    path = Path(os.path.realpath(directory / name))
    if not path.is_relative_to(os.path.realpath(directory.parent)):
        raise LoadFailed(f"{name} is a link that leads out of the model repository")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise LoadFailed(f"{name} is not a regular file")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise LoadFailed(f"cannot read {name}: {error.strerror}") from error
    if len(content) > most:
        raise LoadFailed(f"{name} has more than {most} bytes")
    return content


def with_recordings(files: ModelFiles, wall_now: float) -> ModelFiles:
    """Return what is known of a model's files with its recorded requests among them.

    So a request that is still being written is waited for, and one that was wrong and has
    been put right gives the model another chance.
    """
    if files.problem:
        return files
    stamps = []
    newest = wall_now - files.config_age_s
    for name in _names(files.directory):
        inner = f"{WARMUP_DIRECTORY}/{name}"
        try:
            status = (files.directory / inner).stat()
        except OSError:
            continue  # whoever loads it says what is wrong with it
        stamps.append((inner, status.st_size, status.st_mtime_ns, status.st_ino))
        newest = max(newest, min(status.st_ctime, wall_now))
    if not stamps:
        return files
    merged = tuple(sorted({*files.config_stamp, *stamps}))
    return replace(files, config_stamp=merged, config_age_s=wall_now - newest)


def _names(directory: Path) -> list[str]:
    try:
        names = os.listdir(directory / WARMUP_DIRECTORY)
    except OSError:
        return []
    return sorted(name for name in names if name.endswith(SUFFIX))
