"""What is asked for, checked."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import uuid4

from inferd.errors import InvalidRequest, Violation
from inferd.services.search.documents import MAX_ID_BYTES
from inferd.services.search.filter_messages import filters_of
from inferd.services.search.query.normal import MAX_CHARACTERS
from inferd.services.search.query.understood import Intent
from inferd.services.search.schema import RELEVANCE, IndexSchema
from inferd.services.search.text_query import Facet, Filter, Sort
from inferd.v1 import search_pb2 as pb

DEFAULT_SIZE: Final = 10
DEFAULT_FACETS, MAX_FACET_VALUES, MAX_FACETS = 10, 100, 10
MAX_SORTS: Final = 5
MAX_TEXT_BYTES: Final = 128
MAX_TOKEN_BYTES: Final = 16_384
MAX_RECENT_QUERIES, MAX_RECENT_CLICKS = 20, 50
MAX_FORCED: Final = 32
_COUNTRY = re.compile(r"[A-Z]{2}")
_INTENTS = {
    pb.INTENT_UNSPECIFIED: None,
    pb.NAVIGATIONAL: Intent.NAVIGATIONAL,
    pb.CATEGORY: Intent.CATEGORY,
    pb.ATTRIBUTE: Intent.ATTRIBUTE,
    pb.QUESTION: Intent.QUESTION,
}


class Bounds(NamedTuple):
    """What requests may ask for."""

    max_page_size: int
    allow_forced_arms: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where somebody searches. Empty: not known."""

    session_id: str = ""
    #: The newest last.
    recent_queries: tuple[str, ...] = ()
    #: Ids of documents, the newest last.
    recent_clicks: tuple[str, ...] = ()
    device_type: str = ""
    country: str = ""
    intent: Intent | None = None


