"""`inferd check`: everything that could go wrong at start, without serving."""

import asyncio
import time
from collections.abc import Iterator

from inferd.app import features, stream
from inferd.app.build import build, loader
from inferd.app.settings import ConfigError
from inferd.config import Config
from inferd.errors import LoadFailed
from inferd.inference.loading import Loader, Source
from inferd.inference.repository.layout import ModelFiles, scan
from inferd.inference.repository.model_config import ModelConfig, config_from
from inferd.inference.repository.policy import select
from inferd.services.open_inference.model_config_text import parse_pbtxt

Result = tuple[str, str]
"""A model or version, and what is wrong with it; nothing, if it is fine."""


def check(config: Config) -> Iterator[Result]:
    """Read what is declared of features; load and warm up every version that would be served.

    Raises `LoadFailed` when a repository cannot be read, and `ConfigError` for wrong definitions
    and for what is configured for services, methods and stages that there are not.
    """
    if config.stream.routes and (wrong := [*stream.unfit(config)]):
        raise ConfigError(wrong)
    declared = features.definitions(config.features)
    asyncio.run(_build(config))
    if declared is not None:
        yield f"features ({', '.join(declared.views)})", ""
    snapshot = scan(config.repository.paths, wall_now=time.time())  # noqa: TID251 - file times
    loading = loader(config)
    for files in snapshot.models.values():
        yield from _check_model(files, loading)


async def _build(config: Config) -> None:
    """Build a server's parts, on an event loop as they are used to, and close them again."""
    await build(config, lambda _level, _format: None, None).closing.aclose()


def _check_model(files: ModelFiles, loading: Loader) -> Iterator[Result]:
    try:
        config = _config_of(files)
    except LoadFailed as failure:
        yield files.name, str(failure)
        return
    versions = select(config.version_policy if config else None, files.versions)
    if not versions:
        yield files.name, "there is no version directory to serve"
    for number in versions:
        yield f"{files.name}/{number}", _problem(files, number, config, loading)


def _problem(files: ModelFiles, number: int, config: ModelConfig | None, loading: Loader) -> str:
    source = Source(files.name, number, files.versions[number], files.directory, config)
    try:
        loading.load(source, warming=lambda: None)
    except LoadFailed as failure:
        return str(failure)
    return ""


def _config_of(files: ModelFiles) -> ModelConfig | None:
    if files.problem:
        raise LoadFailed(files.problem)
    return (
        None if files.config is None else config_from(parse_pbtxt(files.config), model=files.name)
    )
