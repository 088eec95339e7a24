"""From a request to a page: understood, found and ranked for everybody, and then for who asks.

Up to the ranking all is the same for everybody, and may be cached. What follows is done for every
call alike, whether the ranking was cached or not: the user's own order, curations, experiments, and
the page. Tokens carry what later pages need, so they go on where the first page left off.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from inferd.cache.local import Local
from inferd.call import Call
from inferd.config.search import Search as Settings
from inferd.config.search.index import SearchIndex
from inferd.deadline import Clock
from inferd.errors import InferdError, InvalidRequest, NotFound
from inferd.experiments.definitions import Asking
from inferd.experiments.experiments import Surface
from inferd.experiments.guardrails import Guardrails
from inferd.experiments.interleaving import team_draft
from inferd.experiments.log import Exposures, Outcomes
from inferd.experiments.plan import NOTHING, Assignments, Parameters
from inferd.resilience.degradation import ABSENT, Degradation
from inferd.resilience.endpoint import Answer
from inferd.services.degradations import messages as degradations
from inferd.services.search import answers, pages, questions
from inferd.services.search.answers import Hit
from inferd.services.search.asked import Asked, Meant
from inferd.services.search.behaviour import SearchBehaviour
from inferd.services.search.engine import CACHED, RANKING, RETRIEVAL, Engine, Wanted, Work
from inferd.services.search.finding import Ranked
from inferd.services.search.index import TextIndex
from inferd.services.search.knowledge import Knowledge
from inferd.services.search.pages import Page, PageExpired, PageTokens
from inferd.services.search.paging import Paging
from inferd.services.search.personal import Affinity, Tastes
from inferd.services.search.questions import Bounds, Question
from inferd.services.search.standing import Standing
from inferd.services.search.text_query import StoredDocument
from inferd.telemetry.statistics import Histogram
from inferd.v1 import search_pb2 as pb

SURFACE: Final = "search"
PAGED: Final = 5_000
"""Queries, of those whose next pages may be asked for, of which it is known what they meant."""
UNITS: Final = ("user_id", "session_id")
ATTRIBUTES: Final[Mapping[str, str]] = {
    "device_type": "string",
    "country": "string",
    "query": "string",
}
"""What targeting sees of a request: what is not said is not known."""
PARAMETERS: Final[Mapping[str, str]] = {"learnt": "bool", "personal_shift": "int64"}
"""What experiments may change: whether the model ranks, and how far hits move for somebody."""


def asking() -> Asking:
    """Return what experiments need to know of those who ask here."""
    return Asking(SURFACE, UNITS, ATTRIBUTES, PARAMETERS)


class Tested(NamedTuple):
    """What experiments there are, and where it is noted who saw what."""

    surface: Surface
    exposures: Exposures
    outcomes: Outcomes
    guardrails: Guardrails


class Serving:
    """Answers searches. Lives on the event loop."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        *,
        index: Callable[[], TextIndex],
        knowledge: Callable[[], Knowledge],
        standing: Standing,
        tastes: Tastes,
        behaviour: SearchBehaviour,
        asked: Callable[[str, str, int], None],
        tokens: PageTokens,
        bounds: Bounds,
        tested: Tested | None,
        bounds_s: Sequence[float],
        clock: Clock,
        now_us: Callable[[], int],
    ) -> None:
        """`index` and `knowledge` are there once it is open; `bounds_s` are those of histograms.

        `asked` hears of queries, of who asked them, and how much was found.
        """
        self._settings = settings
        self._engine = engine
        self._index = index
        self._knowledge = knowledge
        self._paging = Paging(settings, engine, index=index, tastes=tastes)
        self._standing = standing
        self._tastes = tastes
        self._behaviour = behaviour
        self._heard = asked
        self._tokens = tokens
        self._bounds = bounds
        self._tested = tested
        self._bounds_s = bounds_s
        self._clock = clock
        self._now_us = now_us
        #: By number, what the answers mean of which next pages may be asked for.
        self._paged: Local[Meant] = Local(max_entries=PAGED, policy="lru")
        #: Answers by where the ranking was from, and whether something was done without.
        self.answered: Counter[tuple[str, bool]] = Counter()
        #: Answers in which nothing was found, and those that were relaxed, by how.
        self.nothing_found = 0
        self.relaxed: Counter[str] = Counter()
        #: What stages took.
        self.stages: dict[str, Histogram] = {}

    async def search(self, request: pb.SearchRequest, call: Call) -> pb.SearchResponse:
        """Return what fits a query. Raises `InferdError`."""
        question = questions.question(request, self._index().schema, self._bounds)
        with self._engine.endpoint.answering(call) as answer:
            page = self._page(question)
            assigned = self._assigned(question)
            try:
                asked = await self._asked(answer, question, assigned, page)
                response = await self._response(answer, asked, page)
            except InferdError:
                self._served(call, assigned, failed=True)
                raise
        self._count(asked, bool(answer.degradations))
        best = response.hits[0].score if response.hits else None
        self._served(call, assigned, degraded=bool(answer.degradations), said=best)
        if page is None:
            self._heard(question.query, question.user_id, asked.ranked.retrieved.total)
        if self._tested is not None:
            self._tested.exposures.used(assigned, _unit(question))
        return response

    def _served(
        self,
        call: Call,
        assigned: Assignments,
        *,
        failed: bool = False,
        degraded: bool = False,
        said: float | None = None,
    ) -> None:
        """Have guardrails know what an answer was like; `said` is the score of the best hit."""
        if self._tested is not None:
            took_s = self._clock() - call.arrived
            self._tested.guardrails.served(
                assigned, took_s, failed=failed, degraded=degraded, said=said
            )

    # -- what is found -----------------------------------------------------------------

    def _page(self, question: Question) -> Page | None:
        """Return the page that is asked for; None: the first."""
        if not question.token:
            return None
        page = self._tokens.page(question.token, question.identity)
        self._index().at(page.epoch)  # raises if it is no more
        return page

    async def _asked(
        self, answer: Answer, question: Question, assigned: Assignments, page: Page | None
    ) -> Asked:
        meant = self._meant(question, assigned, page)
        curated = meant.curated
        wanted = Wanted(
            understood=meant.understood,
            filters=question.filters,
            sort=question.sort,
            facets=question.facets,
            without=curated.without if question.by_relevance else curated.hidden,
            by_relevance=question.by_relevance,
            learnt=meant.learnt,
            said=repr(question.filters),
        )
        work = self._work(answer, wanted, None if page is None else page.epoch)
        ranked, cached = await self._ranked(answer, work, skip_cache=self._skips(question))
        affinity = {} if page is not None else await self._affinity(answer, question)
        asked = Asked(
            question=question,
            meant=meant,
            assigned=assigned,
            ranked=ranked,
            work=work,
            cached=cached,
            affinity=affinity,
            order=ranked.order,
            teams={},
        )
        if page is None and question.by_relevance:
            await self._arrange(answer, asked)
        return asked

    def _meant(self, question: Question, assigned: Assignments, page: Page | None) -> Meant:
        """Return what a query is taken for: by the first page, if this is another one.

        Raises `PageExpired` if that is not known any more.
        """
        now = self._clock()
        if page is not None and (before := self._paged.get(page.meant, now)) is not None:
            return before
        understood = self._knowledge().understand(
            question.query, intent=question.context.intent, verbatim=question.verbatim
        )
        curated = self._standing.curations.of(understood.query)
        meant = Meant(understood, curated, bool(assigned.parameters.get("learnt", True)))
        if page is not None and meant.number != page.meant:
            text = f"{pages.FIELD}: the query means something else now; begin with the first page"
            raise PageExpired(text, field=pages.FIELD)
        return meant

    def _work(self, answer: Answer, wanted: Wanted, epoch: int | None) -> Work:
        now = self._clock()
        ranker = self._settings.ranker
        share = 1.0 if ranker is None else ranker.soft_timeout
        arrived = answer.call.arrived
        soft = arrived + share * (answer.deadline.at - arrived)
        ranked_by = self._engine.ranker(answer.call)
        clicks = self._behaviour.changes(wanted.understood.text)
        return Work(wanted, epoch, ranked_by, clicks, max(now, soft), self._now_us())

    async def _ranked(self, answer: Answer, work: Work, *, skip_cache: bool) -> tuple[Ranked, bool]:
        epoch = self._index().epoch if work.epoch is None else work.epoch
        if not skip_cache and (known := self._engine.known(work, epoch)) is not None:
            return known, True
        return await self._engine.make(answer, work), False

    def _skips(self, question: Question) -> bool:
        return question.skip_cache or question.debug

    def _assigned(self, question: Question) -> Assignments:
        if self._tested is None:
            return NOTHING
        said: dict[str, str] = {"query": question.query}
        context = question.context
        said |= {
            name: text
            for name, text in (("device_type", context.device_type), ("country", context.country))
            if text
        }
        return self._tested.surface.assign(_unit(question), said, question.forced_arms)

    # -- whose order -------------------------------------------------------------------

    async def _affinity(self, answer: Answer, question: Question) -> Affinity:
        """Return what the user likes, of what this server knows and the request says."""
        clicked = question.context.recent_clicks
        session: list[StoredDocument] = []
        if clicked and self._settings.personal.fields:
            try:
                session = [*(await self._index().get(clicked, answer.deadline)).values()]
            except InferdError as error:
                answer.degrade(Degradation("personal", ABSENT, error.reason))
        return self._tastes.of(question.user_id, session)

    async def _arrange(self, answer: Answer, asked: Asked) -> None:
        """Put hits into their order for the user, and for the experiments they are in."""
        contest = next((each for each in asked.assigned.arms if each.teams), None)
        if contest is None:
            asked.order = self._personal(asked, asked.ranked, asked.assigned.parameters)
            return
        rankings: dict[str, Sequence[int]] = {}
        for team, parameters in contest.teams.items():
            mine = {**asked.assigned.parameters, **parameters}
            try:
                rankings[team] = await self._contender(answer, asked, mine)
            except InferdError as error:  # the other team plays alone
                answer.degrade(Degradation("experiments", ABSENT, error.reason))
                rankings[team] = asked.order
        drawn = team_draft(rankings, len(asked.order), request=asked.question.request_id)
        asked.order = drawn.items
        asked.teams = dict(zip(drawn.items, drawn.teams, strict=True))
        if self._tested is not None and not contest.forced:
            ids = asked.ranked.retrieved.ids
            size = asked.question.size
            picks: dict[str, list[str]] = {team: [] for team in rankings}
            for place in drawn.items[:size]:
                picks[asked.teams[place]].append(ids[place])
            unit = _unit(asked.question)[contest.unit]
            self._tested.outcomes.shown(
                contest.experiment, contest.unit, unit, asked.question.request_id, picks
            )

    async def _contender(
        self, answer: Answer, asked: Asked, parameters: Parameters
    ) -> Sequence[int]:
        """Return the order of the same window by other parameters."""
        learnt = bool(parameters.get("learnt", True))
        ranked = asked.ranked
        if learnt != asked.work.wanted.learnt:
            if learnt:
                wanted = asked.work.wanted._replace(learnt=True)
                work = self._work(answer, wanted, ranked.retrieved.epoch)
                other, _ = await self._ranked(answer, work, skip_cache=False)
                same = other.retrieved.ids == ranked.retrieved.ids
                order = other.order if same else ranked.order
            else:
                order = tuple(range(len(ranked.retrieved.ids)))
            ranked = ranked._replace(order=order)
        return self._personal(asked, ranked, parameters)

    def _personal(self, asked: Asked, ranked: Ranked, parameters: Parameters) -> Sequence[int]:
        shift = int(parameters.get("personal_shift", self._settings.personal.max_shift))
        return self._tastes.order(
            ranked.retrieved.documents, ranked.order, asked.affinity, max(0, shift)
        )

    # -- the page ----------------------------------------------------------------------

    async def _response(self, answer: Answer, asked: Asked, page: Page | None) -> pb.SearchResponse:
        question, ranked = asked.question, asked.ranked
        retrieved = ranked.retrieved
        pins = await self._paging.pins(answer, asked)
        here = page or Page(retrieved.epoch, 0, tuple(asked.order), asked.meant.number)
        shown = pages.shown(
            here,
            question.size,
            window=len(retrieved.ids),
            total=retrieved.total,
            depth=self._depth,
            pins=[(pin.position, pin.id) for pin in asked.meant.curated.pins if pin.id in pins],
        )
        hits = await self._paging.hits(answer, asked, shown, pins)
        self._behaviour.shown([each.document.id for each in hits], self._now_us(), first=here.shown)
        following = ""
        if shown.next is not None and self._index().keep(retrieved.epoch):
            following = self._tokens.token(shown.next, question.identity)
            self._paged.put(here.meant, asked.meant, now=self._clock(), ttl_s=self._page_s)
        stale = any(
            each.source == CACHED and each.stage == RETRIEVAL for each in answer.degradations
        )
        failed = any(each.stage == RANKING for each in answer.degradations)
        return pb.SearchResponse(
            request_id=question.request_id,
            hits=[self._paging.hit(each, asked) for each in hits],
            total=retrieved.total + len(pins),
            next_page_token=following,
            facets=answers.facets(retrieved.facets),
            understood=answers.understood(ranked.understood),
            did_you_mean=ranked.understood.did_you_mean,
            coverage=answers.coverage(
                ranked,
                timeout=not failed and ranked.coverage < 1.0,
                failed=failed,
                slow=stale,
            ),
            degradations=degradations(answer.degradations),
            source=self._source(asked),
            arms=[
                pb.SearchArm(experiment=each.experiment, arm=each.arm, forced=each.forced)
                for each in asked.assigned.arms
            ],
            latency_ms=1000 * (self._clock() - answer.call.arrived),
            index_epoch=retrieved.epoch,
            ranker="" if ranked.scored is None else ranked.scored.ranker,
            timings=answers.stages(asked.work.timings) if question.debug else (),
        )

    @property
    def _depth(self) -> int:
        return self._of_index.max_depth

    @property
    def _page_s(self) -> float:
        return self._of_index.page_s

    @property
    def _of_index(self) -> SearchIndex:
        assert self._settings.index is not None, "there is a service"
        return self._settings.index

    def _source(self, asked: Asked) -> "pb.SearchResponse.Source":
        if not asked.cached:
            return pb.SearchResponse.COMPUTED
        if asked.affinity:
            return pb.SearchResponse.CACHE_PERSONALIZED
        return pb.SearchResponse.CACHE

    def _count(self, asked: Asked, degraded: bool) -> None:
        self.answered[pb.SearchResponse.Source.Name(self._source(asked)), degraded] += 1
        self.nothing_found += asked.ranked.retrieved.total == 0
        if asked.ranked.understood.relaxed:
            self.relaxed[asked.ranked.understood.relaxed.value] += 1
        for stage, seconds in asked.work.timings.items():
            if stage not in self.stages:
                self.stages[stage] = Histogram(self._bounds_s)
            self.stages[stage].observe(seconds)

    # -- why ---------------------------------------------------------------------------

    async def explain(self, request: pb.ExplainHitRequest, call: Call) -> pb.ExplainHitResponse:
        """Return why a document is where it is, or is not found. Raises `InferdError`."""
        if not request.document_id:
            raise InvalidRequest("it is required", field="document_id")
        index, id = self._index(), request.document_id
        question = questions.question(request.request, index.schema, self._bounds, "request.")
        question = replace(question, debug=True, skip_cache=True, token="")
        with self._engine.endpoint.answering(call) as answer:
            if id not in await index.get([id], answer.deadline):
                raise NotFound(f"there is no document {id!r:.140}")
            asked = await self._asked(answer, question, self._assigned(question), None)
            query = self._engine.asked(asked.work.wanted, asked.ranked.understood)
            why, lost = await index.explain(query, id, answer.deadline)
            pins = await self._paging.pins(answer, asked)
        response = pb.ExplainHitResponse(
            understood=answers.understood(asked.ranked.understood), text_explanation=why, lost=lost
        )
        self._explained(response, asked, id, pins)
        return response

    def _explained(
        self,
        response: pb.ExplainHitResponse,
        asked: Asked,
        id: str,
        pins: Mapping[str, StoredDocument],
    ) -> None:
        ids, total = asked.ranked.retrieved.ids, asked.ranked.retrieved.total
        there = [(pin.position, pin.id) for pin in asked.meant.curated.pins if pin.id in pins]
        places = pages.placed(there, min(total + len(pins), self._depth))
        for place, pin in places.items():
            if pin == id:  # the search leaves it out, and yet it is not hidden
                response.position, response.lost = place, ""
                hit = Hit(document=pins[id], score=0.0, pinned=True)
                response.hit.CopyFrom(self._paging.hit(hit, asked))
                return
        if id not in ids:
            response.lost = response.lost or "below_window"
            return
        place = ids.index(id)
        response.position = pages.among([*asked.order].index(place), places)
        hit = self._paging.of_window(asked, place)
        response.hit.CopyFrom(self._paging.hit(hit, asked))


def _unit(question: Question) -> Mapping[str, str]:
    return {"user_id": question.user_id, "session_id": question.context.session_id}
