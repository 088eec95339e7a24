"""Which items may be in an answer: conditions on single fields, as masks over columns.

A filter is made and checked once, and then asked about many rows at a time. What an item does not
have fulfils no condition, and so fulfils every negated one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from inferd.errors import InvalidRequest
from inferd.features.suggestions import nearest
from inferd.services.recommendation.codes import FLAG, NUMBER, TEXT, Codes
from inferd.services.recommendation.columns import UNKNOWN_STOCK, Ints, Mask, Table
from inferd.services.recommendation.items import Value

MAX_VALUES: Final = 1000
MAX_FILTERS: Final = 32
ATTRIBUTES: Final = "attributes."

_CODED: Mapping[str, Callable[[Table], tuple[npt.NDArray[np.int32], Codes]]] = {
    "category": lambda table: (table.category, table.categories),
    "brand": lambda table: (table.brand, table.brands),
    "merchant": lambda table: (table.merchant, table.merchants),
    "currency": lambda table: (table.currency, table.vocabulary.currencies),
}
_NUMBERS: Mapping[str, Callable[[Table], Ints]] = {
    "price_minor": lambda table: table.price_minor,
    "stock": lambda table: table.stock,
    "released_us": lambda table: table.released_us,
}
FIELDS: Final = (*_CODED, *_NUMBERS, "id", "tags", "title")
"""What conditions can be on, besides attributes (`attributes.colour`)."""


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The field is one of these; of `tags`, one of them is."""

    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """The field is a number between these, both included."""

    at_least: float = -math.inf
    at_most: float = math.inf


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on a field."""

    field: str
    condition: AnyOf | Between
    #: The condition must not hold.
    negate: bool = False

    def check(self, where: str = "filter", form: str = "any_of") -> None:
        """Raise `InvalidRequest`, naming what is wrong as below `where`.

        `form` is how a condition on values was said: "any_of", or "equals".
        """
        if self.field not in FIELDS and not self.attribute:
            raise InvalidRequest(
                f"there is no field {self.field!r:.80}; {nearest(self.field, FIELDS)}",
                field=f"{where}.field",
            )
        if isinstance(self.condition, Between):
            self._check_range(self.condition, f"{where}.range")
        else:
            self._check_values(self.condition.values, f"{where}.{form}")

    def check_known(self, table: Table, where: str = "filter") -> None:
        """Raise `InvalidRequest` if no item ever had such an attribute."""
        known = table.vocabulary.attributes
        if self.attribute and self.attribute not in known:
            names = [ATTRIBUTES + name for name in known]
            raise InvalidRequest(
                f"no item has {self.field!r:.80}; {nearest(self.field, names)}",
                field=f"{where}.field",
            )

    @property
    def attribute(self) -> str:
        """The name of the attribute it is on; empty: it is on no attribute."""
        return self.field[len(ATTRIBUTES) :] if self.field.startswith(ATTRIBUTES) else ""

    def mask(self, table: Table, rows: Ints) -> Mask:
        """Return which of these rows it lets through, bool [k]."""
        holds = self._holds(table, rows)
        return ~holds if self.negate else holds

    def _holds(self, table: Table, rows: Ints) -> Mask:
        field = self.field
        if self.attribute:
            return self._attribute_holds(table, rows)
        if field in _NUMBERS:
            values = _NUMBERS[field](table)[rows]
            holds = self._number_holds(values)
            if field == "stock":
                holds &= values != UNKNOWN_STOCK
            return holds
        texts = self._texts()
        if field in _CODED:
            column, codes = _CODED[field](table)
            return _is_in(column[rows], _codes(texts, codes))
        if field == "tags":
            has = _is_in(table.tags[rows], _codes(texts, table.vocabulary.tags))
            any_has: Mask = np.logical_or.reduce(has, axis=1)
            return any_has
        if field == "id":
            return _is_in(rows, table.rows(texts))
        wanted = {*texts}
        titles = table.titles
        return np.array([titles[row] in wanted for row in rows.tolist()], np.bool_)

    def _attribute_holds(self, table: Table, rows: Ints) -> Mask:
        column = table.attributes.get(self.attribute)
        if column is None:
            return np.zeros(len(rows), np.bool_)
        kinds, values = column.kinds[rows], column.values[rows]
        holds: Mask = (kinds == NUMBER) & self._number_holds(values)
        if isinstance(self.condition, Between):
            return holds
        flags = [each for each in self.condition.values if isinstance(each, bool)]
        holds |= (kinds == TEXT) & _is_in(values, _codes(self._texts(), column.codes))
        holds |= (kinds == FLAG) & _is_in(values, np.array(flags, np.float64))
        return holds

    def _number_holds(self, values: npt.NDArray[np.int64] | npt.NDArray[np.float64]) -> Mask:
        if isinstance(self.condition, Between):
            holds: Mask = values >= self.condition.at_least
            holds &= values <= self.condition.at_most
            return holds
        numbers = [each for each in self.condition.values if _is_number(each)]
        return _is_in(values, np.array(numbers, np.float64))

    def _texts(self) -> list[str]:
        values = self.condition.values if isinstance(self.condition, AnyOf) else ()
        return [each for each in values if isinstance(each, str)]

    def _check_range(self, between: Between, where: str) -> None:
        if self.field not in _NUMBERS and not self.attribute:
            raise InvalidRequest(f"{self.field} is no number", field=where)
        if between == Between():
            raise InvalidRequest("there must be at_least, or at_most", field=where)
        if not between.at_least <= between.at_most:  # nor is anything that is not a number
            text = f"at_least, {between.at_least}, must not be above at_most, {between.at_most}"
            raise InvalidRequest(text, field=where)

    def _check_values(self, values: Sequence[Value], where: str) -> None:
        if not 1 <= len(values) <= MAX_VALUES:
            raise InvalidRequest(f"there must be 1 to {MAX_VALUES}, not {len(values)}", field=where)
        for number, value in enumerate(values):
            problem = self._problem(value)
            if problem:
                place = where if where.endswith("equals") else f"{where}.values[{number}]"
                raise InvalidRequest(problem, field=place)

    def _problem(self, value: Value) -> str:
        if value == "":
            return "an empty text is no value"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{value} is no number"
        if self.attribute:
            return ""
        if self.field in _NUMBERS:
            return "" if _is_number(value) else f"{self.field} is a number, not {value!r:.80}"
        return "" if isinstance(value, str) else f"{self.field} is a text, not {value!r:.80}"


def mask_of(filters: Sequence[Filter], table: Table, rows: Ints) -> Mask:
    """Return which of these rows all filters let through, bool [k]."""
    passed = np.ones(len(rows), np.bool_)
    for each in filters:
        passed &= each.mask(table, rows)
    return passed


def _is_number(value: Value) -> bool:
    return not isinstance(value, bool | str)


def _codes(texts: Sequence[str], codes: Codes) -> npt.NDArray[np.int32]:
    """Return the numbers of those texts that there are."""
    return np.array([code for code in map(codes.find, texts) if code > 0], np.int32)


def _is_in(values: npt.NDArray[np.generic], wanted: npt.NDArray[np.generic]) -> Mask:
    if len(wanted) == 1:  # most are asked for one value
        equal: Mask = values == wanted[0]
        return equal
    return np.isin(values, wanted)
