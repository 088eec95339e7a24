"""Recommendations, for servers that make them. Nothing of it is imported where they are off."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from inferd.app.settings import ConfigError
from inferd.config import Config
from inferd.deadline import Clock

if TYPE_CHECKING:
    from inferd.app.experiments import Experiments
    from inferd.app.feature_parts import Features
    from inferd.app.recommendation_parts import Recommendations
    from inferd.experiments.definitions import Asking
    from inferd.inference.models import Models
    from inferd.resilience.toolbox import Toolbox


def asking(config: Config) -> "list[Asking]":
    """Return what experiments need to know of those who ask for arms here."""
    if not config.recommendation.enabled:
        return []
    from inferd.services.recommendation.serving import asking
    from inferd.services.recommendation.tuning import tunable

    return [asking(tunable(config.recommendation))]


def made(
    config: Config,
    features: "Features | None",
    experiments: "Experiments | None",
    models: "Models",
    toolbox: "Toolbox",
    *,
    clock: Clock,
) -> "Recommendations | None":
    """Return the service and what is behind it; None where it is off.

    Raises `ConfigError` for all that does not go together.
    """
    if not config.recommendation.enabled:
        return None
    from inferd.app.recommendation_parts import RecommendationAssembly
    from inferd.resilience.endpoint import BadCascade

    assert features is not None, "the configuration says so"
    try:
        return RecommendationAssembly(
            config, features, experiments, models, toolbox, clock=clock
        ).made()
    except BadCascade as error:
        raise ConfigError([f"resilience.cascades: {error}"]) from error


def missing(config: Config, there: Callable[[str, str], bool]) -> Iterator[tuple[str, str]]:
    """Yield the models that are asked, each with what is wrong.

    `there` knows whether there is a model of a name and a version.
    """
    settings = config.recommendation
    if not settings.enabled:
        return
    asked = [(f"rankers.{each.name}", each.model, each.version) for each in settings.rankers]
    for key, tower in (
        ("user_vectors", settings.user_vectors),
        ("catalogue.vectors", settings.catalogue.vectors),
    ):
        if tower is not None:
            asked.append((key, tower.model, tower.version))
    for key, model, version in asked:
        name = f"{model}/{version}" if version else model
        yield f"recommendation.{key}", "" if there(model, version) else f"there is no model {name}"
