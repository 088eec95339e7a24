"""What was found, as messages: of this call, whatever is cached."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from inferd.services.search.filter_messages import filter_message, value_message
from inferd.services.search.finding import Ranked
from inferd.services.search.query.understood import Intent, Understood
from inferd.services.search.text_query import FacetCounts, StoredDocument, Values
from inferd.v1 import search_pb2 as pb

INTENTS = {
    Intent.NAVIGATIONAL: pb.NAVIGATIONAL,
    Intent.CATEGORY: pb.CATEGORY,
    Intent.ATTRIBUTE: pb.ATTRIBUTE,
    Intent.QUESTION: pb.QUESTION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A document on a page."""

    document: StoredDocument
    score: float
    text_score: float = 0.0
    #: None: no model ranked it.
    ranking_score: float | None = None
    #: How much it is what the user likes, 0 to 1.
    personal: float = 0.0
    pinned: bool = False
    team: str = ""
    #: What the model was told, by name.
    told: Mapping[str, float] | None = None
    #: From 0, by stage.
    places: Mapping[str, int] | None = None


def hit(
    it: Hit, returned: frozenset[str], highlights: Mapping[str, str], *, debug: bool
) -> pb.SearchHit:
    """Return a hit as a message, with the fields that the index returns."""
    message = pb.SearchHit(
        id=it.document.id,
        score=it.score,
        fields=_fields(it.document.fields, returned),
        highlights=highlights,
        pinned=it.pinned,
        team=it.team,
    )
    if debug:
        message.debug.text_score = it.text_score
        if it.ranking_score is not None:
            message.debug.ranking_score = it.ranking_score
        message.debug.personal = it.personal
        message.debug.features.update(it.told or {})
        message.debug.places.update(it.places or {})
    return message


def facets(counts: Iterable[FacetCounts]) -> list[pb.FacetResult]:
    """Return counted facets as messages."""
    return [
        pb.FacetResult(
            field=each.field,
            counts=[
                pb.FacetCount(value=value_message(value), count=count)
                for value, count in each.counts
            ],
            more=each.more,
        )
        for each in counts
    ]


def understood(it: Understood) -> pb.UnderstoodQuery:
    """Return what a query was taken for."""
    kinds = pb.UnderstoodQuery
    return pb.UnderstoodQuery(
        text=it.text,
        intent=INTENTS[it.intent],
        corrections=[
            kinds.Correction(written=each.written, taken_for=each.taken_for)
            for each in it.corrections
        ],
        filters=map(filter_message, it.filters),
        entities=[
            kinds.Entity(kind=each.kind, text=each.text, value=each.value) for each in it.entities
        ],
        dropped=it.dropped,
        synonyms=[kinds.Expansion(word=each.word, synonyms=each.synonyms) for each in it.synonyms],
        relaxed=it.relaxed.value,
    )


def coverage(ranked: Ranked, *, timeout: bool, failed: bool, slow: bool) -> pb.Coverage:
    """Return how much of what there is was looked at."""
    full = ranked.coverage == 1.0 and ranked.retrieved.complete and not slow
    return pb.Coverage(
        coverage=ranked.coverage,
        full=full,
        timeout=timeout,
        ranker_failed=failed,
        index_slow=slow or not ranked.retrieved.complete,
    )


def document(it: StoredDocument) -> pb.Document:
    """Return a document as it was given."""
    return pb.Document(id=it.id, fields={name: _given(value) for name, value in it.fields.items()})


def _fields(values: Values, returned: frozenset[str]) -> dict[str, pb.SearchValue]:
    """Return what a hit says: of several texts, all in one."""
    return {
        name: value_message(", ".join(value) if isinstance(value, tuple) else value)
        for name, value in values.items()
        if name in returned
    }


def _given(value: object) -> pb.DocumentValue:
    match value:
        case bool():
            return pb.DocumentValue(flag=value)
        case str():
            return pb.DocumentValue(text=value)
        case tuple():
            return pb.DocumentValue(texts=pb.DocumentTexts(texts=value))
        case _:
            return pb.DocumentValue(number=float(str(value)))


def stages(timings: Mapping[str, float]) -> Sequence[pb.SearchStage]:
    """Return how long stages took."""
    return [
        pb.SearchStage(stage=stage, milliseconds=1000 * seconds)
        for stage, seconds in timings.items()
    ]
