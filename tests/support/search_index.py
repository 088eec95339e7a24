"""A small index of things to buy, and what a plain reading says should be found in it."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from inferd.config.search.index import IndexField, SearchIndex
from inferd.services.search.documents import NewDocument
from inferd.services.search.index import TextIndex
from inferd.services.search.index_open import opened
from inferd.services.search.text_query import Alternative, Retrieved, TextQuery, Word
from inferd.services.search.words import words_of

FIELDS = {
    "title": IndexField(type="text", boost=3.0),
    "about": IndexField(type="text"),
    "brand": IndexField(type="keyword", facet=True, sortable=True),
    "tags": IndexField(type="keyword", facet=True),
    "price": IndexField(type="number", facet=True, sortable=True),
    "new": IndexField(type="flag", facet=True, sortable=True),
}
COLOURS = ("red", "blue", "green", "grey")
THINGS = ("shoe", "shirt", "phone", "lamp", "chair")


def settings(directory: Path | None = None, **more: Any) -> SearchIndex:
    """Return the configuration of the index."""
    return SearchIndex(**{"directory": directory, "fields": FIELDS, "commit_ms": 1.0, **more})


def document(index: TextIndex, id: str, **fields: Any) -> NewDocument:
    """Return a document that the index takes."""
    checked = index.documents.checked(id, fields)
    assert isinstance(checked, NewDocument), checked
    return checked


@asynccontextmanager
async def index_of(
    fields: dict[str, dict[str, Any]], directory: Path | None = None, **more: Any
) -> AsyncIterator[TextIndex]:
    """Open an index and put documents into it, unless there are none."""
    async with opened(settings(directory, **more)) as index:
        if fields:
            await index.add([document(index, id, **each) for id, each in fields.items()])
        yield index


def words(text: str, **more: Any) -> tuple[Word, ...]:
    """Return the words of a text, each required as it is."""
    return tuple(Word((Alternative(each, **more),)) for each in words_of(text))


async def found(index: TextIndex, text: str = "", **more: Any) -> tuple[str, ...]:
    """Return the ids of what is found."""
    return (await found_all(index, text, **more)).ids


async def found_all(index: TextIndex, text: str = "", **more: Any) -> Retrieved:
    """Return what is found."""
    return await index.search(TextQuery(words(text), **more))


def things(number: int, seed: int) -> dict[str, dict[str, Any]]:
    """Return documents with few different values, so that many are equal, and gaps."""
    rng = random.Random(seed)
    return {f"p{each:03}": _thing(rng) for each in rng.sample(range(1000), number)}


def _thing(rng: random.Random) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "title": f"{rng.choice(COLOURS)} {rng.choice(THINGS)}",
        "about": " ".join(rng.choices((*COLOURS, *THINGS, "small", "large"), k=5)),
        "tags": rng.sample(COLOURS, rng.randrange(3)),
        "brand": rng.choice(("Acme", "Brown & Co", "Ünder")),
        "price": rng.choice((0.0, 9.99, 10.0, 250.0)),
        "new": rng.random() < 0.5,
    }
    for name in ("tags", "brand", "price", "new"):
        if rng.random() < 0.2:
            del fields[name]
    return fields


def sorted_by(
    documents: dict[str, dict[str, Any]], keys: Sequence[tuple[str, bool]]
) -> tuple[str, ...]:
    """Return the ids in an order by fields: what has no value last, what is equal by id."""
    ids = sorted(documents)
    for name, descending in reversed(keys):
        having = [id for id in ids if name in documents[id]]
        by_value = {id: documents[id][name] for id in having}
        having.sort(key=by_value.__getitem__, reverse=descending)  # keeps the order of equals
        ids = having + [id for id in ids if name not in documents[id]]
    return tuple(ids)


async def write_for_ever(directory: Path) -> None:
    """Index documents, delete some and rebuild; print what was acknowledged."""
    async with opened(settings(directory, commit_ms=5.0)) as index, asyncio.TaskGroup() as tasks:
        tasks.create_task(rebuild_for_ever(index))
        for number in count(0, 5):
            some = range(number, number + 5)
            await index.add([document(index, f"d{each}", title=f"word{each}") for each in some])
            sys.stdout.write("".join(f"+d{each}\n" for each in some))
            await index.delete([f"d{number}"])
            sys.stdout.write(f"-d{number}\n")
            sys.stdout.flush()


async def rebuild_for_ever(index: TextIndex) -> None:
    """Rebuild the index again and again."""
    while True:
        await index.rebuild()
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(write_for_ever(Path(sys.argv[1])))
