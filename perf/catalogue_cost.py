"""What a catalogue costs: to load, to change, to filter, and each source of candidates.

    python perf/catalogue_cost.py [--items 100000] [--index]

Times are of the thread's CPU, medians unless said otherwise, so that they can be read on a busy
machine, too; loading is timed by the clock. "at a time" is the longest that others wait while a
thousand items come. Memory is what this process grew by.
"""

import argparse
import asyncio
import gc
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter, process_time, thread_time

import numpy as np
import psutil

from inferd.config.recommendation.catalogue import Behaviour as BehaviourSettings
from inferd.config.recommendation.sources import Sources as SourceSettings
from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.catalogue import Catalogue, Item
from inferd.services.recommendation.columns import Table
from inferd.services.recommendation.filters import AnyOf, Between, Filter, mask_of
from inferd.services.recommendation.items import Vectors
from inferd.services.recommendation.keeping import KeptCatalogue
from inferd.services.recommendation.snapshot import CatalogueFiles
from inferd.services.recommendation.sources import Seen, Wanted
from inferd.services.recommendation.sources_declared import made, quotas
from inferd.services.recommendation.vocabulary import Act

S = 1_000_000
NOW = 1_700_000_000 * S
DIMENSIONS = 32
BATCH = 1000
COLOURS = ("red", "green", "blue", "black", "white")


def items_of(count: int) -> list[Item]:
    """Return items as those of a shop."""
    rng = Random(1)
    return [
        Item(
            id=f"i{number:06d}",
            title=f"Brand{number % 400} {COLOURS[number % 5]} thing {number}",
            description="A thing of good quality, which lasts for years. " * 4,
            category=f"category{number % 60}",
            brand=f"brand{number % 400}",
            merchant=f"m{number % 900}",
            price_minor=rng.randrange(500, 50_000),
            currency="EUR",
            stock=rng.randrange(100),
            released_us=NOW - rng.randrange(400) * 86_400 * S,
            tags=(f"tag{number % 30}", f"tag{number % 7}"),
            attributes={"colour": COLOURS[number % 5], "weight": float(number % 50)},
        )
        for number in range(count)
    ]


def vectors_of(count: int) -> Vectors:
    """Return clustered vectors."""
    rng = np.random.default_rng(2)
    centres = rng.normal(size=(200, DIMENSIONS))
    spread = 0.5 * rng.normal(size=(count, DIMENSIONS))
    return (centres[rng.integers(0, 200, count)] + spread).astype(np.float32)


def lived(items: int, events: int) -> Behaviour:
    """Return what everybody did with items, few of which are popular."""
    behaviour, rng = Behaviour(BehaviourSettings(), max_items=items), Random(3)
    acts = (Act.IMPRESSION,) * 6 + (Act.VIEW, Act.CLICK, Act.CART, Act.PURCHASE)
    for number in range(events):
        item = f"i{int(rng.paretovariate(0.7)) % items:06d}"
        at_us = NOW - (events - number) * S // 10
        behaviour.record(f"u{rng.randrange(10_000)}", item, rng.choice(acts), at_us)
    return behaviour


def line(what: str, value: float, unit: str) -> None:
    """Print a line of the table."""
    print(f"{what:44}{value:12.1f} {unit}")


def median_us(act: Callable[[], object], times: int = 200) -> float:
    """Return the microseconds that it takes."""
    act()
    taken = []
    for _ in range(times):
        began = thread_time()
        act()
        taken.append(thread_time() - began)
    return statistics.median(taken) * 1e6


async def stall(kept: KeptCatalogue, items: list[Item], vectors: Vectors) -> list[float]:
    """Return how long others waited in between, in seconds, while these items came."""
    change = asyncio.ensure_future(kept.upsert(items, vectors, NOW))
    waited = []
    while not change.done():
        began = thread_time()
        await asyncio.sleep(0)
        waited.append(thread_time() - began)
    return waited