NOWHERE: Final = Context()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A search that somebody asks for."""

    query: str
    #: Empty: nobody in particular.
    user_id: str = ""
    filters: tuple[Filter, ...] = ()
    sort: tuple[Sort, ...] = ()
    facets: tuple[Facet, ...] = ()
    size: int = DEFAULT_SIZE
    #: Empty: the first page.
    token: str = ""
    context: Context = NOWHERE
    request_id: str
    highlight: bool = False
    debug: bool = False
    skip_cache: bool = False
    verbatim: bool = False
    #: By the names of experiments.
    forced_arms: Mapping[str, str] = field(default_factory=dict)

    @property
    def by_relevance(self) -> bool:
        """Whether hits are in the order of how well they fit, first of all."""
        return not self.sort or self.sort[0].field == RELEVANCE

    @property
    def identity(self) -> str:
        """All that decides what is found, and where: the same for all pages of an answer."""
        return repr((self.query, self.user_id, self.filters, self.sort, self.verbatim))


def question(
    message: pb.SearchRequest, schema: IndexSchema, bounds: Bounds, under: str = ""
) -> Question:
    """Return what is asked for. Raises `InvalidRequest` naming all that is wrong.

    `under` is where the message is, such as `request.`.
    """
    wrong = [*_problems(message, bounds)]
    if wrong:
        wrong = [Violation(under + each.field, each.description) for each in wrong]
        text = "; ".join(f"{each.field}: {each.description}" for each in wrong)
        raise InvalidRequest(text, violations=wrong)
    context = message.context
    return Question(
        query=message.query,
        user_id=message.user_id,
        filters=filters_of(message.filters, f"{under}filters"),
        sort=tuple(_sorts(message.sort, schema, under)),
        facets=tuple(Facet(each.field, each.count or DEFAULT_FACETS) for each in message.facets),
        size=message.page_size or DEFAULT_SIZE,
        token=message.page_token,
        context=Context(
            session_id=context.session_id,
            recent_queries=tuple(context.recent_queries),
            recent_clicks=tuple(context.recent_clicks),
            device_type=context.device_type,
            country=context.country,
            intent=_INTENTS[context.intent],
        ),
        request_id=message.request_id or new_id(),
        highlight=message.highlight,
        debug=message.debug,
        skip_cache=message.skip_cache,
        verbatim=message.verbatim,
        forced_arms=dict(message.forced_arms),
    )


def new_id() -> str:
    """Return an id for an answer whose caller gave none."""
    return uuid4().hex


def wrong_text(text: str, name: str, most: int, *, least: int = 0) -> Iterator[Violation]:
    """Yield what is wrong with a text of so many bytes."""
    if not least <= len(text.encode()) <= most:
        yield Violation(name, f"it has {least} to {most} bytes" if text else "it is required")


def wrong_context(context: pb.SearchContext, under: str = "context") -> Iterator[Violation]:
    """Yield what is wrong with a context."""
    for name in ("session_id", "device_type"):
        yield from wrong_text(getattr(context, name), f"{under}.{name}", MAX_TEXT_BYTES)
    if context.country and not _COUNTRY.fullmatch(context.country):
        text = f'two capital letters are needed, such as "DE", not {context.country!r:.40}'
        yield Violation(f"{under}.country", text)
    if context.intent not in _INTENTS:
        yield Violation(f"{under}.intent", f"there is no intent {context.intent}")
    for name, values, most, size in (
        ("recent_queries", context.recent_queries, MAX_RECENT_QUERIES, 4 * MAX_CHARACTERS),
        ("recent_clicks", context.recent_clicks, MAX_RECENT_CLICKS, MAX_ID_BYTES),
    ):
        if len(values) > most:
            yield Violation(f"{under}.{name}", f"there may be {most}, not {len(values)}")
            continue
        for number, each in enumerate(values):
            yield from wrong_text(each, f"{under}.{name}[{number}]", size, least=1)


def _problems(message: pb.SearchRequest, bounds: Bounds) -> Iterator[Violation]:
    if len(message.query) > MAX_CHARACTERS:
        text = f"at most {MAX_CHARACTERS} characters are taken, not {len(message.query)}"
        yield Violation("query", text)
    yield from wrong_text(message.user_id, "user_id", MAX_ID_BYTES)
    if not 0 <= message.page_size <= bounds.max_page_size:
        text = f"1 to {bounds.max_page_size} hits, or 0 for {DEFAULT_SIZE}; not {message.page_size}"
        yield Violation("page_size", text)
    yield from wrong_text(message.page_token, "page_token", MAX_TOKEN_BYTES)
    yield from wrong_text(message.request_id, "request_id", MAX_TEXT_BYTES)
    yield from wrong_context(message.context)
    if len(message.sort) > MAX_SORTS:
        yield Violation("sort", f"there may be {MAX_SORTS}, not {len(message.sort)}")
    if len(message.facets) > MAX_FACETS:
        yield Violation("facets", f"there may be {MAX_FACETS}, not {len(message.facets)}")
    for number, each in enumerate(message.facets[:MAX_FACETS]):
        if any(each.field == before.field for before in message.facets[:number]):
            yield Violation(f"facets[{number}].field", f"{each.field!r:.40} is asked for already")
        if not 0 <= each.count <= MAX_FACET_VALUES:
            text = f"1 to {MAX_FACET_VALUES}, or 0 for {DEFAULT_FACETS}; not {each.count}"
            yield Violation(f"facets[{number}].count", text)
    yield from _wrong_arms(message.forced_arms, bounds)


def _sorts(messages: Sequence[pb.SearchSort], schema: IndexSchema, under: str) -> Iterator[Sort]:
    for number, each in enumerate(messages):
        if each.field != RELEVANCE:
            schema.must_sort(each.field, f"{under}sort[{number}].field")
        yield Sort(each.field, each.descending)


def _wrong_arms(arms: Mapping[str, str], bounds: Bounds) -> Iterator[Violation]:
    if arms and not bounds.allow_forced_arms:
        yield Violation("forced_arms", "this server takes none (experiments.allow_forced)")
    elif len(arms) > MAX_FORCED:
        yield Violation("forced_arms", f"there may be {MAX_FORCED}, not {len(arms)}")
