"""Features, for servers that have them: what is declared, and all that keeps and answers it.

Nothing of it is imported where no definitions are configured.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from inferd.app.settings import ConfigError, yaml_file
from inferd.config import Config
from inferd.config.features import Features as Settings
from inferd.deadline import Clock

if TYPE_CHECKING:
    from inferd.app.feature_parts import Features
    from inferd.cache.connection import Redis
    from inferd.features.definitions import Definitions
    from inferd.resilience.toolbox import Toolbox


def definitions(settings: Settings) -> "Definitions | None":
    """Return what is declared; None where nothing is. Raises `ConfigError` naming the keys."""
    path = settings.definitions
    if path is None:
        return None
    from inferd.features.declaration import DeclarationError
    from inferd.features.definitions import Definitions

    try:
        return Definitions.read(yaml_file(path), files_in=path.parent)
    except DeclarationError as error:
        raise ConfigError(f"{path}: {problem}" for problem in error.problems) from error


def made(
    config: Config,
    redis: "Redis | None",
    toolbox: "Toolbox",
    *,
    busy: Callable[[], float],
    clock: Clock,
) -> "Features | None":
    """Return the feature service and what is behind it; None where nothing is declared.

    `busy` says which part of its time the event loop's thread works.
    Raises `ConfigError` for wrong definitions, `DependencyFailed` for a file that is no store.
    """
    declared = definitions(config.features)
    if declared is None:
        return None
    from inferd.app.feature_parts import FeatureAssembly
    from inferd.features.declaration import DeclarationError
    from inferd.resilience.endpoint import BadCascade

    assembly = FeatureAssembly(
        config.features, declared, redis, config.postgres, toolbox, clock=clock
    )
    try:
        return assembly.made(busy)
    except DeclarationError as error:
        path = config.features.definitions
        raise ConfigError(f"{path}: {problem}" for problem in error.problems) from error
    except BadCascade as error:
        raise ConfigError([f"resilience.cascades: {error}"]) from error