async def changes(path: Path, items: list[Item], vectors: Vectors) -> Catalogue:
    """Measure what items cost that come and are replaced, and return them."""
    catalogue = Catalogue(dimensions=DIMENSIONS, max_items=len(items))
    files = CatalogueFiles(path, made_by="")
    files.load(catalogue)
    kept = KeptCatalogue(catalogue, files, snapshot_changes=len(items) // 2)
    batches = [slice(begin, begin + BATCH) for begin in range(0, len(items), BATCH)]
    for what, given in (("add", vectors), ("replace", -vectors)):
        began, waits = thread_time(), list[float]()
        for batch in batches:
            waits += await stall(kept, items[batch], given[batch])
        line(f"{what}, an item, with its journal", (thread_time() - began) / len(items) * 1e6, "us")
        waits.sort()
        line(f"{what} 1,000, at a time: p99.9", 1e3 * waits[int(0.999 * len(waits))], "ms")
        line(f"{what} 1,000, at a time: most", 1e3 * waits[-1], "ms")
    await kept.close()
    return catalogue


def loading(path: Path, count: int) -> Catalogue:
    """Measure what it takes to start, and return what was loaded."""
    gc.collect()
    before = psutil.Process().memory_info().rss
    began, worked = perf_counter(), thread_time()
    catalogue = Catalogue(dimensions=DIMENSIONS, max_items=count)
    files = CatalogueFiles(path, made_by="")
    files.load(catalogue)
    line("load all", perf_counter() - began, "s")
    line("load all, CPU", thread_time() - worked, "s")
    files.close()
    grown = psutil.Process().memory_info().rss - before
    line("memory, of items", grown / 2**20, "MiB")
    line("memory, of an item", grown / count, "bytes")
    return catalogue


def filters(table: Table) -> None:
    """Measure what masks cost."""
    cases = {
        "category": Filter("category", AnyOf(("category7",))),
        "price": Filter("price_minor", Between(1000, 5000)),
        "20 brands": Filter("brand", AnyOf(tuple(f"brand{n}" for n in range(20)))),
        "tag": Filter("tags", AnyOf(("tag5",))),
        "colour": Filter("attributes.colour", AnyOf(("red",))),
        "title": Filter("title", AnyOf(("nothing",))),
    }
    some = np.random.default_rng(1).permutation(table.size)[:500]
    for what, each in cases.items():
        line(f"mask of 500 rows, {what}", median_us(partial(mask_of, [each], table, some)), "us")
    every = np.arange(table.size)
    for what in ("category", "price"):
        taken = median_us(partial(mask_of, [cases[what]], table, every), 20)
        line(f"mask of all, {what}", taken, "us")


async def sources(
    catalogue: Catalogue, behaviour: Behaviour, vectors: Vectors, *, index: bool
) -> None:
    """Measure each source; `index`: also with an index of vectors, which takes long to make."""
    settings = SourceSettings()
    every, of = made(settings, catalogue, behaviour), quotas(settings)
    table = catalogue.table
    eligible = table.alive & (table.stock != 0)
    rng = Random(5)
    history = [Seen(f"i{rng.randrange(len(catalogue)):06d}", Act.CLICK, NOW) for _ in range(30)]

    def wanted() -> Wanted:
        return Wanted(
            table=table,
            user_vector=vectors[rng.randrange(len(vectors))],
            history=history,
            now_us=NOW,
            random=rng,
            eligible=eligible,
        )

    def report(name: str) -> None:
        source = next(each for each in every if each.name == name)
        line(f"{name}, {of[name]}", median_us(lambda: source.find(wanted(), of[name])), "us")

    for source in every:
        report(source.name)
    now_us = NOW

    def later() -> None:
        nonlocal now_us
        now_us += 10 * S
        every.trending.find(replace(wanted(), now_us=now_us), 60)

    line("trending: found out anew, every 2 s", median_us(later, 20), "us")
    if index and len(catalogue) > settings.vectors.exact_up_to:
        began = process_time()
        await every.vectors.rebuild()
        line("vectors: make the index, in a thread", process_time() - began, "s")
        print("with the index:")
        report("vectors")


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--index", action="store_true")
    given = parser.parse_args()
    count = given.items
    items, vectors = items_of(count), vectors_of(count)
    gc.freeze()  # these are not the catalogue's
    print(f"{count} items, vectors of {DIMENSIONS}")
    with tempfile.TemporaryDirectory() as made_here:
        await changes(Path(made_here), items, vectors)
        catalogue = loading(Path(made_here), count)
    filters(catalogue.table)
    before = psutil.Process().memory_info().rss
    began = thread_time()
    behaviour = lived(count, 100_000)
    line("record an interaction", (thread_time() - began) / 100_000 * 1e6, "us")
    line("memory, of behaviour", (psutil.Process().memory_info().rss - before) / 2**20, "MiB")
    await sources(catalogue, behaviour, vectors, index=given.index)


if __name__ == "__main__":
    asyncio.run(main())
