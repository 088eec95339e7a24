"""What a server that decides on fraud is made of."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from inferd.app.feature_parts import WALL_CLOCK, Features
from inferd.app.fraud_stores import FraudStores, alert_routes
from inferd.app.settings import ConfigError
from inferd.cache.journal.journal import Journal
from inferd.config import Config
from inferd.config.reading import Refused
from inferd.deadline import Clock
from inferd.features.definitions import US
from inferd.features.kinds import Kind
from inferd.inference.models import Models
from inferd.resilience.toolbox import Toolbox
from inferd.services.extension import Service
from inferd.services.fraud import audit, features, happenings, models
from inferd.services.fraud.alerting import Alerting
from inferd.services.fraud.assessing import Assessing
from inferd.services.fraud.audit import Trail
from inferd.services.fraud.engine import Engine, Standing
from inferd.services.fraud.features import Needs
from inferd.services.fraud.happenings import Happenings
from inferd.services.fraud.idempotency import Once
from inferd.services.fraud.intake import Intake, Taken
from inferd.services.fraud.models import Scorer
from inferd.services.fraud.redaction import Redaction
from inferd.services.fraud.rulebook import Rulebook
from inferd.services.fraud.service import SERVICE, Parts, Texts
from inferd.services.fraud.service import Fraud as Answers
from inferd.services.fraud.trials import Trials
from inferd.telemetry.fraud import FraudMetrics
from inferd.telemetry.fraud_records import AlertMetrics, AuditMetrics

if TYPE_CHECKING:  # it takes a while to import, and many servers have none
    from inferd.cache.connection import Redis


@dataclass(frozen=True, slots=True)
class Fraud:
    """What a server that decides on fraud has besides."""

    service: Service
    metrics: Sequence[Collector]
    assembly: "FraudAssembly"
    #: What is to be closed when nothing runs any more.
    closing: AsyncExitStack

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the audit trail open, follow the lists, and send alerts.

        Raises `OSError` where the audit trail cannot be written, or another process writes it.
        """
        async with self.assembly.running():
            yield


