"""What load requests have put over the repository's own files, model by model."""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inferd.inference.repository.layout import ModelFiles
from inferd.inference.repository.overrides import materialise

Parse = Callable[[str], Mapping[str, Any]]
"""Turns the text of a configuration into plain values, or raises `LoadFailed`."""


@dataclass(frozen=True, slots=True)
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

    def config_of(self, name: str) -> Mapping[str, Any] | None:
        """Return the configuration that replaces a model's own, if there is one."""
        override = self._by_model.get(name)
        return override.config if override else None

    async def put(self, name: str, config: str | None, files: Mapping[str, bytes]) -> None:
        """Replace a model's override; with neither a JSON `config` nor `files`, drop it."""
        parsed = self._parse_json(config) if config else None
        found = await _written(name, files) if files else None
        self.drop(name)
        if parsed is None and found is None:
            return
        digest = hashlib.blake2b((config or "").encode(), digest_size=16)
        for path in sorted(files):
            digest.update(path.encode() + files[path])
        self._by_model[name] = Override(parsed, found, digest.hexdigest())

    def drop(self, name: str) -> None:
        """Forget a model's override and remove its files."""
        override = self._by_model.pop(name, None)
        if override and override.files:
            shutil.rmtree(override.files.directory.parent, ignore_errors=True)

    def clear(self) -> None:
        """Forget all."""
        for name in list(self._by_model):
            self.drop(name)

    def applied(self, models: Mapping[str, ModelFiles]) -> dict[str, ModelFiles]:
        """Return what is on disk with the overrides over it, marked so that stamps differ."""
        result = dict(models)
        for name, override in self._by_model.items():
            files = override.files or models.get(name)
            if files is not None:
                marked = (*files.config_stamp, (override.digest, 0, 0, 0))
                result[name] = replace(files, config_stamp=marked)
        return result


async def _written(name: str, files: Mapping[str, bytes]) -> ModelFiles:
    root = Path(tempfile.mkdtemp(prefix="inferd-"))
    try:
        return await asyncio.to_thread(materialise, name, files, root=root)
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise
