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
from inferd.app.settings import ConfigError
from inferd.cache.blobs import Blobs
from inferd.cache.journal.journal import Journal
from inferd.cache.memory_blobs import MemoryBlobs
from inferd.cache.prefixed import Prefixed
from inferd.config import Config
from inferd.deadline import Clock
from inferd.features.definitions import US
from inferd.features.kinds import Kind
from inferd.inference.models import Models
from inferd.resilience.toolbox import Toolbox
from inferd.services.extension import Service
from inferd.services.fraud import assessments, audit, features, happenings, models, outcomes, shared
from inferd.services.fraud.alert_sinks import FileSink, LogSink, WebhookSink
from inferd.services.fraud.alerting import Alerting, Route
from inferd.services.fraud.assessing import Assessing
from inferd.services.fraud.assessments import Assessments
from inferd.services.fraud.audit import Trail
from inferd.services.fraud.engine import Engine, Standing
from inferd.services.fraud.features import Needs
from inferd.services.fraud.happenings import Happenings
from inferd.services.fraud.idempotency import Once
from inferd.services.fraud.intake import Intake, Taken
from inferd.services.fraud.models import Scorer
from inferd.services.fraud.outcomes import Labels
from inferd.services.fraud.reading import Refused
from inferd.services.fraud.redaction import Redaction
from inferd.services.fraud.rulebook import Rulebook
from inferd.services.fraud.service import SERVICE, Parts, Texts
from inferd.services.fraud.service import Fraud as Answers
from inferd.services.fraud.shared import Shared
from inferd.services.fraud.trials import Trials
from inferd.telemetry.features import ROWS
from inferd.telemetry.fraud import FraudMetrics
from inferd.telemetry.fraud_records import AlertMetrics, AuditMetrics
from inferd.telemetry.statistics import Histogram

if TYPE_CHECKING:  # it takes a while to import, and many servers have none
    from inferd.cache.connection import Redis

