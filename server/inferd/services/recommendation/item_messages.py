"""Items and filters as messages, and what is wrong with them."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from inferd.errors import InvalidRequest, Violation
from inferd.services.recommendation.columns import Table
from inferd.services.recommendation.filters import MAX_FILTERS, AnyOf, Between, Filter
from inferd.services.recommendation.items import Item, Value
from inferd.v1 import recommendation_pb2 as pb

MAX_ID_BYTES: Final = 512
MAX_TAGS: Final = 32
MAX_OWN_ATTRIBUTES: Final = 32
MAX_INT: Final = 2**53
"""Of prices and stock: filters compare them as float64."""
_LENGTHS: Final = {
    "title": 1000,
    "description": 10_000,
    "category": 128,
    "brand": 128,
    "merchant": 128,
}
_TEXT_BYTES: Final = 128
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CURRENCY = re.compile(r"[A-Z]{3}")


def item_of(message: pb.Item, field: str, *, dimensions: int) -> Item:
    """Return an item as it was said. Raises `InvalidRequest` naming all fields that are wrong.

    `field` is where the message is, such as `items[3]`; `dimensions` how long vectors are.
    """
    wrong = [*_problems(message, dimensions)]
    if wrong:
        violations = [Violation(f"{field}.{name}", text) for name, text in wrong]
        raise InvalidRequest(f"{violations[0].field}: {wrong[0][1]}", violations=violations)
    return Item(
        id=message.id,
        title=message.title,
        description=message.description,
        category=message.category,
        brand=message.brand,
        merchant=message.merchant,
        price_minor=message.price_minor,
        currency=message.currency,
        stock=message.stock if message.HasField("stock") else None,
        released_us=message.released_us,
        tags=tuple(dict.fromkeys(message.tags)),
        attributes={name: _said(value) for name, value in message.attributes.items()},
        vector=np.array(message.vector, np.float32) if message.vector else None,
    )


def item_message(item: Item) -> pb.Item:
    """Return an item as a message."""
    return pb.Item(
        id=item.id,
        title=item.title,
        description=item.description,
        category=item.category,
        brand=item.brand,
        merchant=item.merchant,
        price_minor=item.price_minor,
        currency=item.currency,
        stock=item.stock,
        released_us=item.released_us,
        tags=item.tags,
        attributes={name: _value(value) for name, value in item.attributes.items()},
        vector=() if item.vector is None else item.vector.tolist(),
    )


def filters_of(messages: Sequence[pb.ItemFilter], table: Table) -> tuple[Filter, ...]:
    """Return a request's filters. Raises `InvalidRequest` naming what is wrong."""
    if len(messages) > MAX_FILTERS:
        text = f"there are at most {MAX_FILTERS} filters, not {len(messages)}"
        raise InvalidRequest(text, field="filters")
    return tuple(
        _filter(message, f"filters[{number}]", table) for number, message in enumerate(messages)
    )


def _filter(message: pb.ItemFilter, where: str, table: Table) -> Filter:
    made = Filter(message.field, _condition(message, where), message.negate)
    made.check(where, message.WhichOneof("condition") or "any_of")
    made.check_known(table, where)
    return made


def _condition(message: pb.ItemFilter, where: str) -> AnyOf | Between:
    match message.WhichOneof("condition"):
        case "equals":
            given: Sequence[pb.FilterValue] = [message.equals]
        case "any_of":
            given = message.any_of.values
        case "range":
            return Between(
                message.range.at_least if message.range.HasField("at_least") else -math.inf,
                message.range.at_most if message.range.HasField("at_most") else math.inf,
            )
        case _:
            raise InvalidRequest("there must be one of equals, any_of and range", field=where)
    for number, value in enumerate(given):
        if value.WhichOneof("value") is None:
            place = "equals" if message.HasField("equals") else f"any_of.values[{number}]"
            text = "there must be one of text, number and flag"
            raise InvalidRequest(text, field=f"{where}.{place}")
    return AnyOf(tuple(map(_said, given)))


def _problems(message: pb.Item, dimensions: int) -> Iterator[tuple[str, str]]:
    """Yield the fields that are wrong, and why."""
    if not 1 <= len(message.id.encode()) <= MAX_ID_BYTES:
        yield "id", f"it must have 1 to {MAX_ID_BYTES} bytes"
    for name, most in _LENGTHS.items():
        if len(getattr(message, name).encode()) > most:
            yield name, f"it has at most {most} bytes"
    if not 0 <= message.price_minor <= MAX_INT:
        yield "price_minor", f"it must be 0 to 2^53, not {message.price_minor}"
    if message.currency and not _CURRENCY.fullmatch(message.currency):
        yield "currency", f"it is three capital letters, not {message.currency!r:.20}"
    if not 0 <= message.stock <= MAX_INT:
        yield "stock", f"it must be 0 to 2^53, not {message.stock}"
    if not 0 <= message.released_us <= MAX_INT:
        yield "released_us", f"it must be microseconds since 1970, not {message.released_us}"
    yield from _tag_problems(message.tags)
    yield from _attribute_problems(message)
    yield from _vector_problems(message.vector, dimensions)


def _tag_problems(tags: Sequence[str]) -> Iterator[tuple[str, str]]:
    if len(tags) > MAX_TAGS:
        yield "tags", f"there are at most {MAX_TAGS}, not {len(tags)}"
    for number, tag in enumerate(tags):
        if not 1 <= len(tag.encode()) <= _TEXT_BYTES:
            yield f"tags[{number}]", f"it must have 1 to {_TEXT_BYTES} bytes"


def _attribute_problems(message: pb.Item) -> Iterator[tuple[str, str]]:
    if len(message.attributes) > MAX_OWN_ATTRIBUTES:
        yield "attributes", f"there are at most {MAX_OWN_ATTRIBUTES}"
    for name, value in sorted(message.attributes.items()):
        where = f"attributes.{name:.80}"
        if not _NAME.fullmatch(name):
            yield where, "a name is a letter, then letters, digits and _, all small; at most 64"
        match value.WhichOneof("value"):
            case "text" if not 1 <= len(value.text.encode()) <= _TEXT_BYTES:
                yield where, f"it must have 1 to {_TEXT_BYTES} bytes"
            case "number" if not math.isfinite(value.number):
                yield where, f"{value.number} is no number"
            case None:
                yield where, "there must be one of text, number and flag"


def _vector_problems(vector: Sequence[float], dimensions: int) -> Iterator[tuple[str, str]]:
    if len(vector) not in {0, dimensions}:
        yield "vector", f"it must have {dimensions} elements, not {len(vector)}"
    # Longer ones cannot be made a length of 1 in float32.
    if not sum(each * each for each in vector) < 1e30:  # nor those that are not numbers
        yield "vector", "its elements must be numbers, and not so large"


def _said(value: pb.FilterValue) -> Value:
    match value.WhichOneof("value"):
        case "text":
            return value.text
        case "flag":
            return value.flag
        case _:
            return value.number


def _value(value: Value) -> pb.FilterValue:
    match value:
        case bool():
            return pb.FilterValue(flag=value)
        case str():
            return pb.FilterValue(text=value)
        case _:
            return pb.FilterValue(number=value)
