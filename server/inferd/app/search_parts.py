"""What a server that searches is made of."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property

from prometheus_client.registry import Collector

from inferd.app.experiments import Experiments
from inferd.app.feature_parts import WALL_CLOCK
from inferd.app.settings import ConfigError
from inferd.cache.kept import Kept
from inferd.config import Config
from inferd.deadline import Clock
from inferd.errors import NotReady
from inferd.features.definitions import US
from inferd.inference.models import Models
from inferd.resilience.toolbox import Toolbox
from inferd.services.extension import Service
from inferd.services.search.behaviour import SearchBehaviour
from inferd.services.search.clicks import Click, Clicks
from inferd.services.search.engine import Engine
from inferd.services.search.features import SearchFeatures
from inferd.services.search.index import TextIndex
from inferd.services.search.index_open import opened
from inferd.services.search.knowledge import Knowledge
from inferd.services.search.pages import PageTokens
from inferd.services.search.personal import Tastes
from inferd.services.search.query.synonyms import synonyms_of
from inferd.services.search.questions import Bounds
from inferd.services.search.service import SERVICE, Parts
from inferd.services.search.service import Search as Answers
from inferd.services.search.serving import SURFACE, Serving, Tested
from inferd.services.search.standing import Standing
from inferd.services.search.stocking import Stocking
from inferd.services.search.suggesting import Suggesting
from inferd.services.search.text_query import StoredDocument
from inferd.telemetry.search import SearchMetrics


@dataclass(frozen=True, slots=True)
class Search:
    """What a server that searches has besides."""

    service: Service
    metrics: Sequence[Collector]
    assembly: "SearchAssembly"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the index and keep all of it up to date.

        Raises `LoadFailed` where files cannot be read, or another server writes the index.
        """
        async with self.assembly.running():
            yield


class SearchAssembly:
    """Makes the parts, each once."""

    def __init__(
        self,
        config: Config,
        tested: Experiments | None,
        served: Models,
        toolbox: Toolbox,
        *,
        clock: Clock,
    ) -> None:
        self._config = config
        self._settings = config.search
        self._tested = tested
        self._served = served
        self._toolbox = toolbox
        self._clock = clock
        #: Once it is open.
        self._index: TextIndex | None = None
        self._knowledge: Knowledge | None = None

    def made(self) -> Search:
        """Return the whole. Raises `ConfigError` and `BadCascade`."""
        if problems := [f"search.{each}" for each in self._problems()]:
            raise ConfigError(problems)
        metrics = SearchMetrics(
            self._serving,
            self._engine,
            stocking=self._stocking,
            clicks=self._clicks,
            suggested=self._suggesting,
            index=self,
        )
        return Search(Service(SERVICE, self._answers), [metrics], self)

    @property
    def documents(self) -> int:
        """How many documents there are."""
        return 0 if self._index is None else self._index.count

    @property
    def segments(self) -> int:
        """In how many parts the index is."""
        return 0 if self._index is None else self._index.segments

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have all of it run that runs by itself."""
        settings = self._settings
        assert settings.index is not None, "there is a service"
        await asyncio.to_thread(self._standing.load)
        async with AsyncExitStack() as stack:
            index = await stack.enter_async_context(opened(settings.index, self._clock))
            knowledge = Knowledge(settings.query, index)
            knowledge.use(await asyncio.to_thread(synonyms_of, self._standing.synonyms))
            await knowledge.refresh()
            self._index, self._knowledge = index, knowledge
            running = [
                asyncio.create_task(knowledge.run(), name="words of the index"),
                asyncio.create_task(self._suggesting.run(), name="suggestions"),
            ]
            if (path := settings.behaviour.path) is not None:
                kept = Kept(self._behaviour, path, snapshot_s=settings.behaviour.snapshot_s)
                await asyncio.to_thread(kept.load)
                running.append(asyncio.create_task(kept.run(), name="search behaviour to disk"))
            try:
                yield
            finally:
                for each in running:
                    each.cancel()
                await asyncio.wait(running)

    def _problems(self) -> Iterator[str]:
        """Yield all that does not go together, each with its key below `search`."""
        settings = self._settings
        assert settings.index is not None, "there is a service"
        if settings.ranker is not None:
            try:
                SearchFeatures(settings.ranker.inputs)
            except ValueError as error:
                yield f"ranker.inputs: {error}"
        fields = settings.index.fields
        for kind, entity in settings.query.entities.items():
            field = fields.get(entity.field)
            if field is None or field.type != "keyword" or not field.facet:
                yield f"query.entities.{kind}.field: {entity.field} is no keyword that is a facet"
        prices = settings.query.prices
        if prices is not None and (
            prices.field not in fields or fields[prices.field].type != "number"
        ):
            yield f"query.prices.field: {prices.field} is no number of the index"

    def _opened_index(self) -> TextIndex:
        if self._index is None:
            raise NotReady("the index is not open yet")
        return self._index

    def _opened_knowledge(self) -> Knowledge:
        if self._knowledge is None:
            raise NotReady("the index is not open yet")
        return self._knowledge

    @cached_property
    def _behaviour(self) -> SearchBehaviour:
        return SearchBehaviour(self._settings.behaviour)

    @cached_property
    def _tastes(self) -> Tastes:
        return Tastes(self._settings.personal)

    @cached_property
    def _standing(self) -> Standing:
        return Standing(self._settings.standing)

    @cached_property
    def _engine(self) -> Engine:
        return Engine(
            self._settings,
            index=self._opened_index,
            behaviour=self._behaviour,
            models=self._served,
            toolbox=self._toolbox,
        )

    @cached_property
    def _suggesting(self) -> Suggesting:
        return Suggesting(
            self._settings.suggest, self._opened_index, clock=self._clock, now_us=_now_us
        )

    @cached_property
    def _serving(self) -> Serving:
        settings, tested = self._settings, self._tested
        return Serving(
            settings,
            self._engine,
            index=self._opened_index,
            knowledge=self._opened_knowledge,
            standing=self._standing,
            tastes=self._tastes,
            behaviour=self._behaviour,
            asked=self._suggesting.asked,
            tokens=PageTokens.random(settings.page_key.get_secret_value()),
            bounds=Bounds(settings.max_page_size, self._config.experiments.allow_forced),
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
        return Stocking(self._opened_index, most=self._settings.max_items)

    @cached_property
    def _clicks(self) -> Clicks:
        return Clicks(
            self._opened_index,
            most=self._settings.max_items,
            listeners=[self._learn],
            now_us=_now_us,
        )

    @cached_property
    def _answers(self) -> Answers:
        return Answers(
            Parts(
                serving=self._serving,
                suggesting=self._suggesting,
                stocking=self._stocking,
                clicks=self._clicks,
                standing=self._standing,
                index=self._opened_index,
                knowledge=self._opened_knowledge,
            )
        )

    def _learn(self, click: Click, document: StoredDocument | None) -> None:
        """Have a click count for what everybody finds, and for what its user does."""
        text = ""
        if click.query and self._knowledge is not None:
            text = self._knowledge.understand(click.query).text
        self._behaviour.record(
            text, click.document_id, click.act, click.time_us, place=click.position
        )
        if document is not None:
            self._tastes.clicked(click.user_id, document)
        if self._tested is not None and click.user_id:
            self._tested.outcomes.happened(
                "user_id",
                click.user_id,
                click.act.name.lower(),
                at_us=click.time_us,
                event=click.event_id,
                request=click.request_id,
                item=click.document_id,
            )


def _now_us() -> int:
    return round(WALL_CLOCK() * US)
