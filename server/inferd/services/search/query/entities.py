"""What queries name: brands, categories, whatever the values of a field are.

A dictionary is made of the values that the index has at the moment, so nothing is recognised that
cannot be found. A value is written as its words, in any case and with any accents, and its last
word may be in the plural. Aliases are what implies a value without being its name.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from inferd.config.search.query import SearchEntity
from inferd.services.search.query.forms import other_forms
from inferd.services.search.query.phrases import MAX_WORDS, Found, Phrase, Phrases
from inferd.services.search.query.understood import Entity
from inferd.services.search.text_query import AnyOf, Equals, Filter
from inferd.services.search.words import words_of

Dictionary = Phrases["Named"]


@dataclass(frozen=True, slots=True)
class Named:
    """What a phrase names."""

    kind: str
    field: str
    #: As documents say them. Several are written alike.
    values: tuple[str, ...]
    #: The phrase implies it and is no name of it.
    alias: bool = False


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a query names."""

    entities: tuple[Entity, ...] = ()
    #: All of them hold.
    filters: tuple[Filter, ...] = ()
    #: By the place of a word: the filter that stands in for it.
    stands_for: Mapping[int, Filter] = field(default_factory=dict)
    #: Places of words that name something.
    places: frozenset[int] = frozenset()


def dictionary_of(
    kinds: Mapping[str, SearchEntity], values: Mapping[str, Iterable[str]]
) -> Dictionary:
    """Return what phrases name: the values of each kind's field, and its aliases.

    A phrase that is of several kinds is of the first. An alias of no value that there is, is none.
    """
    named: dict[Phrase, Named] = {}
    for kind, entity in kinds.items():
        mine: dict[Phrase, list[str]] = {}
        there = {tuple(words_of(value)): value for value in values.get(entity.field, ())}
        for value in values.get(entity.field, ()):
            for phrase in _forms(tuple(words_of(value))):
                mine.setdefault(phrase, []).append(value)
        for phrase, each in mine.items():
            named.setdefault(phrase, Named(kind, entity.field, tuple(dict.fromkeys(each))))
        for alias, meant in entity.aliases.items():
            phrase, of = tuple(words_of(alias)), there.get(tuple(words_of(meant)))
            if of is not None and 1 <= len(phrase) <= MAX_WORDS:
                named.setdefault(phrase, Named(kind, entity.field, (of,), alias=True))
    return Phrases(named)


def recognise(
    words: Sequence[str],
    dictionary: Dictionary,
    kinds: Mapping[str, SearchEntity],
    unimportant: frozenset[str],
) -> Recognised:
    """Return what is named by words, as they were taken. `unimportant` ones name nothing else."""
    found = list(dictionary.longest(words))
    if not found:
        return Recognised()
    places = frozenset(at for each in found for at in range(each.start, each.end))
    others = {at for at, word in enumerate(words) if word not in unimportant} - places
    filtering = [each for each in found if _filters(each, found, others, kinds)]
    filters = _filters_by_field(each.value for each in filtering)
    return Recognised(
        tuple(
            Entity(each.value.kind, " ".join(words[each.start : each.end]), value)
            for each in found
            for value in each.value.values
        ),
        tuple(filters.values()),
        {
            at: filters[each.value.field]
            for each in filtering
            if not each.value.alias
            for at in range(each.start, each.end)
        },
        places,
    )


def _filters(
    one: Found[Named],
    found: Sequence[Found[Named]],
    others: set[int],
    kinds: Mapping[str, SearchEntity],
) -> bool:
    """Return whether documents without what is named are no hits."""
    when = kinds[one.value.kind].filter
    if when == "alone":
        kind = one.value.kind
        rest = (each for each in found if each.value.kind != kind)
        return not others and all(kinds[each.value.kind].filter == "always" for each in rest)
    return when == "always"


def _filters_by_field(named: Iterable[Named]) -> dict[str, Filter]:
    """Return one filter for each field: who names two brands wants either."""
    values: dict[str, dict[str, None]] = {}
    for each in named:
        values.setdefault(each.field, {}).update(dict.fromkeys(each.values))
    return {
        field: Equals(field, *each) if len(each) == 1 else AnyOf(field, tuple(each))
        for field, each in values.items()
    }


def _forms(phrase: Phrase) -> Iterator[Phrase]:
    if not 1 <= len(phrase) <= MAX_WORDS:
        return
    yield phrase
    for form in other_forms(phrase[-1]):
        yield (*phrase[:-1], form)
