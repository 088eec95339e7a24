"""What is asked for, checked: a list for somebody, or of what is like an item, or in demand."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import uuid4

from inferd.errors import InvalidRequest, Violation
from inferd.services.recommendation.columns import Table
from inferd.services.recommendation.context import Context
from inferd.services.recommendation.filters import AnyOf, Filter
from inferd.services.recommendation.item_messages import MAX_ID_BYTES, filters_of
from inferd.services.recommendation.profile import SESSION_MOST
from inferd.v1 import recommendation_pb2 as pb

DEFAULT_COUNT: Final = 10
MAX_REQUEST_ID_BYTES: Final = 128
MAX_TEXT_BYTES: Final = 128
MAX_FORCED: Final = 32
MAX_ASKED: Final = 100
_COUNTRY = re.compile(r"[A-Z]{2}")

NOWHERE: Final = Context()


class Bounds(NamedTuple):
    """What requests may ask for."""

    max_count: int
    allow_forced_arms: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A list that somebody asks for."""

    #: Empty: nobody in particular.
    user_id: str = ""
    count: int
    filters: tuple[Filter, ...] = ()
    context: Context = NOWHERE
    request_id: str
    debug: bool = False
    include_seen: bool = False
    skip_cache: bool = False
    #: By the names of experiments.
    forced_arms: Mapping[str, str] = field(default_factory=dict)


def recommendations(
    message: pb.GetRecommendationsRequest, table: Table, bounds: Bounds, under: str = ""
) -> Wish:
    """Return what is asked for. Raises `InvalidRequest` naming all that is wrong.

    `under` is where the message is, such as `request.`.
    """
    wrong = [
        *_wrong_text(message.user_id, "user_id", MAX_ID_BYTES, least=1),
        *_wrong_context(message.context),
        *_wrong_arms(message.forced_arms, bounds),
    ]
    _check(wrong, message.count, message.request_id, bounds, under)
    context = message.context
    return Wish(
        user_id=message.user_id,
        count=message.count or DEFAULT_COUNT,
        filters=filters_of(message.filters, table),
        context=Context(
            session_id=context.session_id,
            page=context.page,
            item_id=context.item_id,
            category=context.category,
            device_type=context.device_type,
            country=context.country,
            recent_items=tuple(context.recent_items),
        ),
        request_id=message.request_id or new_id(),
        debug=message.debug,
        include_seen=message.include_seen,
        skip_cache=message.skip_cache,
        forced_arms=dict(message.forced_arms),
    )


def similar(message: pb.SimilarItemsRequest, table: Table, bounds: Bounds) -> Wish:
    """Return what is asked for. Raises `InvalidRequest` naming all that is wrong."""
    wrong = [
        *_wrong_text(message.item_id, "item_id", MAX_ID_BYTES, least=1),
        *_wrong_text(message.user_id, "user_id", MAX_ID_BYTES),
    ]
    _check(wrong, message.count, message.request_id, bounds)
    return Wish(
        user_id=message.user_id,
        count=message.count or DEFAULT_COUNT,
        filters=(*filters_of(message.filters, table), _but(message.item_id)),
        context=Context(item_id=message.item_id),
        request_id=message.request_id or new_id(),
        debug=message.debug,
    )


def trending(message: pb.GetTrendingRequest, table: Table, bounds: Bounds) -> Wish:
    """Return what is asked for. Raises `InvalidRequest` naming all that is wrong."""
    wrong = [*_wrong_text(message.category, "category", MAX_TEXT_BYTES)]
    _check(wrong, message.count, message.request_id, bounds)
    return Wish(
        count=message.count or DEFAULT_COUNT,
        filters=filters_of(message.filters, table),
        context=Context(category=message.category),
        request_id=message.request_id or new_id(),
        debug=message.debug,
    )


def asked_about(ids: Sequence[str]) -> list[str]:
    """Return the items that somebody asks about. Raises `InvalidRequest`."""
    if len(ids) > MAX_ASKED:
        raise InvalidRequest(f"there may be {MAX_ASKED}, not {len(ids)}", field="item_ids")
    return list(dict.fromkeys(ids))


def new_id() -> str:
    """Return an id for an answer whose caller gave none."""
    return uuid4().hex


def _but(item_id: str) -> Filter:
    return Filter("id", AnyOf((item_id,)), negate=True)


def _check(
    wrong: list[Violation], count: int, request_id: str, bounds: Bounds, under: str = ""
) -> None:
    if not 0 <= count <= bounds.max_count:
        text = f"1 to {bounds.max_count} items, or 0 for {DEFAULT_COUNT}; not {count}"
        wrong.append(Violation("count", text))
    wrong += _wrong_text(request_id, "request_id", MAX_REQUEST_ID_BYTES)
    if wrong:
        wrong = [Violation(under + each.field, each.description) for each in wrong]
        text = "; ".join(f"{each.field}: {each.description}" for each in wrong)
        raise InvalidRequest(text, violations=wrong)


def _wrong_context(context: pb.RecommendationContext) -> Iterator[Violation]:
    for name in ("session_id", "page", "category", "device_type"):
        yield from _wrong_text(getattr(context, name), f"context.{name}", MAX_TEXT_BYTES)
    yield from _wrong_text(context.item_id, "context.item_id", MAX_ID_BYTES)
    if context.country and not _COUNTRY.fullmatch(context.country):
        text = f'two capital letters are needed, such as "DE", not {context.country!r:.40}'
        yield Violation("context.country", text)
    recent = context.recent_items
    if len(recent) > SESSION_MOST:
        text = f"there may be {SESSION_MOST}, not {len(recent)}"
        yield Violation("context.recent_items", text)
        return
    for number, each in enumerate(recent):
        yield from _wrong_text(each, f"context.recent_items[{number}]", MAX_ID_BYTES, least=1)


def _wrong_arms(arms: Mapping[str, str], bounds: Bounds) -> Iterator[Violation]:
    if arms and not bounds.allow_forced_arms:
        yield Violation("forced_arms", "this server takes none (experiments.allow_forced)")
    elif len(arms) > MAX_FORCED:
        yield Violation("forced_arms", f"there may be {MAX_FORCED}, not {len(arms)}")


def _wrong_text(text: str, name: str, most: int, *, least: int = 0) -> Iterator[Violation]:
    if not least <= len(text.encode()) <= most:
        it = f"it has {least} to {most} bytes" if text else "it is required"
        yield Violation(name, it)
