"""From a request to a page: understood, found and ranked for everybody, and then for who asks.

Up to the ranking all is the same for everybody, and may be cached. What follows is done for every
call alike, whether the ranking was cached or not: the user's own order, curations, experiments, and
the page. Tokens carry what later pages need, so they go on where the first page left off.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from inferd.services.search.behaviour import SearchBehaviour
from inferd.services.search.curations import Curated
from inferd.services.search.engine import CACHED, RANKING, RETRIEVAL, Engine, Wanted, Work
from inferd.services.search.finding import Ranked
from inferd.services.search.highlights import Highlights
from inferd.services.search.index import TextIndex
from inferd.services.search.knowledge import Knowledge
from inferd.services.search.pages import Page, PageExpired, PageTokens, Shown
from inferd.services.search.personal import Affinity, Tastes
from inferd.services.search.query.understood import Understood
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


class Meant(NamedTuple):
    """What a query is taken for, on all pages of an answer. It can be hashed."""

    understood: Understood
    curated: Curated
    #: Whether a model is to rank.
    learnt: bool

    @property
    def number(self) -> int:
        """What tokens call it, from 0 to 2^64 - 1."""
        return hash(self) % (1 << 64)


@dataclass(slots=True, kw_only=True)
class Asked:
    """A question on its way to a page."""

    question: Question
    meant: Meant
    assigned: Assignments
    ranked: Ranked
    work: Work
    #: Whether the ranking was cached.
    cached: bool
    affinity: Affinity
    #: Places in the window in their order for this user, and of interleaved ones whose each is.
    order: Sequence[int]
    teams: Mapping[int, str]


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
        return Work(wanted, epoch, ranked_by, max(now, soft), self._now_us())

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
            rankings[team] = await self._contender(answer, asked, mine)
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
        pins = await self._pins(answer, asked)
        here = page or Page(retrieved.epoch, 0, tuple(asked.order), asked.meant.number)
        shown = pages.shown(
            here,
            question.size,
            window=len(retrieved.ids),
            total=retrieved.total,
            depth=self._depth,
            pins=[(pin.position, pin.id) for pin in asked.meant.curated.pins if pin.id in pins],
        )
        hits = await self._hits(answer, asked, shown, pins)
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
            hits=[self._hit(each, asked) for each in hits],
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

    async def _pins(self, answer: Answer, asked: Asked) -> Mapping[str, StoredDocument]:
        """Return the documents that have places of their own, by id: if they pass the filters."""
        question, epoch = asked.question, asked.ranked.retrieved.epoch
        if not asked.meant.curated.pins or not question.by_relevance:
            return {}
        ids = [each.id for each in asked.meant.curated.pins]
        try:
            return await self._index().get(ids, answer.deadline, epoch, question.filters)
        except InferdError as error:  # or the epoch of an old answer is no more
            answer.degrade(Degradation("curations", ABSENT, error.reason))
            return {}

    async def _hits(
        self, answer: Answer, asked: Asked, shown: Shown, pins: Mapping[str, StoredDocument]
    ) -> list[Hit]:
        found = [self._of_window(asked, place) for place in shown.window]
        if shown.count:
            found += await self._behind(answer, asked, shown)
        left, pinned = iter(found), dict(shown.pins)
        hits: list[Hit] = []
        for place in range(len(found) + len(pinned)):
            if place in pinned:
                hits.append(Hit(document=pins[pinned[place]], score=0.0, pinned=True))
            else:
                hits.append(next(left))
        return hits

    def _of_window(self, asked: Asked, place: int) -> Hit:
        ranked, retrieved = asked.ranked, asked.ranked.retrieved
        document, text = retrieved.documents[place], float(retrieved.text_scores[place])
        scored = ranked.scored
        is_scored = scored is not None and place < len(scored.scores)
        ranking = float(scored.scores[place]) if scored is not None and is_scored else None
        told: Mapping[str, float] = {}
        if asked.question.debug and scored is not None and is_scored:
            assert self._settings.ranker is not None
            row: list[float] = scored.told[place].tolist()
            told = dict(zip(self._settings.ranker.inputs, row, strict=True))
        return Hit(
            document=document,
            score=text if ranking is None else ranking,
            text_score=text,
            ranking_score=ranking,
            personal=self._tastes.worth(document, asked.affinity) if asked.affinity else 0.0,
            team=asked.teams.get(place, ""),
            told=told,
            places=self._places(asked, place) if asked.question.debug else None,
        )

    def _places(self, asked: Asked, place: int) -> dict[str, int]:
        order, mine = asked.ranked.order, asked.order
        there = {"retrieval": place, "ranking": order.index(place)}
        return there | ({"personal": mine.index(place)} if place in mine else {})

    async def _behind(self, answer: Answer, asked: Asked, shown: Shown) -> list[Hit]:
        """Return hits behind the window, in the order of the words or of the sort."""
        query = self._engine.asked(
            asked.work.wanted, asked.ranked.understood, shown.offset, shown.count
        )
        epoch = asked.ranked.retrieved.epoch
        found = await self._index().search(query, answer.deadline, epoch)
        return [
            Hit(document=document, score=float(score), text_score=float(score))
            for document, score in zip(found.documents, found.text_scores, strict=True)
        ]

    def _hit(self, it: Hit, asked: Asked) -> pb.SearchHit:
        schema, marked = self._index().schema, dict[str, str]()
        if asked.question.highlight:
            marks = Highlights.of(asked.ranked.understood.words)
            marked = marks.fields(it.document.fields, schema.text)
        return answers.hit(it, schema.returned, marked, debug=asked.question.debug)

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
            pins = await self._pins(answer, asked)
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
                response.hit.CopyFrom(self._hit(hit, asked))
                return
        if id not in ids:
            response.lost = response.lost or "below_window"
            return
        place = ids.index(id)
        response.position = pages.among([*asked.order].index(place), places)
        hit = self._of_window(asked, place)
        response.hit.CopyFrom(self._hit(hit, asked))


def _unit(question: Question) -> Mapping[str, str]:
    return {"user_id": question.user_id, "session_id": question.context.session_id}
