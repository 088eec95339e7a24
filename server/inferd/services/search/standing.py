"""Synonyms and curations: in force until others are put, and kept over restarts.

A file has both. It is written beside the old one, which it replaces when the disk has it: so there
are always the old ones or the new ones. What is put is acknowledged when it is safe.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from inferd.cache.journal.files import sync_directory
from inferd.errors import DependencyFailed, InferdError, LoadFailed
from inferd.services.search.curations import Curation, Curations
from inferd.services.search.query.synonyms import SynonymSet


class _Kept(msgspec.Struct, frozen=True):
    version: int
    synonyms: tuple[SynonymSet, ...]
    curations: tuple[Curation, ...]


class Standing:
    """What is in force. Lives on the event loop."""

    def __init__(self, path: Path | None) -> None:
        """Keep it there; None: nowhere."""
        self._path = path
        self._one_writer = asyncio.Lock()
        self._putting: set[asyncio.Task[int]] = set()
        #: Larger with every change.
        self.version = 0
        self.synonyms: tuple[SynonymSet, ...] = ()
        self.curations = Curations()

    def load(self) -> None:
        """Know what was kept, if anything was. Blocks. Raises `LoadFailed`."""
        if self._path is None:
            return
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=_Kept)
            self.curations = Curations(kept.curations)
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError, InferdError) as error:
            raise LoadFailed(f"search.standing: {self._path}: {error}") from error
        self.version, self.synonyms = kept.version, kept.synonyms

    async def put(
        self,
        *,
        synonyms: Sequence[SynonymSet] | None = None,
        curations: Curations | None = None,
        then: Callable[[], None] = lambda: None,
    ) -> int:
        """Put others in force, once they are safe; return the version. What is None stays.

        Both are checked by now. `then` is called when they are in force. All of it is done even if
        whoever asked for it leaves. Raises `DependencyFailed` if they cannot be kept.
        """
        putting = asyncio.create_task(self._put(synonyms, curations, then))
        self._putting.add(putting)
        putting.add_done_callback(self._putting.discard)
        return await asyncio.shield(putting)

    async def _put(
        self,
        synonyms: Sequence[SynonymSet] | None,
        curations: Curations | None,
        then: Callable[[], None],
    ) -> int:
        async with self._one_writer:
            words = self.synonyms if synonyms is None else tuple(synonyms)
            cured = self.curations if curations is None else curations
            kept = _Kept(self.version + 1, words, cured.all)
            if self._path is not None:
                try:
                    await asyncio.to_thread(_written, self._path, msgspec.json.encode(kept))
                except OSError as error:
                    raise DependencyFailed(f"they cannot be kept: {error.strerror}") from error
            self.version, self.synonyms, self.curations = kept.version, words, cured
            then()
            return kept.version


def _written(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.new")
    with beside.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_directory(path.parent)
