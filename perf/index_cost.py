"""What the text index costs: to build, to search by kind of query, to change while it is searched.

    python perf/index_cost.py [documents]

50,000 documents unless told otherwise, of words as frequent as words are (Zipf), in a directory for
the time of the run. First the build; then each kind of query alone; then for ten seconds 100
documents a second are written one by one while queries are made at a steady rate. "After ack" is
how long it takes until a document that was acknowledged has been found.
"""

import asyncio
import random
import sys
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from statistics import quantiles
from time import perf_counter

from inferd.config.search.index import IndexField, SearchIndex
from inferd.services.search.documents import NewDocument
from inferd.services.search.index import TextIndex
from inferd.services.search.index_open import opened
from inferd.services.search.text_query import (
    Alternative,
    Between,
    Equals,
    Facet,
    Sort,
    TextQuery,
    Word,
)

FIELDS = {
    "title": IndexField(type="text", boost=3.0),
    "about": IndexField(type="text"),
    "brand": IndexField(type="keyword", facet=True, sortable=True),
    "price": IndexField(type="number", sortable=True),
    "stock": IndexField(type="flag", facet=True),
}
WORDS = 30_000
AT_ONCE = 1000
SEARCHES = 300
COMMITS = 20
COMMIT_MS = 200.0
SECONDS = 10.0
QUERIES_PER_S = 50
DOCUMENTS_PER_S = 100


