"""From the text of a query to what is searched for. Pure.

In this order: the text is normalised; prices are taken out of it; the words are read as they were
probably meant; what they name is recognised; words that say nothing are dropped; what is left is
widened by synonyms and other forms. Everything that was done is in the answer.

`Rules` and the lexicon are of one state of the index. Making them takes a while (0.7 s for 100,000
words), so whoever owns them makes new ones beside the event loop and then uses those.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from inferd.config.search.query import SearchQuery
from inferd.services.search.query.entities import (
    Dictionary,
    Recognised,
    dictionary_of,
    recognise,
)
from inferd.services.search.query.intent import Clues, intent_of
from inferd.services.search.query.lexicon import Lexicon, Tolerance
from inferd.services.search.query.normal import normalise
from inferd.services.search.query.phrases import Phrase, Phrases
from inferd.services.search.query.prices import Priced, Prices
from inferd.services.search.query.spelling import Reading, Speller
from inferd.services.search.query.synonyms import SynonymSet, synonyms_of
from inferd.services.search.query.understood import Entity, Intent, Part, Understood
from inferd.services.search.query.widening import widened
from inferd.services.search.text_query import Word
from inferd.services.search.words import words_of

FieldValues = Mapping[str, Iterable[str]]
"""By field: the values that documents have."""
NOTHING: FieldValues = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Rules:
    """What understanding goes by, besides the words there are. Immutable."""

    settings: SearchQuery
    synonyms: Phrases[Phrase]
    dictionary: Dictionary
    prices: Prices | None

    @classmethod
    def of(
        cls,
        settings: SearchQuery,
        synonyms: Sequence[SynonymSet] = (),
        values: FieldValues = NOTHING,
    ) -> "Rules":
        """Return rules, given the values in the index of the fields that entities are about.

        Raises `InvalidRequest` where `synonyms` are wrong.
        """
        prices = Prices(settings.prices) if settings.prices else None
        dictionary = dictionary_of(settings.entities, values)
        return cls(settings, synonyms_of(synonyms), dictionary, prices)

    def literally(self) -> "Rules":
        """Return rules by which nothing is done to a query."""
        settings = self.settings.model_copy(
            update={
                "corrections": 0,
                "plurals": False,
                "prefix": "never",
                "stop_words": frozenset[str](),
            }
        )
        return Rules(settings, Phrases({}), Phrases({}), None)

    def right(self, word: str) -> bool:
        """Return whether a word means something without being in the index."""
        return (
            word in self.settings.stop_words
            or word in self.synonyms.words
            or word in self.dictionary.words
        )


def lexicon_of(
    settings: SearchQuery, terms: Mapping[str, int], values: FieldValues = NOTHING
) -> Lexicon:
    """Return what words are corrected to: those of texts, and those that name something.

    `terms` are the index's with the number of documents that have them.
    """
    named = (
        word
        for entity in settings.entities.values()
        for value in values.get(entity.field, ())
        for word in words_of(value)
    )
    tolerance = Tolerance(settings.one_error_letters, settings.two_errors_letters)
    return Lexicon({**dict.fromkeys(named, 1), **terms}, tolerance)


def understand(
    text: str,
    lexicon: Lexicon,
    rules: Rules,
    *,
    intent: Intent | None = None,
    verbatim: bool = False,
) -> Understood:
    """Return what a query asks for.

    `intent`: what somebody is after, if that is known. `verbatim`: nothing is corrected or added,
    and words stand for nothing but themselves. Raises `InvalidRequest` if the query is too long.
    """
    asked = normalise(text)
    if verbatim:
        rules = rules.literally()
    settings = rules.settings
    priced = rules.prices.found(asked) if rules.prices else Priced(asked, None, ())
    written = words_of(priced.rest)
    speller = Speller(lexicon, rules.right, settings.corrections, settings.suspect_ratio)
    readings = list(speller.readings(written[: settings.max_words]))
    words = [reading.text for reading in readings]
    named = recognise(words, rules.dictionary, settings.entities, settings.stop_words)
    wider = widened(readings, lexicon, rules.synonyms, settings)
    filters = named.filters if priced.filter is None else (*named.filters, priced.filter)
    stops = {at for at, word in enumerate(words) if word in settings.stop_words}
    unsaid = _unsaid(stops - named.places - wider.together, len(words), bool(filters))
    parts = tuple(
        Part(words[at], word, _frequency(word, lexicon), named.stands_for.get(at))
        for at, word in enumerate(wider.words)
        if at not in unsaid
    )
    return Understood(
        query=" ".join(words_of(asked)),
        text=" ".join(part.text for part in parts),
        parts=parts,
        intent=intent or intent_of(_clues(asked, parts, named, unsaid, priced), settings),
        filters=filters,
        corrections=tuple(each.correction for each in readings if each.correction),
        entities=(*named.entities, *_prices(priced)),
        dropped=(*(words[at] for at in unsaid), *dict.fromkeys(written[settings.max_words :])),
        synonyms=wider.expansions(set(range(len(words))) - {*unsaid, *named.stands_for}),
        did_you_mean=_meant(readings, speller),
    )


def _unsaid(stops: set[int], words: int, filtered: bool) -> list[int]:
    """Return the places of words that are not searched for: never all there is to a query."""
    return [] if len(stops) == words and not filtered else sorted(stops)


def _frequency(word: Word, lexicon: Lexicon) -> int:
    return max(lexicon.frequency(each.text) for each in word.alternatives)


def _clues(
    asked: str, parts: Sequence[Part], named: Recognised, unsaid: Sequence[int], priced: Priced
) -> Clues:
    return Clues(
        asked=asked,
        words=[part.text for part in parts],
        frequencies=[part.frequency for part in parts],
        named=frozenset(at - bisect_left(unsaid, at) for at in named.places),
        kinds=frozenset(each.kind for each in named.entities),
        priced=priced.filter is not None,
    )


def _prices(priced: Priced) -> Iterator[Entity]:
    if priced.filter is None:
        return
    ends = (priced.filter.at_least, priced.filter.at_most)
    value = "..".join("" if end is None else f"{end:.10g}" for end in ends)
    yield Entity("price", ", ".join(priced.texts), value)


def _meant(readings: Sequence[Reading], speller: Speller) -> str:
    """Return the query with the words that were probably meant; empty: with those it has."""
    words = [reading.text for reading in readings]
    meant = [
        word if reading.correction else speller.suspected(word) or word
        for word, reading in zip(words, readings, strict=True)
    ]
    return "" if meant == words else " ".join(meant)
