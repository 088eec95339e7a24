"""What a server that recommends is made of."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property

from prometheus_client.registry import Collector

from inferd.app.experiments import Experiments
from inferd.app.feature_parts import WALL_CLOCK, Features
from inferd.app.settings import ConfigError
from inferd.cache.kept import Kept
from inferd.config import Config
from inferd.config.recommendation.catalogue import ItemVectors
from inferd.deadline import Clock
from inferd.errors import InferdError, InvalidRequest
from inferd.features.definitions import US
from inferd.inference.models import Models
from inferd.inference.repository.layout import scan
from inferd.resilience.toolbox import Toolbox
from inferd.services.extension import Service
from inferd.services.recommendation import interactions, profile_reading, sources_declared
from inferd.services.recommendation.answer_cache import AnswerCache
from inferd.services.recommendation.asking import ItemTower, Scorer, UserTower
from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.catalogue import Catalogue
from inferd.services.recommendation.cold_start import ColdStart
from inferd.services.recommendation.engine import Engine
from inferd.services.recommendation.features import PairFeatures
from inferd.services.recommendation.gathering import Gathering
from inferd.services.recommendation.interactions import Interaction, Interactions
from inferd.services.recommendation.keeping import KeptCatalogue
from inferd.services.recommendation.profile_reading import ProfileReading
from inferd.services.recommendation.ranking import RankingRules
from inferd.services.recommendation.seeding import Seeding
from inferd.services.recommendation.service import SERVICE, Parts
from inferd.services.recommendation.service import Recommendations as Answers
from inferd.services.recommendation.serving import SURFACE, Serving, Tested
from inferd.services.recommendation.snapshot import CatalogueFiles
from inferd.services.recommendation.stocking import Stocking
from inferd.services.recommendation.tuning import tunable
from inferd.services.recommendation.wishes import Bounds
from inferd.telemetry.recommendation import RecommendationMetrics

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recommendations:
    """What a server that recommends has besides."""

    service: Service
    metrics: Sequence[Collector]
    assembly: "RecommendationAssembly"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load what was kept, and keep it.

        Raises `OSError` where files cannot be read or written, or another process writes them, and
        `LoadFailed` for those that are damaged.
        """
        async with self.assembly.running():
            yield


