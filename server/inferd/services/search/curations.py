"""What is pinned or hidden for certain queries, whatever is found.

A curation is for a query, or for all that have all of its words. Of several that are for the same
query all hold: of two pins at one place the first stands there, and the other comes after it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from inferd.errors import InvalidRequest
from inferd.services.search.query.normal import key_of

MAX_CURATIONS: Final = 10_000
MAX_PINS: Final = 100
MAX_HIDDEN: Final = 1_000
MAX_POSITION: Final = 10_000


class Pin(NamedTuple):
    """A document that has a place of its own."""

    id: str
    #: From 0.
    position: int


@dataclass(frozen=True, slots=True)
class Curation:
    """What is done for a query."""

    #: As it is searched for: its words, with a space between them.
    query: str
    #: For all queries that have these words; else for this one.
    contains: bool = False
    pins: tuple[Pin, ...] = ()
    hidden: tuple[str, ...] = ()


class Curated(NamedTuple):
    """What is done for one query. It can be hashed."""

    #: By position, and then by id as curations name them.
    pins: tuple[Pin, ...] = ()
    hidden: frozenset[str] = frozenset()

    @property
    def without(self) -> frozenset[str]:
        """Which documents the search leaves out: pins stand elsewhere."""
        return self.hidden | {each.id for each in self.pins}


class Curations:
    """All curations. Immutable."""

    def __init__(self, curations: Sequence[Curation] = ()) -> None:
        """Raise `InvalidRequest` that names what is wrong with one."""
        for number, each in enumerate(curations):
            _check(each, f"curations[{number}]")
        if len(curations) > MAX_CURATIONS:
            text = f"there may be {MAX_CURATIONS}, not {len(curations)}"
            raise InvalidRequest(text, field="curations")
        self.all = tuple(curations)
        self._exact: dict[str, list[Curation]] = {}
        #: By the word of the query that is first in the alphabet.
        self._containing: dict[str, list[Curation]] = {}
        for each in curations:
            if each.contains:
                self._containing.setdefault(min(each.query.split()), []).append(each)
            else:
                self._exact.setdefault(each.query, []).append(each)

    def of(self, query: str) -> Curated:
        """Return what is done for a query (`Understood.query`)."""
        found = [*self._of(query)]
        if not found:
            return Curated()
        hidden = frozenset(id for each in found for id in each.hidden)
        pins: dict[str, int] = {}
        for pin in (pin for each in found for pin in each.pins):
            if pin.id not in hidden:
                pins.setdefault(pin.id, pin.position)
        ordered = sorted((position, place) for place, position in enumerate(pins.values()))
        ids = [*pins]
        return Curated(tuple(Pin(ids[place], position) for position, place in ordered), hidden)

    def _of(self, query: str) -> Iterator[Curation]:
        yield from self._exact.get(query, ())
        words = {*query.split()}
        for word in sorted(words & self._containing.keys()):
            yield from (
                each for each in self._containing[word] if words.issuperset(each.query.split())
            )


def curation(query: str, *, contains: bool, pins: Sequence[Pin], hidden: Sequence[str]) -> Curation:
    """Return a curation for a query as somebody wrote it."""
    return Curation(key_of(query), contains, tuple(pins), tuple(hidden))


def _check(it: Curation, where: str) -> None:
    if not it.query:
        raise InvalidRequest("it must have a word", field=f"{where}.query")
    if not (it.pins or it.hidden):
        raise InvalidRequest("there must be pins, or hidden", field=where)
    if len(it.pins) > MAX_PINS:
        raise InvalidRequest(f"there may be {MAX_PINS}, not {len(it.pins)}", field=f"{where}.pins")
    if len(it.hidden) > MAX_HIDDEN:
        text = f"there may be {MAX_HIDDEN}, not {len(it.hidden)}"
        raise InvalidRequest(text, field=f"{where}.hidden")
    for number, pin in enumerate(it.pins):
        if not 0 <= pin.position < MAX_POSITION:
            text = f"0 to {MAX_POSITION - 1}, not {pin.position}"
            raise InvalidRequest(text, field=f"{where}.pins[{number}].position")
        if not pin.id:
            raise InvalidRequest("it is required", field=f"{where}.pins[{number}].id")
    if "" in it.hidden:
        number = it.hidden.index("")
        raise InvalidRequest("an empty id is none", field=f"{where}.hidden[{number}]")
