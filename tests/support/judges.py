"""A fraud service whose every part can be slow or broken, in virtual time."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import yaml
from msgspec import Raw
from numpy.typing import NDArray

from inferd.cache.blobs import Entry, Written
from inferd.cache.journal import chain
from inferd.cache.memory_blobs import MemoryBlobs
from inferd.cache.streams import Record
from inferd.call import Call
from inferd.config.fraud import LogSink
from inferd.config.fraud_service import Fraud as Settings
from inferd.deadline import NEVER, Deadline
from inferd.features.aggregates.aggregator import Aggregator
from inferd.features.compute.cached import ComputedViews
from inferd.features.compute.engine import Engine as Computing
from inferd.features.definitions import US, Definitions
from inferd.features.online import OnlineFeatures
from inferd.features.statistics import FeatureStatistics
from inferd.features.store import READS_GUARDED_AS, WRITES_GUARDED_AS
from inferd.features.writing import Limits
from inferd.services.fraud import assessments, audit
from inferd.services.fraud.alerting import Alerting, Route
from inferd.services.fraud.assessing import Assessing
from inferd.services.fraud.assessments import Assessments
from inferd.services.fraud.audit import Trail
from inferd.services.fraud.engine import METHOD, Engine, Standing
from inferd.services.fraud.features import Needs
from inferd.services.fraud.happenings import Happenings
from inferd.services.fraud.idempotency import Once
from inferd.services.fraud.intake import Intake, Taken
from inferd.services.fraud.lists import Lists
from inferd.services.fraud.models import Scorer
from inferd.services.fraud.redaction import Redaction
from inferd.services.fraud.rulebook import Rulebook
from inferd.services.fraud.trials import Trials
from inferd.v1 import fraud_pb2 as pb
from support.deciding import DEFINITIONS, POLICY, RULES, a_transaction, fraud_settings
from support.guards import a_toolbox

BEGIN_S = 1_700_000_000.0
HANGS_S = 3600.0


class Part:
    """Something that takes a while, or fails."""

    def __init__(self) -> None:
        self.takes_s = 0.0
        self.raises: Exception | None = None
        self.asked = 0
        self.cancelled = 0

    async def act(self) -> None:
        self.asked += 1
        try:
            if self.takes_s:
                await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.raises is not None:
            raise self.raises


class Blobs(MemoryBlobs):
    """A store whose reads and writes are parts."""

    def __init__(self) -> None:
        super().__init__(max_bytes=10_000_000, clock=asyncio.get_running_loop().time)
        self.reads, self.writes = Part(), Part()

    async def get(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        await self.reads.act()
        return await super().get(keys)

    async def put(self, entries: Sequence[Entry]) -> Sequence[Written]:
        await self.writes.act()
        return await super().put(entries)


class Model(Part):
    """Says the same of everything."""

    version = "7"

    def __init__(self, says: float) -> None:
        super().__init__()
        self.says = says
        self.rows: list[list[float]] = []


class Models:
    """The models of a server."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        self._models = models

    def find(self, name: str, version: str = "", call: Call | None = None) -> Model | None:
        return self._models.get(name)

    async def run(
        self,
        name: str,
        inputs: Mapping[str, NDArray[Any]],
        *,
        call: Call,
        deadline: Deadline,
        version: str = "",
        outputs: Sequence[str] = (),
    ) -> Mapping[str, NDArray[Any]]:
        model = self._models[name]
        await model.act()
        [features] = inputs.values()
        model.rows += features.tolist()
        says = np.full((len(features), 1), model.says, np.float32)
        return dict.fromkeys(outputs, says)


class Records(Part):
    """What is on record."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[chain.Entry] = []

    def begin(self, entry: chain.Entry) -> Awaitable[int]:
        return asyncio.ensure_future(self._written(entry))

    async def _written(self, entry: chain.Entry) -> int:
        await self.act()
        self.entries.append(entry)
        return len(self.entries)

    def knows(self, id: str) -> bool:
        return any(entry.id == id for entry in self.entries)

    async def last(self, id: str) -> chain.Record:
        number, it = [each for each in enumerate(self.entries, 1) if each[1].id == id][-1]
        return chain.Record(number, "", it.at_us, it.kind, id, Raw(it.body), "")


class Sink:
    """Gets alerts."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    async def publish(self, records: Sequence[Record]) -> Sequence[bool]:
        self.records += records
        return [True] * len(records)

    async def close(self) -> None:
        pass


class Assessed(NamedTuple):
    """An answer, after how many seconds, and its call."""

    answer: pb.Assessment
    seconds: float
    call: Call


