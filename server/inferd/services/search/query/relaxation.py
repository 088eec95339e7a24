"""What to search for when nothing fits all of a query: a little less each time.

Rare words say most of what somebody wants, and numbers least. So the others become optional first:
those that no document has, then the more frequent half, then all but the rarest. Next the filters
that words stood for are done without, and those words searched for like others. In the end any word
will do. Filters that the request itself has are not touched here.
"""

from collections.abc import Container, Iterator
from dataclasses import replace

from inferd.services.search.query.understood import Part, Relaxed, Understood


def relaxations(understood: Understood) -> Iterator[Understood]:
    """Yield what to search for next, for as long as nothing is found. At most five times."""
    searched = {part.text: part for part in _searched(understood)}
    there = [part for part in searched.values() if part.frequency]
    rarest = [part.text for part in sorted(there, key=_says_little)]
    for required in dict.fromkeys((len(rarest), (len(rarest) + 1) // 2, 1)):
        if 0 < required <= len(rarest) and required < len(searched):
            yield _requiring(understood, frozenset(rarest[:required]))
    if understood.filters:
        yield _without_filters(understood)
    if len({part.text for part in understood.parts}) > 1:
        yield _any_word(understood)


def _says_little(part: Part) -> tuple[bool, int]:
    return part.text.isdigit(), part.frequency


def _requiring(understood: Understood, required: frozenset[str]) -> Understood:
    optional = {part for part in _searched(understood) if part.text not in required}
    return replace(
        understood,
        parts=tuple(_optional(part) if part in optional else part for part in understood.parts),
        dropped=_dropped(understood, optional),
        relaxed=Relaxed.OPTIONAL_WORDS,
    )


def _without_filters(understood: Understood) -> Understood:
    return replace(
        understood,
        parts=tuple(replace(part, filter=None) for part in understood.parts),
        filters=(),
        relaxed=Relaxed.WITHOUT_FILTERS,
    )


def _any_word(understood: Understood) -> Understood:
    return replace(
        understood,
        parts=tuple(_optional(replace(part, filter=None)) for part in understood.parts),
        filters=(),
        dropped=_dropped(understood, understood.parts),
        relaxed=Relaxed.ANY_WORD,
    )


def _optional(part: Part) -> Part:
    return replace(part, word=replace(part.word, required=False))


def _dropped(understood: Understood, optional: Container[Part]) -> tuple[str, ...]:
    texts = (part.text for part in understood.parts if part in optional)
    return tuple(dict.fromkeys((*understood.dropped, *texts)))


def _searched(understood: Understood) -> Iterator[Part]:
    return (part for part in understood.parts if part.filter is None)
