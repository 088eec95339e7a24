"""Filters and values as messages, and what is wrong with them."""

from collections.abc import Sequence
from typing import Final

from inferd.errors import InvalidRequest
from inferd.services.search.text_query import (
    All,
    Any,
    AnyOf,
    Between,
    Equals,
    Exists,
    Filter,
    Not,
    Value,
)
from inferd.v1 import search_pb2 as pb

MAX_DEPTH: Final = 5
MAX_FILTERS: Final = 100
MAX_VALUES: Final = 1000


def filters_of(messages: Sequence[pb.SearchFilter], where: str = "filters") -> tuple[Filter, ...]:
    """Return a request's filters. Raises `InvalidRequest` naming what is wrong.

    Whether their fields are there, and of the right type, the index says.
    """
    return _Reader().read(messages, where, 1)


class _Reader:
    """Reads one request's filters, and counts them."""

    def __init__(self) -> None:
        self._count = 0

    def read(
        self, messages: Sequence[pb.SearchFilter], where: str, depth: int
    ) -> tuple[Filter, ...]:
        if depth > MAX_DEPTH:
            raise InvalidRequest(f"filters may be {MAX_DEPTH} deep", field=where)
        self._count += len(messages)
        if self._count > MAX_FILTERS:
            raise InvalidRequest(f"there may be {MAX_FILTERS} filters in all", field="filters")
        return tuple(
            self._filter(message, f"{where}[{number}]", depth)
            for number, message in enumerate(messages)
        )

    def _filter(self, it: pb.SearchFilter, where: str, depth: int) -> Filter:
        match it.WhichOneof("condition"):
            case "all":
                return All(self._within(it.field, it.all, f"{where}.all", depth))
            case "any":
                return Any(self._within(it.field, it.any, f"{where}.any", depth))
            case "none":
                return Not(self._within(it.field, it.none, f"{where}.none", depth))
            case None:
                text = "there must be one of equals, any_of, range, exists, all, any and none"
                raise InvalidRequest(text, field=where)
            case said:
                if not it.field:
                    raise InvalidRequest("it is required", field=f"{where}.field")
                return _condition(it, said, where)

    def _within(
        self, name: str, it: pb.SearchFilters, where: str, depth: int
    ) -> tuple[Filter, ...]:
        if name:
            text = "several filters are not on one field: it must be empty"
            raise InvalidRequest(text, field=f"{where.rpartition('.')[0]}.field")
        if not it.filters:
            raise InvalidRequest("there must be a filter", field=f"{where}.filters")
        return self.read(it.filters, f"{where}.filters", depth + 1)


def _condition(it: pb.SearchFilter, said: str, where: str) -> Filter:
    match said:
        case "equals":
            return Equals(it.field, _value(it.equals, f"{where}.equals"))
        case "any_of":
            given, place = it.any_of.values, f"{where}.any_of.values"
            if not 1 <= len(given) <= MAX_VALUES:
                raise InvalidRequest(f"there must be 1 to {MAX_VALUES}", field=place)
            values = (_value(each, f"{place}[{number}]") for number, each in enumerate(given))
            return AnyOf(it.field, tuple(values))
        case "range":
            return _between(it.field, it.range, f"{where}.range")
        case _:
            return Exists(it.field, it.exists)


def _between(name: str, it: pb.SearchRange, where: str) -> Between:
    low = it.at_least if it.HasField("at_least") else None
    high = it.at_most if it.HasField("at_most") else None
    if low is None and high is None:
        raise InvalidRequest("there must be at_least, or at_most", field=where)
    if any(each is not None and each != each for each in (low, high)):  # noqa: PLR0124 - NaN
        raise InvalidRequest("a bound must be a number", field=where)
    if low is not None and high is not None and low > high:
        text = f"at_least, {low:g}, must not be above at_most, {high:g}"
        raise InvalidRequest(text, field=where)
    return Between(name, low, high)


def _value(it: pb.SearchValue, where: str) -> Value:
    match it.WhichOneof("value"):
        case "text":
            return it.text
        case "number":
            return it.number
        case "flag":
            return it.flag
        case _:
            raise InvalidRequest("there must be one of text, number and flag", field=where)


def value_message(value: Value) -> pb.SearchValue:
    """Return a value as a message."""
    match value:
        case bool():
            return pb.SearchValue(flag=value)
        case str():
            return pb.SearchValue(text=value)
        case _:
            return pb.SearchValue(number=value)


def filter_message(it: Filter) -> pb.SearchFilter:
    """Return a filter as a message."""
    match it:
        case Equals():
            return pb.SearchFilter(field=it.field, equals=value_message(it.value))
        case AnyOf():
            values = pb.SearchValues(values=map(value_message, it.values))
            return pb.SearchFilter(field=it.field, any_of=values)
        case Between():
            between = pb.SearchRange(at_least=it.at_least, at_most=it.at_most)
            return pb.SearchFilter(field=it.field, range=between)
        case Exists():
            return pb.SearchFilter(field=it.field, exists=it.exists)
        case _:
            return _several(it)


def _several(it: All | Any | Not) -> pb.SearchFilter:
    within = pb.SearchFilters(filters=map(filter_message, it.filters))
    match it:
        case All():
            return pb.SearchFilter(all=within)
        case Any():
            return pb.SearchFilter(any=within)
        case Not():
            return pb.SearchFilter(none=within)
