"""How queries are understood: which mistakes are allowed for, and what words stand for."""

from typing import Annotated, Literal

from pydantic import Field

from inferd.config.search.index import FieldName
from inferd.config.section import Positive, Section

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Weight = Annotated[float, Field(gt=0, le=1)]

STOP_WORDS = frozenset(
    {
        *("a", "an", "and", "are", "as", "at", "be", "but", "by", "do", "does", "for", "from"),
        *("how", "i", "in", "is", "it", "me", "my", "of", "on", "or", "some", "that", "the"),
        *("this", "to", "what", "where", "which", "who", "with"),
    }
)
"""English words that say next to nothing of what is wanted."""


class SearchEntity(Section):
    """A kind of thing that queries name, such as brands: the values of a field."""

    field: FieldName
    """A facet of type keyword. Its values in the index are what is recognised."""
    filter: Literal["always", "alone", "never"] = "always"
    """When documents without the value are no hits: always; where the query names nothing else;
    never, and it is only told. A filter stands in for the words that name it. Where nothing fits,
    it is done without."""
    aliases: dict[str, str] = Field(default_factory=dict)
    """Words that imply a value without being its name, e.g. `iphone: Apple`. They are searched for
    besides."""


class SearchPrices(Section):
    """Prices in queries, such as "under $500"."""

    field: FieldName
    """A number, in minor units."""
    minor_units: dict[Currency, Positive] = Field(default_factory=dict)
    """How many minor units of the field one of a currency is: `EUR: 100`, `USD: 92`. A price in
    another currency is no filter. Empty: whatever the currency, one is 100."""


class SearchQuery(Section):
    """How queries are understood."""

    max_words: Annotated[int, Field(ge=1, le=100)] = 32
    """What comes after so many words is not searched for."""
    corrections: Annotated[int, Field(ge=0, le=10)] = 3
    """Words that an unknown one may have been meant to be, at most, that are searched for. 0:
    nothing is corrected."""
    one_error_letters: Annotated[int, Field(ge=2)] = 4
    """Words of so many letters may have one typing error."""
    two_errors_letters: Annotated[int, Field(ge=3)] = 8
    """Words of so many letters may have two."""
    suspect_ratio: Annotated[float, Field(ge=1)] = 1000.0
    """A word that is in the index is never corrected. Where one that is a single error away is so
    many times as frequent, it is asked whether that was meant."""
    prefix: Literal["unknown", "always", "never"] = "unknown"
    """Whether the last word may be the beginning of one: only where it is no word itself."""
    plurals: bool = True
    """Search for English plurals of a word, and for what it is a plural of."""
    synonym_weight: Weight = 0.8
    """What a synonym counts, as a share of the word."""
    stop_words: frozenset[str] = STOP_WORDS
    """Words that are not searched for, unless there are no others."""
    entities: dict[FieldName, SearchEntity] = Field(default_factory=dict)
    """By kind: `brand`, `category`."""
    prices: SearchPrices | None = None
    """None: prices in queries are words like others."""
    navigational_documents: Annotated[int, Field(ge=0)] = 3
    """Whoever asks for words that all are in so few documents is after one of those."""