class FraudAssembly:
    """Makes the parts, each once."""

    def __init__(
        self,
        config: Config,
        known: Features,
        served: Models,
        *,
        redis: "Redis | None",
        toolbox: Toolbox,
        clock: Clock,
    ) -> None:
        self._config = config
        self._settings = config.fraud
        self._known = known
        self._served = served
        self._redis = redis
        self._toolbox = toolbox
        self._clock = clock
        self._closing = AsyncExitStack()
        #: None: the audit trail is not open.
        self.audit_metrics: AuditMetrics | None = None
        self._bounds_s = tuple(each / 1000 for each in config.telemetry.latency_buckets_ms)
        self._audit = toolbox.dependency(audit.GUARD, audit.GUARDED_AS)
        self._stores = FraudStores(
            self._settings, redis, toolbox, closing=self._closing, now_us=_now_us
        )

    def made(self) -> Fraud:
        """Return the whole. Raises `ConfigError` and `BadCascade`."""
        settings = self._settings
        if problems := [f"fraud.{each}" for each in self._problems()]:
            raise ConfigError(problems)
        parts = Parts(
            assessing=self._assessing,
            rulebook=self._rulebook,
            scorers=self._scorers,
            shared=self._stores.shared,
            labels=self._stores.labels,
            happenings=self._happenings,
            variables=self._variables,
            read=self._read,
            clock=self._clock,
            now_us=_now_us,
        )
        metrics: list[Collector] = [
            FraudMetrics(self._assessing, self._rulebook, self._stores.labels, self._happenings),
            AlertMetrics(self._alerting),
            _AuditMetrics(self),
        ]
        return Fraud(Service(SERVICE, Answers(parts, settings)), metrics, self, self._closing)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have all of it run that runs by itself."""
        settings = self._settings
        journal = Journal(settings.audit, wall_clock=WALL_CLOCK)
        trail = Trail(
            journal,
            settings.audit,
            self._audit,
            failed=self._assessing.unrecorded,
        )
        once = Once(
            self._stores.assessments,
            trail,
            settings.idempotency,
            clock=self._clock,
            wall_clock=WALL_CLOCK,
        )
        self.audit_metrics = AuditMetrics(journal, trail, once)
        self._alerting.start()
        await self._stores.shared.try_to_look()  # whoever is on a list is so from the first call on

        def open_if_loaded() -> None:
            # Before, models fail that are only late, and a careful answer would be one for good.
            if self._served.serving:
                self._assessing.open(once)

        unwatch = self._served.watch(open_if_loaded)
        open_if_loaded()
        following = asyncio.create_task(self._follow(), name="lists of other servers")
        try:
            yield
        finally:
            unwatch()
            following.cancel()
            await asyncio.wait([following])
            await self._happenings.close()
            await once.close()
            await journal.close()
            await self._alerting.close()

    async def _follow(self) -> None:
        if self._settings.lists_refresh_s:
            await self._stores.shared.follow(self._settings.lists_refresh_s)

    def _problems(self) -> list[str]:
        """Return all that does not go together, each with its key below `fraud`."""
        settings, declared = self._settings, self._known.definitions
        variables = self._intake.variables
        found = [
            *features.problems(declared, settings.entities, settings.request, variables),
            *happenings.problems(settings, declared, variables),
        ]
        if not found:
            found += models.problems(settings.models, self._variables)
        if not found:
            try:
                _ = self._rulebook
            except Refused as error:
                found += error.problems
        return found

    def _read(self) -> Texts:
        """Return what is in the files of rules and policy. Raises `Refused`."""
        assert self._settings.rules is not None
        assert self._settings.policy is not None
        return Texts(_text(self._settings.rules), _text(self._settings.policy))

    @cached_property
    def _needs(self) -> Needs:
        return Needs(self._known.definitions, self._settings.entities, self._settings.request)

    @cached_property
    def _redaction(self) -> Redaction:
        return Redaction(self._settings.audit)

    @cached_property
    def _intake(self) -> Intake:
        metadata = {key: Kind.named(kind) for key, kind in self._settings.metadata.items()}
        ahead_us = round(self._settings.max_future_s * US)
        return Intake(metadata, self._redaction, now_us=_now_us, ahead_us=ahead_us)

    @cached_property
    def _variables(self) -> dict[str, Kind]:
        return {**self._intake.variables, **self._needs.variables}

    @cached_property
    def _rulebook(self) -> Rulebook:
        names = [each.name for each in self._settings.models]
        return Rulebook(*self._read(), known=self._variables, models=names)

    @cached_property
    def _scorers(self) -> list[Scorer]:
        return [Scorer(each, self._served, self._variables) for each in self._settings.models]

    @cached_property
    def _happenings(self) -> Happenings:
        return Happenings(
            self._settings,
            self._known.aggregator,
            clock=self._clock,
        )

    @cached_property
    def _assessing(self) -> Assessing:
        settings = self._settings
        engine = Engine(
            settings,
            self._rulebook,
            self._needs,
            self._known.online,
            scorers=self._scorers,
            toolbox=self._toolbox,
            standing=self._standing,
            read=self._happenings.transaction,
        )
        return Assessing(
            self._intake,
            engine,
            Trials(settings.test_prefix, self._rulebook),
            self._happenings,
            redaction=self._redaction,
            alerting=self._alerting,
            deadline_s=settings.deadline_ms / 1000,
            bounds_s=self._bounds_s,
            clock=self._clock,
            now_us=_now_us,
        )

    @cached_property
    def _alerting(self) -> Alerting:
        return Alerting(
            self._settings.alerts,
            alert_routes(self._settings.alerts, self._redis),
            clock=self._clock,
        )

    def _standing(self, taken: Taken) -> Standing:
        now_us, there = _now_us(), self._stores.shared
        return Standing(
            there.lists.facts(taken.entities, now_us), there.snoozes.of(taken.entities, now_us)
        )


class _AuditMetrics(Collector):
    """What is counted of the audit trail, once it is open."""

    def __init__(self, assembly: FraudAssembly) -> None:
        self._assembly = assembly

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        if self._assembly.audit_metrics is not None:
            yield from self._assembly.audit_metrics.collect()


def _now_us() -> int:
    return round(WALL_CLOCK() * US)


def _text(path: Path) -> str:
    """Return what is in a file. Raises `Refused`."""
    try:
        return path.read_text()
    except OSError as error:
        raise Refused([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise Refused([f"{path}: not valid UTF-8 ({error.reason})"]) from error