class Judge:
    """The service, and its parts. To be used on a running event loop."""

    def __init__(self, *, models: int = 3, scores: float = 0.1, **settings: Any) -> None:
        loop = asyncio.get_running_loop()
        self.clock = clock = loop.time
        said = fraud_settings(**settings)
        said["models"] = said["models"][:models]
        self.settings = Settings.model_validate(said)
        self.definitions = Definitions.read(DEFINITIONS)
        self.toolbox = toolbox = a_toolbox(clock)
        self.features, self.kept = Blobs(), Blobs()
        self.models = {each.name: Model(scores) for each in self.settings.models}
        self.records, self.sink, self.lists = Records(), Sink(), Lists()
        guard = toolbox.dependency
        self.aggregator = Aggregator(
            self.definitions,
            self.features,
            reads=guard("features", READS_GUARDED_AS),
            writes=guard("features_write", WRITES_GUARDED_AS),
            wall_clock=self.wall_clock,
            limits=Limits(1000, 300 * US),
        )
        self.online = online = self._online()
        redaction = Redaction(self.settings.audit)
        intake = Intake({}, redaction, now_us=self.now_us, ahead_us=300 * US)
        needs = Needs(self.definitions, self.settings.entities, self.settings.request)
        variables = {**intake.variables, **needs.variables}
        policy = {**POLICY, "scoring": {"models": {name: {"weight": 1} for name in self.models}}}
        self.rulebook = Rulebook(
            yaml.safe_dump(RULES), yaml.safe_dump(policy), known=variables, models=[*self.models]
        )
        served = Models({f"fraud_{name}": each for name, each in self.models.items()})
        self.happenings = Happenings(self.settings, self.aggregator, clock=clock)
        self.engine = Engine(
            self.settings,
            self.rulebook,
            needs,
            online,
            scorers=[Scorer(each, served, variables) for each in self.settings.models],
            toolbox=toolbox,
            standing=self._standing,
            read=self.happenings.transaction,
        )
        route = Route(self.sink, LogSink())
        self.alerting = Alerting(self.settings.alerts, {"log": route}, clock=clock)
        self.alerting.start()
        self.assessing = Assessing(
            intake,
            self.engine,
            Trials(self.settings.test_prefix, self.rulebook),
            self.happenings,
            redaction=redaction,
            alerting=self.alerting,
            deadline_s=self.settings.deadline_ms / 1000,
            bounds_s=(0.001, 0.01, 0.1),
            clock=clock,
            now_us=self.now_us,
        )
        self.once = self._once()
        self.assessing.open(self.once)

    def wall_clock(self) -> float:
        return BEGIN_S + self.clock()

    def now_us(self) -> int:
        return round(self.wall_clock() * US)

    def transaction(self, id: str = "t", **said: Any) -> pb.Transaction:
        return a_transaction(id, at_us=self.now_us(), **said)

    async def assess(
        self, transaction: pb.Transaction | None = None, *, within_s: float | None = None
    ) -> Assessed:
        began = self.clock()
        deadline = NEVER if within_s is None else Deadline(began + within_s)
        call = Call(METHOD, arrived=began, deadline=deadline)
        answer = await self.assessing.assess(transaction or self.transaction(), call)
        return Assessed(answer, self.clock() - began, call)

    async def restarted(self) -> None:
        """Have nothing known any more but what is stored and on record."""
        await self.once.close()
        self.once = self._once()
        self.assessing.open(self.once)

    async def close(self) -> None:
        await self.aggregator.close()
        await self.happenings.close()
        await self.once.close()
        await self.alerting.close()

    def _online(self) -> OnlineFeatures:
        kinds: dict[str, Any] = {"aggregated": self.aggregator}
        online = OnlineFeatures(
            kinds, FeatureStatistics(self.definitions.views), now_us=self.now_us
        )
        computing = Computing(
            self.definitions.plan,
            {},
            online.read,
            max_latency_s=0.02,
            clock=self.clock,
            now_us=self.now_us,
        )
        kinds["computed"] = ComputedViews(computing, {}, now_us=self.now_us)
        return online

    def _once(self) -> Once:
        guard = self.toolbox.dependency
        kept = Assessments(
            self.kept,
            self.settings.idempotency,
            reads=guard(assessments.GUARD, assessments.READS_GUARDED_AS),
            writes=guard(f"{assessments.GUARD}_write", assessments.WRITES_GUARDED_AS),
        )
        trail = Trail(
            self.records,
            self.settings.audit,
            guard(audit.GUARD, audit.GUARDED_AS),
            failed=self.assessing.unrecorded,
        )
        return Once(
            kept,
            trail,
            self.settings.idempotency,
            clock=self.clock,
            wall_clock=self.wall_clock,
        )

    def _standing(self, taken: Taken) -> Standing:
        return Standing(self.lists.facts(taken.entities, self.now_us()), frozenset())


def degraded(answer: pb.Assessment) -> dict[str, tuple[str, str]]:
    """Return what an answer does without, by stage: what served instead, and why."""
    return {it.stage: (it.source, it.reason) for it in answer.degradations}
