"""Features, for servers that have them: what is declared, where it is kept, and who answers.

Nothing of it is imported where no definitions are configured.
"""

import time
from typing import TYPE_CHECKING, NamedTuple

from inferd.app.settings import ConfigError, yaml_file
from inferd.config import Config
from inferd.config.features import Features as Settings
from inferd.deadline import Clock
from inferd.services.extension import Service

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from inferd.cache.blobs import Blobs
    from inferd.cache.connection import Redis
    from inferd.features.definitions import Definitions
    from inferd.resilience.toolbox import Toolbox
    from inferd.telemetry.statistics import Histogram

WALL_CLOCK = time.time  # noqa: TID251 - events have times of day


class Features(NamedTuple):
    """What a server with features has besides."""

    service: Service
    metrics: "Collector"
    blobs: "Blobs"

    async def close(self) -> None:
        """Let go of the store."""
        await self.blobs.close()


def definitions(settings: Settings) -> "Definitions | None":
    """Return what is declared; None where nothing is. Raises `ConfigError` naming the keys."""
    path = settings.definitions
    if path is None:
        return None
    from inferd.features.declaration import DeclarationError
    from inferd.features.definitions import Definitions

    try:
        return Definitions.read(yaml_file(path))
    except DeclarationError as error:
        raise ConfigError(f"{path}: {problem}" for problem in error.problems) from error


def made(
    config: Config, redis: "Redis | None", toolbox: "Toolbox", *, clock: Clock
) -> Features | None:
    """Return the feature service and what is behind it; None where nothing is declared.

    Raises `ConfigError` for wrong definitions, `DependencyFailed` for a file that is no store.
    """
    settings = config.features
    declared = definitions(settings)
    if declared is None:
        return None
    from inferd.features import store
    from inferd.features.definitions import US
    from inferd.features.writing import Limits
    from inferd.resilience.endpoint import BadCascade
    from inferd.services.features.service import SERVICE
    from inferd.services.features.service import Features as Answers
    from inferd.telemetry.features import ROWS, FeatureMetrics
    from inferd.telemetry.statistics import Histogram

    sizes = Histogram(ROWS)
    blobs = _blobs(settings, redis, clock, sizes)
    features = store.FeatureStore(
        declared,
        blobs,
        reads=toolbox.dependency(store.READS, store.READS_GUARDED_AS),
        writes=toolbox.dependency(store.WRITES, store.WRITES_GUARDED_AS),
        wall_clock=WALL_CLOCK,
        limits=Limits(settings.max_blob_bytes, round(settings.max_future_s * US)),
    )
    try:
        service = Service(SERVICE, Answers(features, toolbox, settings))
    except BadCascade as error:
        raise ConfigError([f"resilience.cascades: {error}"]) from error
    return Features(service, FeatureMetrics(features, sizes), blobs)


def _blobs(settings: Settings, redis: "Redis | None", clock: Clock, sizes: "Histogram") -> "Blobs":
    if settings.store == "sqlite":
        from inferd.cache.sqlite_blobs import SqliteBlobs

        return SqliteBlobs(settings.sqlite_path, wall_clock=WALL_CLOCK, sizes=sizes)
    if settings.store == "redis":
        from inferd.cache.redis_blobs import RedisBlobs

        assert redis is not None, "the configuration says so"
        return RedisBlobs(redis, prefix=settings.key_prefix, sizes=sizes)
    from inferd.cache.memory_blobs import MemoryBlobs

    return MemoryBlobs(max_bytes=settings.memory_bytes, clock=clock)