LISTS_BYTES = 64_000_000


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
        self._guards = {
            name: toolbox.dependency(name, default)
            for name, default in (
                (assessments.GUARD, assessments.READS_GUARDED_AS),
                (f"{assessments.GUARD}_write", assessments.WRITES_GUARDED_AS),
                (audit.GUARD, audit.GUARDED_AS),
                (shared.GUARD, shared.GUARDED_AS),
                (outcomes.GUARD, outcomes.GUARDED_AS),
            )
        }

    def made(self) -> Fraud:
        """Return the whole. Raises `ConfigError` and `BadCascade`."""
        settings, now_us = self._settings, self._now_us
        if problems := [f"fraud.{each}" for each in self._problems()]:
            raise ConfigError(problems)
        parts = Parts(
            assessing=self._assessing,
            rulebook=self._rulebook,
            scorers=self._scorers,
            shared=self._shared,
            labels=self._labels,
            happenings=self._happenings,
            variables=self._variables,
            read=self._read,
            clock=self._clock,
            now_us=now_us,
        )
        metrics: list[Collector] = [
            FraudMetrics(self._assessing, self._rulebook, self._labels, self._happenings),
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
            self._guards[audit.GUARD],
            failed=self._assessing.unrecorded,
        )
        once = Once(
            self._assessments,
            trail,
            settings.idempotency,
            clock=self._clock,
            wall_clock=WALL_CLOCK,
        )
        self._assessing.open(once)
        self.audit_metrics = AuditMetrics(journal, trail, once)
        self._alerting.start()
        following = asyncio.create_task(self._follow(), name="lists of other servers")
        try:
            yield
        finally:
            following.cancel()
            await asyncio.wait([following])
            await self._happenings.close()
            await once.close()
            await journal.close()
            await self._alerting.close()

    async def _follow(self) -> None:
        if self._settings.lists_refresh_s:
            await self._shared.follow(self._settings.lists_refresh_s)

    def _problems(self) -> list[str]:
        """Return all that does not go together, each with its key below `fraud`."""
        settings, declared, variables = (
            self._settings,
            self._known.definitions,
            self._intake.variables,
        )
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
        return Intake(metadata, self._redaction, now_us=self._now_us, ahead_us=ahead_us)

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
    def _shared(self) -> Shared:
        if self._settings.idempotency.store == "memory":  # where transactions make room
            blobs: Blobs = MemoryBlobs(max_bytes=LISTS_BYTES, clock=self._clock)
        else:
            blobs = Prefixed(self._blobs, "l:")
        return Shared(
            blobs,
            self._guards[shared.GUARD],
            most=self._settings.max_list_entries,
            now_us=self._now_us,
            clock=self._clock,
        )

    @cached_property
    def _labels(self) -> Labels:
        keep_s = self._settings.idempotency.ttl_s
        return Labels(Prefixed(self._blobs, "o:"), self._guards[outcomes.GUARD], keep_s=keep_s)

    @cached_property
    def _assessments(self) -> Assessments:
        return Assessments(
            Prefixed(self._blobs, "t:"),
            self._settings.idempotency,
            reads=self._guards[assessments.GUARD],
            writes=self._guards[f"{assessments.GUARD}_write"],
        )

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
            now_us=self._now_us,
        )

    @cached_property
    def _alerting(self) -> Alerting:
        return Alerting(self._settings.alerts, self._routes(), clock=self._clock)

    def _routes(self) -> dict[str, Route]:
        alerts, routes = self._settings.alerts, dict[str, Route]()
        if alerts.log.enabled:
            routes["log"] = Route(LogSink(), alerts.log)
        if alerts.file is not None:
            routes["file"] = Route(FileSink(alerts.file.path), alerts.file)
        if alerts.webhook is not None:
            routes["webhook"] = Route(WebhookSink(alerts.webhook), alerts.webhook)
        if alerts.redis is not None:
            from inferd.cache.redis_streams import RedisSink

            assert self._redis is not None, "the configuration says so"
            sink = RedisSink(
                self._redis,
                stream=alerts.redis.stream,
                remember_s=alerts.redis.remember_s,
                max_entries=alerts.redis.max_entries,
                timeout_s=alerts.redis.timeout_ms / 1000,
            )
            routes["redis"] = Route(sink, alerts.redis)
        return routes

    @cached_property
    def _blobs(self) -> Blobs:
        settings = self._settings.idempotency
        if settings.store == "sqlite":
            from inferd.cache.sqlite_blobs import SqliteBlobs

            file = SqliteBlobs(settings.sqlite_path, wall_clock=WALL_CLOCK, sizes=_sizes())
            self._closing.push_async_callback(file.close)
            return file
        if settings.store == "redis":
            from inferd.cache.redis_blobs import RedisBlobs

            assert self._redis is not None, "the configuration says so"
            blobs = RedisBlobs(self._redis, prefix=settings.key_prefix, sizes=_sizes())
            self._closing.push_async_callback(blobs.close)
            return blobs
        return MemoryBlobs(max_bytes=settings.memory_bytes, clock=self._clock)

    def _standing(self, taken: Taken) -> Standing:
        now_us, there = self._now_us(), self._shared
        return Standing(
            there.lists.facts(taken.entities, now_us), there.snoozes.of(taken.entities, now_us)
        )

    def _now_us(self) -> int:
        return round(WALL_CLOCK() * US)


class _AuditMetrics(Collector):
    """What is counted of the audit trail, once it is open."""

    def __init__(self, assembly: FraudAssembly) -> None:
        self._assembly = assembly

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        if self._assembly.audit_metrics is not None:
            yield from self._assembly.audit_metrics.collect()


def _sizes() -> Histogram:
    return Histogram(ROWS)


def _text(path: Path) -> str:
    """Return what is in a file. Raises `Refused`."""
    try:
        return path.read_text()
    except OSError as error:
        raise Refused([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise Refused([f"{path}: not valid UTF-8 ({error.reason})"]) from error
