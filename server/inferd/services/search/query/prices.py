"""Prices in a query: "under $500", "between 10 and 20", "10-20 eur", "cheaper than 20 euros".

An amount is a price if a currency is with it, or if it comes after words that say so ("cheaper
than") and no other unit is behind it ("under 5 kg"). Words that are said of other things as well
("max", "up to", "from") need the currency. Both ends are included, for "under" as well: prices are
compared with what shoppers have in mind, who do not mind a price of exactly 500.
"""

import re
from typing import NamedTuple

from inferd.config.search.query import SearchPrices
from inferd.services.search.text_query import Between

_CURRENCIES = {
    "USD": ("$", "us$", "usd", "dollar", "dollars", "buck", "bucks"),
    "EUR": ("€", "eur", "euro", "euros"),
    "GBP": ("£", "gbp", "pound sterling", "pounds sterling", "quid"),
    "JPY": ("¥", "jpy", "yen"),
    "CHF": ("chf", "sfr", "swiss francs"),
}
_CODES = {name: code for code, names in _CURRENCIES.items() for name in names}
_NAMES = "|".join(re.escape(name) for name in sorted(_CODES, key=len, reverse=True))
_UNITS = (
    r"(?:%|\"|'|(?:[kmg]?g|lbs?|oz|[ck]?m|mm|inch(?:es)?|ft|feet|m?l|lit(?:er|re)s?|[kmgt]?b|m?p|mpx"
    r"|m?ah|[kmg]?hz|k?w|watts?|v|volts?|hours?|hrs?|min|minutes?|days?|weeks?|months?|years?|yrs?"
    r"|stars?|pieces?|pcs|persons?|people)(?![^\W_]))"
)
_NUMBER = r"[0-9]{1,9}(?:[.,][0-9]{3})*(?:[.,][0-9]{1,2})?(?!\d)(?![.,]\d)"


def _amount(which: str) -> str:
    return (
        rf"(?:(?P<before_{which}>{_NAMES}) ?)?(?<![\d.,])(?P<number_{which}>{_NUMBER})"
        rf"(?P<thousand_{which}>k(?![^\W_]))?"
        rf"(?: ?(?P<after_{which}>{_NAMES})(?![^\W_]))?(?! ?{_UNITS})"
    )


_DASH = r"[-\u2013]"
_BEGIN = r"(?<![^\W_])"
_BETWEEN = re.compile(rf"{_BEGIN}between {_amount('low')} ?(?:and|to|{_DASH}) ?{_amount('high')}")
_RANGE = re.compile(
    rf"(?:{_BEGIN}from |(?<![^\W_]|[\d.,-])){_amount('low')} ?(?:to|{_DASH}) ?{_amount('high')}"
)
_BELOW = re.compile(
    rf"(?:{_BEGIN}(?P<sure>under|below|less than|cheaper than|not more than|no more than|not over)"
    rf"|{_BEGIN}(?:max|maximum|at most|up to|until)\.?|<=?) ?{_amount('high')}"
)
_ABOVE = re.compile(
    rf"(?:{_BEGIN}(?P<sure>over|above|more than|dearer than|not less than|no less than)"
    rf"|{_BEGIN}(?:min|minimum|at least|from|starting at)\.?|>=?) ?{_amount('low')}"
)


class Priced(NamedTuple):
    """A query's prices."""

    #: The query without them.
    rest: str
    #: None: it has none.
    filter: Between | None
    #: As they were written.
    texts: tuple[str, ...]


class Prices:
    """Finds prices, and says what they mean for the field. Immutable."""

    def __init__(self, settings: SearchPrices) -> None:
        self._field = settings.field
        self._minor_units = settings.minor_units

    def found(self, query: str) -> Priced:
        """Take the prices out of a query, which is normalised. Several of them all hold."""
        low: list[float] = []
        high: list[float] = []
        texts: list[str] = []

        def take(match: re.Match[str]) -> str:
            ends = self._ends(match)
            if ends is None:
                return match[0]
            low.extend(each for each in ends[:1] if each is not None)
            high.extend(each for each in ends[1:] if each is not None)
            texts.append(match[0].strip())
            return " "

        if any(each.isdigit() for each in query):
            for pattern in (_BETWEEN, _RANGE, _BELOW, _ABOVE):
                query = pattern.sub(take, query)
        if not texts:
            return Priced(query, None, ())
        between = Between(self._field, max(low, default=None), min(high, default=None))
        return Priced(" ".join(query.split()), between, tuple(texts))

    def _ends(self, match: re.Match[str]) -> tuple[float | None, float | None] | None:
        """Return the range of a match, in the field's unit; None: it is no price."""
        said = match.groupdict()
        code = next(
            (
                _CODES[said[name]]
                for name in ("before_low", "after_low", "before_high", "after_high")
                if said.get(name)
            ),
            None,
        )
        sure = bool(said.get("sure")) or match.re is _BETWEEN
        unit = self._unit(code)
        if unit is None or (code is None and not sure):
            return None
        low = _value(said, "low", unit)
        high = _value(said, "high", unit)
        if low is not None and high is not None:
            return min(low, high), max(low, high)
        return low, high

    def _unit(self, code: str | None) -> float | None:
        if not self._minor_units:
            return 100.0
        if code is None:
            return next(iter(self._minor_units.values()))
        return self._minor_units.get(code)


def _value(said: dict[str, str | None], which: str, unit: float) -> float | None:
    number = said.get(f"number_{which}")
    if number is None:
        return None
    thousand = 1000 if said[f"thousand_{which}"] else 1
    return round(_plain(number) * thousand * unit, 2)


def _plain(number: str) -> float:
    """Return a number: behind its last mark are cents, if those are one or two digits."""
    for cents in (1, 2):
        if number[-cents - 1 : -cents] in {".", ","}:
            return float(f"{_digits(number[: -cents - 1])}.{number[-cents:]}")
    return float(_digits(number))


def _digits(number: str) -> str:
    return number.replace(",", "").replace(".", "")
