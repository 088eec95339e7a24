"""Ranking features by name (`features` says what they are): what makes the column of each."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inferd.services.search.behaviour import DAY_US, HALF_LIVES, Act, Ints, SearchBehaviour
from inferd.services.search.document_words import Words
from inferd.services.search.matches import Matches
from inferd.services.search.text_query import Retrieved, Word

Column = float | NDArray[Any]


@dataclass(slots=True, kw_only=True)
class Hits:
    """Some hits of one query, and what is known of them. What is asked for twice is found once."""

    #: What was searched for in the end.
    text: str
    words: Sequence[Word]
    retrieved: Retrieved
    #: The words of texts and keywords, by field.
    fields: Mapping[str, Words]
    behaviour: SearchBehaviour
    now_us: int
    _matches: dict[str, Matches] = field(default_factory=dict)
    _counts: dict[str, Column] = field(default_factory=dict)
    _slots: Ints | None = None

    def matches(self, name: str) -> Matches:
        """Return where the words of the query are in a field."""
        found = self._matches.get(name)
        if found is None:
            found = self._matches[name] = Matches(self.words, self.fields[name])
        return found

    def share(self, found: NDArray[np.bool_]) -> Column:
        """Return the share of the words that are found, of bool [words, k]."""
        return found.mean(axis=0) if len(found) else 0.0

    def matched(self, name: str) -> Column:
        """Return the share of the words that a field has."""
        return self.share(self.matches(name).found())

    def matched_anywhere(self) -> Column:
        """Return the share of the words that any of the fields has."""
        found = [self.matches(name).found() for name in self.fields]
        return self.share(reduce(np.logical_or, found)) if found else 0.0

    def number(self, name: str) -> Column:
        """Return a number or a flag of the documents; NaN: it has none."""
        return self.retrieved.columns.get(name, np.nan)

    def counts(self, half_life: str) -> Any:
        """Return what everybody did, float32 [k, acts]."""
        found = self._counts.get(half_life)
        if found is None:
            found = self.behaviour.counts(self.slots(), half_life, self.now_us)
            self._counts[half_life] = found
        return found

    def slots(self) -> Ints:
        """Return where the behaviour has the documents."""
        if self._slots is None:
            self._slots = self.behaviour.slots(self.retrieved.ids)
        return self._slots


Make = Callable[[Hits], Column]

_ACTS: Final = {
    "looks": Act.LOOK,
    "clicks": Act.CLICK,
    "carts": Act.CART,
    "purchases": Act.PURCHASE,
}


def _counted(act: Act, window: str) -> Make:
    return lambda it: it.counts(window)[:, act]


def _rated(window: str) -> Make:
    return lambda it: it.behaviour.ctr(it.slots(), window, it.now_us)


_FIXED: Final[Mapping[str, Make]] = {
    "text.score": lambda it: it.retrieved.text_scores,
    "query.words": lambda it: float(len(it.words)),
    "match.any": Hits.matched_anywhere,
    "pair.clicks": lambda it: it.behaviour.clicks_for(it.text, it.retrieved.ids, it.now_us),
    "pair.share": lambda it: it.behaviour.share_for(it.text, it.retrieved.ids, it.now_us),
    **{
        f"document.{name}_{window}": _counted(act, window)
        for name, act in _ACTS.items()
        for window in HALF_LIVES
    },
    **{f"document.ctr_{window}": _rated(window) for window in HALF_LIVES},
}
_AROUND = re.compile(r"(log|best|usual)\((.+)\)")
_OF_FIELD = re.compile(r"(match|order|phrase|cover|field|age_days)\.([a-z][a-z0-9_]*)")


def column(name: str) -> Make:
    """Return what makes a column. Raises `ValueError` for a name that is none."""
    if made := _FIXED.get(name):
        return made
    if around := _AROUND.fullmatch(name):
        return _around(around[1], column(around[2]))
    if of := _OF_FIELD.fullmatch(name):
        return _of_field(of[1], of[2])
    raise ValueError(f"{name!r} is no feature: it is none of {', '.join(_FIXED)}, or of a field")


def text_fields(names: Sequence[str]) -> tuple[str, ...]:
    """Return the fields whose words are looked at, each once."""
    found = [
        of for name in names for of in re.findall(r"(?:match|order|phrase|cover)\.(\w+)", name)
    ]
    return tuple(name for name in dict.fromkeys(found) if name != "any")


def _of_field(kind: str, name: str) -> Make:
    match kind:
        case "match":
            return lambda it: it.matched(name)
        case "order":
            return lambda it: it.matches(name).order()
        case "phrase":
            return lambda it: it.matches(name).phrase()
        case "cover":
            return lambda it: it.matches(name).cover()
        case "age_days":
            return lambda it: (it.now_us - it.number(name)) / DAY_US
        case _:
            return lambda it: it.number(name)


def _around(kind: str, make: Make) -> Make:
    def made(hits: Hits) -> Column:
        value = np.asarray(make(hits), np.float64)
        match kind:
            case "log":
                return np.sign(value) * np.log1p(np.abs(value))
            case "best":
                return value / np.nanmax(value, initial=0.0)
            case _:
                known = value[value > 0] if value.ndim else value
                return np.log(value / np.median(known)) if known.size else np.nan

    return made
