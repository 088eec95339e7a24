"""What a query was taken for, and everything that was done to it. Plain values.

A query is a row of parts. Each is a word to search for; some also stand for a filter ("sony": the
brand), and while that filter is in force they are not searched for.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from inferd.services.search.text_query import Filter, Word


class Intent(StrEnum):
    """What somebody is after."""

    NAVIGATIONAL = "navigational"
    """One certain thing."""
    CATEGORY = "category"
    """Anything of a kind."""
    ATTRIBUTE = "attribute"
    """Something with certain properties."""
    QUESTION = "question"
    """An answer to a question."""


class Relaxed(StrEnum):
    """What was done because nothing fitted all of a query."""

    NO = ""
    OPTIONAL_WORDS = "optional_words"
    WITHOUT_FILTERS = "without_filters"
    ANY_WORD = "any_word"


@dataclass(frozen=True, slots=True)
class Correction:
    """What was written, and what it was taken for. Either may be several words."""

    written: str
    taken_for: str


@dataclass(frozen=True, slots=True)
class Entity:
    """Words of the query that name something."""

    #: As the configuration names it, e.g. "brand", "category"; or "price".
    kind: str
    #: As it is in the query.
    text: str
    #: As documents say it; of a price, its range in the field's unit, e.g. "..50000".
    value: str


@dataclass(frozen=True, slots=True)
class Expansion:
    """Words of the query, and what else is searched for in their place."""

    word: str
    synonyms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A word of the query."""

    #: What it was taken for.
    text: str
    word: Word
    #: How many documents have it. 0: it is not in the index. What is searched for is the same,
    #: however many they are by now.
    frequency: int = field(compare=False)
    #: The filter it stands for, which is in force instead of it.
    filter: Filter | None = None


@dataclass(frozen=True, slots=True)
class Understood:
    """A query, understood. It can be hashed: equal ones find the same."""

    #: As it was asked, normalised: the words, with a space between them. Curations go by it.
    query: str
    #: What is searched for, in the words that were taken for it.
    text: str
    parts: tuple[Part, ...]
    intent: Intent
    #: What the query's words stand for. All of them hold.
    filters: tuple[Filter, ...] = ()
    corrections: tuple[Correction, ...] = ()
    entities: tuple[Entity, ...] = ()
    #: Words that are not searched for, or not required.
    dropped: tuple[str, ...] = ()
    synonyms: tuple[Expansion, ...] = ()
    relaxed: Relaxed = Relaxed.NO
    #: Another query that may have been meant. Empty: none. Nothing was done about it.
    did_you_mean: str = ""

    @property
    def words(self) -> tuple[Word, ...]:
        """What is searched for. Empty: all documents that pass the filters."""
        return tuple(part.word for part in self.parts if part.filter is None)
