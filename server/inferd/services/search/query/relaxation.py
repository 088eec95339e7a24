"""What to search for when nothing fits all of a query: a little less each time.

Rare words say most of what somebody wants, and numbers least. So the others become optional first:
those that no document has, then the more frequent half, then all but the rarest. Next the filters
that words stood for are done without, and those words searched for like others. In the end any word
will do. Filters that the request itself has are not touched here.
"""

from collections.abc import Iterator
from dataclasses import replace

from inferd.services.search.query.understood import Part, Relaxed, Understood


def relaxations(understood: Understood) -> Iterator[Understood]:
    """Yield what to search for next, for as long as nothing is found. At most five times."""
    searched = [part for part in understood.parts if part.filter is None]
    rarest = sorted((part for part in searched if part.frequency), key=_says_little)
    sizes = dict.fromkeys((len(rarest), (len(rarest) + 1) // 2, 1))
    for required in sizes:
        if 0 < required <= len(rarest) and required < len(searched):
            yield _requiring(understood, rarest[:required])
    if not searched and not understood.filters:
        return
    if understood.filters:
        bare = _without_filters(understood)
        yield bare
        searched = list(bare.parts)
    if len(searched) > 1:
        yield _any_word(understood)


def _says_little(part: Part) -> tuple[bool, int]:
    return part.text.isdigit(), part.frequency


def _requiring(understood: Understood, required: list[Part]) -> Understood:
    return replace(
        understood,
        parts=tuple(
            part if part.filter is not None or part in required else _optional(part)
            for part in understood.parts
        ),
        dropped=_dropped(
            understood,
            [part for part in understood.parts if part.filter is None and part not in required],
        ),
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


def _dropped(understood: Understood, parts: list[Part] | tuple[Part, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*understood.dropped, *(part.text for part in parts))))
