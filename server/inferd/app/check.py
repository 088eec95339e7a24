"""`inferd check`: everything that could go wrong at start, without serving."""

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping
from functools import partial

from inferd.app import features, fraud, recommendation, search, stream
from inferd.app.build import build, loader
from inferd.app.settings import ConfigError
from inferd.config import Config
from inferd.errors import InvalidRequest, LoadFailed
from inferd.inference.loading import Loader, Source
from inferd.inference.repository.layout import ModelFiles, scan
from inferd.inference.repository.model_config import ModelConfig, config_from
from inferd.inference.repository.policy import select
from inferd.runtime.signature import Signature
from inferd.services.open_inference.model_config_text import parse_pbtxt
from inferd.streaming.predictor import check_fits

log = logging.getLogger(__name__)

Result = tuple[str, str]
"""A version, a route or the like, and what is wrong with it; nothing, if it is fine."""

Loaded = dict[str, dict[int, Signature]]
"""Of each model, the versions that can be served."""


def check(config: Config) -> Iterator[Result]:
    """Read what is declared of features; load and warm up every version that would be served.

    A stream's routes are compared with the models.
    Raises `LoadFailed` when a repository cannot be read, and `ConfigError` for wrong definitions,
    wrong experiments, and what is configured for services, methods and stages that there are not.
    """
    if config.stream.routes and (wrong := [*stream.unfit(config)]):
        raise ConfigError(wrong)
    declared = features.definitions(config.features)
    asyncio.run(_build(config))
    if declared is not None:
        yield f"features ({', '.join(declared.views)})", ""
    if config.experiments.definitions is not None:
        yield "experiments", ""
    snapshot = scan(config.repository.paths, wall_now=time.time())  # noqa: TID251 - file times
    for each in (fraud, recommendation, search):
        yield from each.missing(config, partial(_is_there, config, snapshot.models))
    loading, loaded = loader(config), Loaded()
    for files in snapshot.models.values():
        yield from _check_model(files, loading, loaded)
    yield from _check_routes(config, loaded)


def _is_there(config: Config, models: Mapping[str, ModelFiles], name: str, version: str) -> bool:
    """Return whether the repository has a model, and that version or label of it."""
    labels = config.repository.version_labels.get(name, {})
    versions = models[name].versions if name in models else {}
    number = labels.get(version, int(version) if version.isdecimal() else -1)
    return bool(versions) and (not version or number in versions)


async def _build(config: Config) -> None:
    """Build a server's parts, on an event loop as they are used to, and close them again."""
    await build(config, lambda _level, _format: None, None).closing.aclose()


def _check_model(files: ModelFiles, loading: Loader, loaded: Loaded) -> Iterator[Result]:
    try:
        config = _config_of(files)
    except LoadFailed as failure:
        yield files.name, str(failure)
        return
    versions = select(config.version_policy if config else None, files.versions)
    if not versions:
        yield files.name, "there is no version directory to serve"
    for number in versions:
        what = f"{files.name}/{number}"
        source = Source(files.name, number, files.versions[number], files.directory, config)
        try:
            signature = loading.load(source, warming=lambda: None).signature
        except LoadFailed as failure:
            yield what, str(failure)
        else:
            loaded.setdefault(files.name, {})[number] = signature
            yield what, ""


def _check_routes(config: Config, loaded: Loaded) -> Iterator[Result]:
    for name, route in config.stream.routes.items():
        if not route.model:
            continue
        what = f"stream.routes.{name}"
        labels = config.repository.version_labels.get(route.model, {})
        signature = _meant(route.version, loaded.get(route.model, {}), labels)
        if signature is None:  # it may come: a stream starts, and says the same
            asked = f"{route.model}/{route.version}" if route.version else route.model
            log.warning("%s.model: there is no %s that can be served", what, asked)
            continue
        try:
            check_fits(route, signature)
        except InvalidRequest as error:
            yield what, str(error)
        else:
            yield what, ""


def _meant(
    version: str, versions: Mapping[int, Signature], labels: Mapping[str, int]
) -> Signature | None:
    """Return that of the version of a number or label; of the highest, if it is empty."""
    numbers = {str(number): number for number in versions}
    number = {"": max(versions, default=0), **numbers, **labels}.get(version, 0)
    return versions.get(number)


def _config_of(files: ModelFiles) -> ModelConfig | None:
    if files.problem:
        raise LoadFailed(files.problem)
    return (
        None if files.config is None else config_from(parse_pbtxt(files.config), model=files.name)
    )
