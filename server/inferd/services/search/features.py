"""What the ranking model is told of a query and its hits: one row of numbers for each.

Which numbers, a model's configuration says by their names; training asks for them here, too, so
that a model is told by the server what it was told when it learned. Nothing is about the user who
asks, so what the model says can be kept for everybody. What is not known is `missing`.

    text.score              BM25, of all fields
    match.<field>           the share of the query's words that a text or a keyword has;
                            `match.any`: that any field has that is named in this way
    order.<field>           the share of neighbours in the query that are neighbours there
    phrase.<field>          1 if the whole query is there as it was written
    cover.<field>           the share of the field's words that are of the query
    query.words             how many there are
    field.<name>            a number or a flag
    age_days.<name>         days since a time in microseconds
    document.<act>_<window> what everybody did with it, of late: `looks` (that were to be expected),
                            `clicks`, `carts`, `purchases`; windows are half-lives: 1d, 7d, 30d
    document.ctr_<window>   clicks for each expected look, drawn to the usual rate
    pair.clicks             clicks on it when this was searched for
    pair.share              its share of them, drawn to 0

Around another feature:

    log(text.score)         ln(1 + x); for what is below zero -ln(1 - x)
    best(text.score)        the share of the largest among the hits
    usual(field.price)      ln of x over the median of the hits
"""

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from inferd.services.search.behaviour import SearchBehaviour
from inferd.services.search.document_words import DocumentWords
from inferd.services.search.feature_columns import Hits, column, text_fields
from inferd.services.search.text_query import Retrieved, Word

Floats = NDArray[np.float32]

MISSING: Final = -1.0
"""What a model is told that is not known, unless configured otherwise."""
REMEMBERED: Final = 20_000
"""Documents whose words are kept: some 400 bytes each with three short fields."""


class Asked(Protocol):
    """What is told of a query: `query.Understood` is one."""

    @property
    def text(self) -> str:
        """What is searched for in the end. Clicks count for it."""
        ...

    @property
    def words(self) -> Sequence[Word]:
        """Its words, in order."""
        ...


class SearchFeatures:
    """Makes the rows of one model. Lives on the event loop.

    200 hits take well below a millisecond, and some 25 microseconds more for each that is seen for
    the first time.
    """

    def __init__(
        self, names: Sequence[str], *, missing: float = MISSING, remembered: int = REMEMBERED
    ) -> None:
        """Tell these, in this order; `remembered` must be more than the largest window.

        Raises `ValueError` for a name that is none.
        """
        self.names = tuple(names)
        self._missing = np.float32(missing)
        self._columns = [column(name) for name in names]
        self._fields = text_fields(names)
        self._words = DocumentWords(self._fields, capacity=remembered)

    def rows(
        self, asked: Asked, retrieved: Retrieved, behaviour: SearchBehaviour, now_us: int
    ) -> Floats:
        """Return what is told of the hits, float32 [k, names]."""
        places = self._words.rows(retrieved.documents)
        hits = Hits(
            text=asked.text,
            words=asked.words,
            retrieved=retrieved,
            fields={name: self._words.of(name, places) for name in self._fields},
            behaviour=behaviour,
            now_us=now_us,
        )
        told = np.empty((len(retrieved.ids), len(self._columns)), np.float32)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for place, make in enumerate(self._columns):
                told[:, place] = make(hits)
        told[~np.isfinite(told)] = self._missing
        return told
