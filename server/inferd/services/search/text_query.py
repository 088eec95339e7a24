"""What the index is asked, and what it answers. Plain values.

A query is a list of words. Each has alternatives, of which any will do: the word as it was written,
what it was probably meant to be, its synonyms, what it may be the beginning of. Words are as
`words.words_of` makes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Value = str | float | bool
Values = Mapping[str, Value | tuple[str, ...]]
"""A document's fields. Texts and keywords that have several values are tuples."""
Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Alternative:
    """Something a word of the query may stand for."""

    #: One word, or several with a space between them: then they must follow each other.
    text: str
    #: What a match is worth, of 1.
    weight: float = 1.0
    #: Words that begin so will do, too. They count for little.
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a query."""

    alternatives: tuple[Alternative, ...]
    #: Documents without it are no hits. Where no word is required, one of them is.
    required: bool = True


@dataclass(frozen=True, slots=True)
class Equals:
    """A field has this value, among others it may have."""

    field: str
    value: Value


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A field has one of these values."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """A number is in a range. Both ends are included; None: there is none."""

    field: str
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class Exists:
    """A field has a value, or has none."""

    field: str
    exists: bool = True


@dataclass(frozen=True, slots=True)
class All:
    """All of these hold."""

    filters: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Any:
    """At least one of these holds."""

    filters: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """None of these holds."""

    filters: tuple["Filter", ...]


Filter = Equals | AnyOf | Between | Exists | All | Any | Not


@dataclass(frozen=True, slots=True)
class Sort:
    """A field to sort by, or `schema.RELEVANCE`. Documents without a value come last."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Facet:
    """A field whose values are to be counted, and how many of them to tell, the most frequent."""

    field: str
    count: int = 10


@dataclass(frozen=True, slots=True)
class TextQuery:
    """A search. It can be hashed: equal ones have equal answers, in the same epoch."""

    #: None: all documents.
    words: tuple[Word, ...] = ()
    #: All of them hold for every hit, and add nothing to its score.
    filters: tuple[Filter, ...] = ()
    #: The first counts most. What is equal in all is sorted by id, unless relevance is the last.
    #: Empty: by relevance; what is equal then is in the order it was written in.
    sort: tuple[Sort, ...] = ()
    facets: tuple[Facet, ...] = ()
    #: Documents that are not found: those a curation hides, or puts somewhere itself.
    without: tuple[str, ...] = ()
    #: The first hit that is wanted, and how many from there.
    offset: int = 0
    window: int = 100


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document in the index. Immutable; its number is never used for another text."""

    number: int
    id: str
    fields: Values


@dataclass(frozen=True, slots=True)
class FacetCounts:
    """The values of a field among all that was found, the most frequent first."""

    field: str
    counts: tuple[tuple[Value, int], ...]
    #: There are more values.
    more: bool


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What was found: the hits of a window, in order, and what there is besides."""

    ids: tuple[str, ...]
    #: float32[k], of the words alone. Zeros where hits are not sorted by relevance.
    text_scores: Scores
    documents: tuple[StoredDocument, ...]
    #: By the name of a number or a flag, float64[k]: NaN where a document has none.
    columns: Mapping[str, Floats]
    #: How many documents fit. Always exact.
    total: int
    #: Of the index as it was searched.
    epoch: int
    facets: tuple[FacetCounts, ...] = ()
    #: There was time for all of it: else facets are missing.
    complete: bool = True
