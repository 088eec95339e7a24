"""Fraud decisions, for servers that make them. Nothing of it is imported where no rules are."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from inferd.app.settings import ConfigError
from inferd.config import Config
from inferd.deadline import Clock

if TYPE_CHECKING:
    from inferd.app.feature_parts import Features
    from inferd.app.fraud_parts import Fraud
    from inferd.cache.connection import Redis
    from inferd.inference.models import Models
    from inferd.resilience.toolbox import Toolbox


def made(
    config: Config,
    features: "Features | None",
    models: "Models",
    redis: "Redis | None",
    toolbox: "Toolbox",
    *,
    clock: Clock,
) -> "Fraud | None":
    """Return the fraud service and what is behind it; None where no rules are configured.

    Raises `ConfigError` for all that does not go together.
    """
    if config.fraud.rules is None:
        return None
    from inferd.app.fraud_parts import FraudAssembly
    from inferd.resilience.endpoint import BadCascade

    assert features is not None, "the configuration says so"
    try:
        return FraudAssembly(
            config, features, models, redis=redis, toolbox=toolbox, clock=clock
        ).made()
    except BadCascade as error:
        raise ConfigError([f"resilience.cascades: {error}"]) from error


def missing(config: Config, there: Callable[[str, str], bool]) -> Iterator[tuple[str, str]]:
    """Yield the models that are asked, each with what is wrong.

    `there` knows whether there is a model of a name and a version.
    """
    if config.fraud.rules is None:
        return
    for each in config.fraud.models:
        version = f"/{each.version}" if each.version else ""
        problem = (
            "" if there(each.model, each.version) else f"there is no model {each.model}{version}"
        )
        yield f"fraud.models.{each.name}", problem
