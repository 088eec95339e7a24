"""What load requests have put over the repository's own files, model by model."""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inferd.errors import LoadFailed
from inferd.inference.repository.layout import ModelFiles
from inferd.inference.repository.overrides import materialise

Parse = Callable[[str], Mapping[str, Any]]
"""Turns the text of a configuration into plain values, or raises `LoadFailed`."""


@dataclass(frozen=True, slots=True, eq=False)
class Override:
    """What replaces a model's own configuration, its files, or both."""

    config: Mapping[str, Any] | None
    files: ModelFiles | None
    #: Tells one override from another, as a stamp tells files.
    digest: str


class Overrides:
    """Overrides by model. Owns the directories that hold their files."""

    def __init__(self, parse_json: Parse) -> None:
        self._parse_json = parse_json
        self._by_model: dict[str, Override] = {}

    def of(self, name: str) -> Override | None:
        """Return what is put over a model, if anything is."""
        return self._by_model.get(name)

    async def made(
        self, name: str, config: str | None, files: Mapping[str, bytes]
    ) -> Override | None:
        """Return what a request brings, its files written; None if it brings nothing.

        It does not count until `put`, and is the caller's to `discard` until then.
        """
        if not config and not files:
            return None
        parsed = self._parse_json(config) if config else None
        return await asyncio.to_thread(_made, name, config or "", parsed, files)

    def put(self, name: str, override: Override | None) -> Override | None:
        """Replace a model's override, and return the one it had."""
        replaced = self._by_model.pop(name, None)
        if override:
            self._by_model[name] = override
        return replaced

    async def discard(self, override: Override | None) -> None:
        """Remove the files of an override that counts no more."""
        if override and override.files:
            await asyncio.to_thread(_remove, override.files)

    def clear(self) -> None:
        """Forget all, and remove their files."""
        for override in self._by_model.values():
            if override.files:
                _remove(override.files)
        self._by_model.clear()

    def applied(self, models: Mapping[str, ModelFiles]) -> dict[str, ModelFiles]:
        """Return what is on disk with the overrides over it, marked so that stamps differ."""
        result = dict(models)
        for name, override in self._by_model.items():
            files = override.files or models.get(name)
            if files is not None:
                marked = (*files.config_stamp, (override.digest, 0, 0, 0))
                result[name] = replace(files, config_stamp=marked)
        return result


def _made(
    name: str, config: str, parsed: Mapping[str, Any] | None, files: Mapping[str, bytes]
) -> Override:
    digest = hashlib.blake2b(digest_size=16)
    for part in (config.encode(), *(each for item in _in_order(files) for each in item)):
        digest.update(len(part).to_bytes(8, "little") + part)
    return Override(parsed, _written(name, files) if files else None, digest.hexdigest())


def _in_order(files: Mapping[str, bytes]) -> list[tuple[bytes, bytes]]:
    return sorted((path.encode(), content) for path, content in files.items())


def _written(name: str, files: Mapping[str, bytes]) -> ModelFiles:
    try:
        root = Path(tempfile.mkdtemp(prefix="inferd-"))
    except OSError as error:
        raise LoadFailed(f"cannot keep the files of '{name}': {error.strerror}") from error
    try:
        return materialise(name, files, root=root)
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise


def _remove(files: ModelFiles) -> None:
    shutil.rmtree(files.directory.parent, ignore_errors=True)
