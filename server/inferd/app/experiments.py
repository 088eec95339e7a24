"""Experiments, for servers that have any."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client.registry import Collector

from inferd.app.settings import ConfigError
from inferd.cache.journal.journal import Journal
from inferd.config import Config
from inferd.config.experiments import Experiments as Settings
from inferd.config.reading import Refused
from inferd.experiments import stops
from inferd.experiments.definitions import Asking, Attributes, When
from inferd.experiments.experiments import Experiments as InForce
from inferd.experiments.guardrails import Guardrails
from inferd.experiments.keeping import Keeper, text_of
from inferd.experiments.log import Exposures, Log, Outcomes
from inferd.telemetry.experiments import ExperimentMetrics

US = 1_000_000
WALL_CLOCK = time.time  # noqa: TID251 - exposures have times of day


@dataclass(frozen=True, slots=True)
class Experiments:
    """What a server with experiments has besides."""

    keeper: Keeper
    exposures: Exposures
    outcomes: Outcomes
    guardrails: Guardrails
    metrics: Sequence[Collector]
    settings: Settings

    @property
    def in_force(self) -> InForce:
        """The experiments; `in_force.surfaces["recommendation"].assign` gives arms."""
        return self.keeper.experiments

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the logs open, and follow the file.

        Raises `OSError` where a log cannot be written, or another process writes it.
        """
        exposures = Journal(self.settings.exposures, wall_clock=WALL_CLOCK)
        try:
            outcomes = Journal(self.settings.outcomes, wall_clock=WALL_CLOCK)
        except OSError:
            await exposures.close()
            raise
        self.exposures.log.open(exposures)
        self.outcomes.log.open(outcomes)
        tasks = [
            asyncio.create_task(self._follow(), name="file of experiments"),
            asyncio.create_task(self.guardrails.look(self.settings.look_s), name="guardrails"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self.exposures.log.close()
            self.outcomes.log.close()
            await exposures.close()
            await outcomes.close()

    async def _follow(self) -> None:
        if self.settings.poll_s:
            await self.keeper.follow(self.settings.poll_s)


def made(config: Config, asking: Sequence[Asking]) -> Experiments | None:
    """Return the experiments and what is behind them; None where there are none.

    Raises `ConfigError` for all that is wrong with them.
    """
    settings = config.experiments
    if settings.definitions is None:
        return None
    try:
        in_force = InForce(
            text_of(settings.definitions),
            asking,
            compiled,
            allow_forced=settings.allow_forced,
            stops=stops.read(settings.stops),
        )
    except Refused as error:
        raise ConfigError(
            [f"experiments.definitions: {each}" for each in error.problems]
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError([f"experiments.stops: {error}"]) from error
    keeper = Keeper(in_force, settings.definitions, settings.stops, now_us=_now_us)
    exposures = Exposures(
        Log(),
        window_s=settings.window_s,
        remember=settings.exposures.remember,
        now_us=_now_us,
    )
    outcomes = Outcomes(Log(), now_us=_now_us)
    guardrails = Guardrails(keeper, clock=time.monotonic)
    exposures.listener, outcomes.listener = guardrails.exposed, guardrails.happened
    metrics = ExperimentMetrics(in_force, [exposures.log, outcomes.log], keeper, guardrails)
    return Experiments(keeper, exposures, outcomes, guardrails, [metrics], settings)


def compiled(text: str, attributes: Mapping[str, str]) -> When:
    """Return what tells who is meant by an expression in CEL. Raises `ValueError`.

    Where it has no result, because something is not known, nobody is meant.
    """
    from inferd.features.compute.expressions import Expression
    from inferd.features.kinds import Kind

    known = {name: Kind.named(kind) for name, kind in attributes.items()}
    expression = Expression.compile(text, known)
    if expression.result != "bool":
        raise ValueError(f"it is {expression.result}, and somebody is meant or not: bool")
    names = expression.references

    def when(said: Attributes) -> bool:
        return expression.evaluate({name: said.get(name) for name in names}) is True

    return when


def _now_us() -> int:
    return round(WALL_CLOCK() * US)