class RecommendationAssembly:
    """Makes the parts, each once."""

    def __init__(
        self,
        config: Config,
        known: Features,
        tested: Experiments | None,
        served: Models,
        toolbox: Toolbox,
        *,
        clock: Clock,
    ) -> None:
        self._config = config
        self._settings = config.recommendation
        self._known = known
        self._tested = tested
        self._served = served
        self._toolbox = toolbox
        self._clock = clock

    def made(self) -> Recommendations:
        """Return the whole. Raises `ConfigError` and `BadCascade`."""
        if problems := [f"recommendation.{each}" for each in self._problems()]:
            raise ConfigError(problems)
        metrics = RecommendationMetrics(
            self._serving,
            self._stocking,
            self._interactions,
            catalogue=self._catalogue,
            cache=self._cache,
            behaviour=self._behaviour,
        )
        return Recommendations(Service(SERVICE, self._answers), [metrics], self)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have all of it run that runs by itself."""
        async with AsyncExitStack() as stack:
            work = [asyncio.create_task(self._sources.vectors.run(), name="index of vectors")]
            stack.push_async_callback(_ended, work)
            if (path := self._settings.behaviour.path) is not None:
                behaviour = Kept(
                    self._behaviour, path, snapshot_s=self._settings.behaviour.snapshot_s
                )
                await asyncio.to_thread(behaviour.load)
                work.append(asyncio.create_task(behaviour.run(), name="behaviour to disk"))
            files, lacking = await asyncio.to_thread(self._load)
            changes = self._settings.catalogue.snapshot_changes
            kept = KeptCatalogue(self._catalogue, files, snapshot_changes=changes)
            stack.push_async_callback(kept.close)
            self._stocking.open(kept)
            work.append(asyncio.create_task(self._fill(lacking), name="vectors of items"))
            yield

    def _load(self) -> tuple[CatalogueFiles | None, list[str]]:
        """Load what was kept; return the files, and which items lack a vector. Blocks."""
        settings = self._settings.catalogue
        if settings.path is None:
            return None, []
        by = "" if settings.vectors is None else self._on_disk(settings.vectors)
        files = CatalogueFiles(settings.path, made_by=by)
        try:
            return files, files.load(self._catalogue)
        except BaseException:
            files.close()
            raise

    def _on_disk(self, tower: ItemVectors) -> str:
        """Return which version of a tower there is to make vectors, as "name/version". Blocks."""
        repository = self._config.repository
        labels = repository.version_labels.get(tower.model, {})
        files = scan(repository.paths, wall_now=WALL_CLOCK()).models.get(tower.model)
        highest = max(files.versions, default=0) if files is not None else 0
        return f"{tower.model}/{labels.get(tower.version, tower.version or highest)}"

    async def _fill(self, lacking: Sequence[str]) -> None:
        """Have all items that there are to be, and vectors of them, and open."""
        await self._served_at_last()
        seeding = Seeding(
            self._settings.catalogue, self._catalogue, self._stocking, clock=self._clock
        )
        try:
            await seeding.make_vectors(lacking)
            await seeding.take_in()
        except (OSError, InferdError) as error:
            log.error("recommendation.catalogue: %s", error)  # noqa: TRY400 - it is no bug
        except Exception:  # there are items nevertheless, or can be sent
            log.exception("unforeseen error while items were added")
        self._serving.rehearse()
        self._answers.open = True
        log.info("recommendations: %d items", len(self._catalogue))

    async def _served_at_last(self) -> None:
        """Return when models are served."""
        served = asyncio.Event()

        def look() -> None:
            if self._served.serving:
                served.set()

        unwatch = self._served.watch(look)
        try:
            look()
            await served.wait()
        finally:
            unwatch()

    def _problems(self) -> Iterator[str]:
        """Yield all that does not go together, each with its key below `recommendation`."""
        settings, declared = self._settings, self._known.definitions
        for problem in interactions.problems(settings.interactions, declared):
            yield f"interactions.{problem}"
        for problem in profile_reading.problems(settings.profile, declared):
            yield f"profile.{problem}"
        for each in settings.rankers:
            try:
                PairFeatures(each.inputs)
            except ValueError as error:
                yield f"rankers.{each.name}.inputs: {error}"
        try:
            _ = self._rules
        except InvalidRequest as error:
            yield from (f"{each.field}: {each.description}" for each in error.violations)

    @cached_property
    def _catalogue(self) -> Catalogue:
        settings = self._settings.catalogue
        return Catalogue(dimensions=settings.dimensions, max_items=settings.max_items)

    @cached_property
    def _behaviour(self) -> Behaviour:
        return Behaviour(self._settings.behaviour, max_items=self._settings.catalogue.max_items)

    @cached_property
    def _sources(self) -> sources_declared.Sources:
        return sources_declared.made(self._settings.sources, self._catalogue, self._behaviour)

    @cached_property
    def _rules(self) -> RankingRules:
        return RankingRules(self._settings.ranking)

    @cached_property
    def _cold(self) -> ColdStart:
        return ColdStart(self._settings.cold_start)

    @cached_property
    def _cache(self) -> AnswerCache:
        return AnswerCache(self._settings.cache)

    @cached_property
    def _engine(self) -> Engine:
        settings, catalogue = self._settings, self._settings.catalogue
        users = settings.user_vectors
        return Engine(
            settings,
            behaviour=self._behaviour,
            cold=self._cold,
            profiles=ProfileReading(
                settings.profile,
                settings.interactions,
                self._known.definitions,
                self._known.online,
            ),
            gathering=Gathering(self._sources, sources_declared.quotas(settings.sources)),
            tower=None if users is None else UserTower(users, self._served, catalogue.dimensions),
            scorers=[Scorer(each, self._served) for each in settings.rankers],
            rules=self._rules,
            toolbox=self._toolbox,
        )

    @cached_property
    def _serving(self) -> Serving:
        settings, tested = self._settings, self._tested
        return Serving(
            self._engine,
            self._catalogue,
            self._cold,
            self._cache,
            bounds=Bounds(settings.max_count, self._config.experiments.allow_forced),
            tunable=tunable(settings),
            tested=None
            if tested is None
            else Tested(
                tested.in_force.surfaces[SURFACE],
                tested.exposures,
                tested.outcomes,
                tested.guardrails,
            ),
            bounds_s=tuple(each / 1000 for each in self._config.telemetry.latency_buckets_ms),
            clock=self._clock,
            now_us=_now_us,
        )

    @cached_property
    def _stocking(self) -> Stocking:
        settings = self._settings.catalogue
        vectors, dimensions = settings.vectors, settings.dimensions
        tower = None if vectors is None else ItemTower(vectors, self._served, dimensions)
        return Stocking(
            settings, tower, self._toolbox, most=self._settings.max_items, now_us=_now_us
        )

    @cached_property
    def _interactions(self) -> Interactions:
        return Interactions(
            self._settings.interactions,
            self._known.aggregator,
            most=self._settings.max_interactions,
            item=self._catalogue.get,
            listeners=[self._serving.heard, self._learn],
        )

    @cached_property
    def _answers(self) -> Answers:
        return Answers(Parts(self._serving, self._interactions, self._stocking))

    def _learn(self, it: Interaction) -> None:
        """Have it count for what everybody gets, of which there are only items of the catalogue."""
        table = self._catalogue.table
        row = table.row(it.item_id)
        if row is not None:
            self._behaviour.record(it.user_id, it.item_id, it.act, it.time_us)
            self._cold.record(int(table.category[row]), it.act, it.time_us, it.request_id)


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _now_us() -> int:
    return round(WALL_CLOCK() * US)
