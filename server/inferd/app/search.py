"""Search, for servers that have it. Nothing of it is imported where no index is configured."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from inferd.app.settings import ConfigError
from inferd.config import Config
from inferd.deadline import Clock

if TYPE_CHECKING:
    from inferd.app.experiments import Experiments
    from inferd.app.search_parts import Search
    from inferd.experiments.definitions import Asking
    from inferd.inference.models import Models
    from inferd.resilience.toolbox import Toolbox


def asking(config: Config) -> "list[Asking]":
    """Return what experiments need to know of those who ask for arms here."""
    if config.search.index is None:
        return []
    from inferd.services.search.serving import asking

    return [asking()]


def made(
    config: Config,
    experiments: "Experiments | None",
    models: "Models",
    toolbox: "Toolbox",
    *,
    clock: Clock,
) -> "Search | None":
    """Return the service and what is behind it; None where there is no index.

    Raises `ConfigError` for all that does not go together.
    """
    if config.search.index is None:
        return None
    try:
        from inferd.app.search_parts import SearchAssembly
    except ModuleNotFoundError as error:
        if error.name != "tantivy":
            raise
        raise ConfigError(["search.index needs tantivy: install inferd[search]"]) from error
    from inferd.resilience.endpoint import BadCascade

    try:
        return SearchAssembly(config, experiments, models, toolbox, clock=clock).made()
    except BadCascade as error:
        raise ConfigError([f"resilience.cascades: {error}"]) from error


def missing(config: Config, there: Callable[[str, str], bool]) -> Iterator[tuple[str, str]]:
    """Yield the models that are asked, each with what is wrong.

    `there` knows whether there is a model of a name and a version.
    """
    ranker = config.search.ranker
    if config.search.index is not None and ranker is not None:
        name = f"{ranker.model}/{ranker.version}" if ranker.version else ranker.model
        problem = "" if there(ranker.model, ranker.version) else f"there is no model {name}"
        yield "search.ranker", problem
