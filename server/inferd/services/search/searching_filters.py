"""Filters as tantivy's queries: exact, and without a say in the score.

A tree of conditions, checked on the way: what is wrong is named by where it is in the tree, as in
`filters[0].any.filters[1].range`. How many there may be is a matter of messages.
"""

import math
from collections.abc import Sequence

from tantivy import FieldType, Occur, Query

from inferd.errors import InvalidRequest
from inferd.services.search.index_layout import HAS, Layout
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


class Filters:
    """Makes queries of filters for one layout. Pure."""

    def __init__(self, layout: Layout) -> None:
        self._fields = layout.fields
        self._schema = layout.schema

    def queries(self, filters: Sequence[Filter]) -> list[Query]:
        """Return a query for each, that fits what the filter lets through.

        Raises `InvalidRequest`, naming the filter that is wrong.
        """
        return self._each(filters, "filters")

    def _each(self, filters: Sequence[Filter], at: str) -> list[Query]:
        return [self._query(each, f"{at}[{place}]") for place, each in enumerate(filters)]

    def _query(self, given: Filter, at: str) -> Query:
        """Return the query of one filter, which is called `at` where it is wrong."""
        match given:
            case Equals(field, value):
                return self._equals(field, value, at)
            case AnyOf(field, values):
                return self._any_of(field, values, at)
            case Between(field, at_least, at_most):
                return self._between(field, at_least, at_most, at)
            case Exists(field, exists):
                self._schema.type_of(field, f"{at}.field")
                has = Query.term_query(self._fields, HAS, field)
                return has if exists else none_of([has])
            case All() | Any() | Not():
                return self._group(given, at)

    def _group(self, given: All | Any | Not, at: str) -> Query:
        match given:
            case All(filters):
                return all_of(self._each(filters, f"{at}.all.filters"))
            case Any(filters):
                return any_of(self._each(filters, f"{at}.any.filters"))
            case Not(filters):
                return none_of(self._each(filters, f"{at}.none.filters"))

    def _equals(self, field: str, value: Value, at: str) -> Query:
        return Query.term_query(self._fields, field, self._checked(field, value, at))

    def _any_of(self, field: str, values: Sequence[Value], at: str) -> Query:
        if self._schema.type_of(field, f"{at}.field") != "keyword":
            return any_of([self._equals(field, value, at) for value in values])
        checked = [self._checked(field, value, at) for value in values]
        return Query.term_set_query(self._fields, field, checked)

    def _between(self, field: str, at_least: float | None, at_most: float | None, at: str) -> Query:
        if self._schema.type_of(field, f"{at}.field") != "number":
            raise InvalidRequest(
                f"{at}.range is for numbers; {field!r} is none", field=f"{at}.range"
            )
        bounds = [each for each in (at_least, at_most) if each is not None]
        if not bounds or any(math.isnan(each) for each in bounds):
            raise InvalidRequest(f"{at}.range needs a bound, as a number", field=f"{at}.range")
        low = -math.inf if at_least is None else at_least + 0.0
        high = math.inf if at_most is None else at_most + 0.0
        return Query.range_query(self._fields, field, FieldType.Float, low, high)

    def _checked(self, field: str, value: Value, at: str) -> Value:
        match self._schema.type_of(field, f"{at}.field"), value:
            case "keyword", str():
                return value
            case "number", int() | float() if not isinstance(value, bool):
                return float(value) + 0.0
            case "flag", bool():
                return value
            case "text", _:
                raise InvalidRequest(
                    f"{at}: field {field!r} is text, whose words are searched for, not compared",
                    field=f"{at}.field",
                )
            case type, _:
                raise InvalidRequest(
                    f"{at}: {value!r} is no {type}, as field {field!r} is", field=f"{at}.equals"
                )


def all_of(queries: Sequence[Query]) -> Query:
    """Return what fits all of them: everything, if there is none."""
    if not queries:
        return Query.all_query()
    return Query.boolean_query([(Occur.Must, each) for each in queries])


def any_of(queries: Sequence[Query]) -> Query:
    """Return what fits one of them: nothing, if there is none."""
    return Query.boolean_query([(Occur.Should, each) for each in queries])


def none_of(queries: Sequence[Query]) -> Query:
    """Return what fits none of them."""
    unwanted = [(Occur.MustNot, each) for each in queries]
    return Query.boolean_query([(Occur.Must, Query.all_query()), *unwanted])


def unscored(query: Query) -> Query:
    """Return the query with nothing to add to a score."""
    return Query.const_score_query(query, 0.0)