class Texts:
    """Texts and queries of made-up words."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def word(self) -> str:
        """Return a word, the frequent ones often."""
        return f"w{int(WORDS ** self._rng.random())}"

    def rare(self) -> str:
        """Return a word, any of them as often."""
        return f"w{self._rng.randrange(1000, WORDS)}"

    def text(self, count: int) -> str:
        """Return so many words."""
        return " ".join(self.word() for _ in range(count))

    def document(self, index: TextIndex, id: str) -> NewDocument:
        """Return a document."""
        fields: dict[str, str | float | bool] = {
            "title": self.text(6),
            "about": self.text(40),
            "brand": f"brand {self._rng.randrange(200)}",
            "price": float(self._rng.randrange(100, 100_000)),
            "stock": self._rng.random() < 0.9,
        }
        checked = index.documents.checked(id, fields)
        assert isinstance(checked, NewDocument), checked
        return checked


def kinds(texts: Texts) -> dict[str, Callable[[], TextQuery]]:
    """Return what makes a query of each kind, of 100 hits."""
    cheap, new = Between("price", at_most=20_000), Equals("stock", True)

    def two() -> tuple[Word, ...]:
        return of(texts.word(), texts.rare())

    return {
        "one rare word": lambda: TextQuery(of(texts.rare())),
        "two words": lambda: TextQuery(two()),
        "any of two": lambda: TextQuery(tuple(replace(each, required=False) for each in two())),
        "five, synonyms": lambda: TextQuery(
            tuple(
                Word((Alternative(texts.word()), Alternative(texts.rare(), 0.8)), required=False)
                for _ in range(5)
            )
        ),
        "a beginning": lambda: TextQuery((Word((Alternative(texts.rare()[:4], prefix=True),)),)),
        "two, filters": lambda: TextQuery(two(), filters=(cheap, new)),
        "two, facets": lambda: TextQuery(two(), facets=(Facet("brand"), Facet("stock"))),
        "two, by price": lambda: TextQuery(two(), sort=(Sort("price"),)),
        "all, by brand and price": lambda: TextQuery(sort=(Sort("brand"), Sort("price", True))),
    }


def of(*words: str) -> tuple[Word, ...]:
    """Return these words, each required."""
    return tuple(Word((Alternative(each),)) for each in words)


async def timed(index: TextIndex, make: Callable[[], TextQuery]) -> list[float]:
    """Return the seconds of some searches, one after the other."""
    took = []
    for _ in range(SEARCHES):
        query = make()
        began = perf_counter()
        await index.search(query)
        took.append(perf_counter() - began)
    return took


async def at_a_rate(per_s: float, act: Callable[[], Coroutine[None, None, None]]) -> None:
    """Act at a steady rate, however long that takes each time."""
    began = perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(per_s * SECONDS)):
            await asyncio.sleep(max(0.0, began + number / per_s - perf_counter()))
            tasks.create_task(act())


class Changing:
    """Documents are written one by one while queries are made."""

    def __init__(self, index: TextIndex, texts: Texts) -> None:
        self._index = index
        self._texts = texts
        self._number = 0
        self._query = kinds(texts)["two words"]
        self.acknowledged: list[float] = []
        self.visible: list[float] = []
        self.searched: list[float] = []
        self.missed = 0

    async def write(self) -> None:
        """Write a document, some of them in place of another; wait for it, and look for it."""
        self._number += 1
        id = f"p{self._number}"
        began = perf_counter()
        await self._index.add([self._texts.document(self._index, id)])
        told = perf_counter()
        self.missed += id not in await self._index.get([id])
        self.acknowledged.append(told - began)
        self.visible.append(perf_counter() - told)

    async def search(self) -> None:
        """Search for two words."""
        began = perf_counter()
        await self._index.search(self._query())
        self.searched.append(perf_counter() - began)


def show(what: str, seconds: list[float], unit: float = 1e6, name: str = "us") -> None:
    """Print the median and the 99th percentile."""
    shares = quantiles(seconds, n=100)
    print(f"{what:28}{shares[49] * unit:10.0f}{shares[98] * unit:10.0f} {name}")


async def built(index: TextIndex, texts: Texts, documents: int) -> None:
    """Build the index, and print how long it took."""
    began = perf_counter()
    for first in range(0, documents, AT_ONCE):
        last = min(first + AT_ONCE, documents)
        await index.add([texts.document(index, f"p{each}") for each in range(first, last)])
    took = perf_counter() - began
    size = await index.size_bytes() / 1e6
    print(f"{documents} documents in {took:.1f} s, {documents / took:.0f} a second;", end=" ")
    print(f"{size:.0f} MB, {len(index.vocabulary.counts)} words, {index.segments} segments")


async def commits(index: TextIndex, texts: Texts) -> list[float]:
    """Return the seconds of some commits of 10 documents, without the wait for them."""
    took = []
    for number in range(COMMITS):
        some = [texts.document(index, f"c{10 * number + each}") for each in range(10)]
        began = perf_counter()
        await index.add(some)
        took.append(perf_counter() - began - COMMIT_MS / 1000)
    return took


async def main(documents: int) -> None:
    """Print the figures."""
    texts = Texts(1)
    with tempfile.TemporaryDirectory() as directory:
        async with opened(
            SearchIndex(fields=FIELDS, directory=Path(directory), commit_ms=COMMIT_MS)
        ) as index:
            await built(index, texts, documents)
            print(f"\n{'searches, 100 hits':28}{'p50':>10}{'p99':>10}")
            for name, make in kinds(texts).items():
                show(name, await timed(index, make))
            show("a commit", await commits(index, texts), 1e3, "ms")
            changing = Changing(index, texts)
            print(f"\n{DOCUMENTS_PER_S} documents and {QUERIES_PER_S} queries a second")
            await asyncio.gather(
                at_a_rate(DOCUMENTS_PER_S, changing.write),
                at_a_rate(QUERIES_PER_S, changing.search),
            )
            show("two words meanwhile", changing.searched)
            show("until acknowledged", changing.acknowledged, 1e3, "ms")
            show("after ack until found", changing.visible, 1e3, "ms")
            print(f"{changing.missed} that were acknowledged were not found at once")
            rebuilt = await index.rebuild()
            print(f"rebuilt in {rebuilt.seconds:.1f} s, {index.segments} segments")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000))
