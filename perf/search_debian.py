"""All of Debian's packages in the text index: how fast they are in it, found, and found rightly.

    PYTHONPATH=examples .venv/bin/python perf/search_debian.py

Needs a machine with apt. Queries are known items: words of a description, and names with a typing
error (examples/debian_packages.py).
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from debian_packages import FIELDS, KnownItem, described, dumped, is_there, mistyped, packages
from debian_search import Desk, put
from inferd.config.search.index import SearchIndex
from inferd.services.search.index_open import opened

QUERIES = 500


async def measured(directory: Path) -> None:
    """Index everything, ask, and print what came of it."""
    said = [*packages(dumped())]
    async with opened(SearchIndex(fields=FIELDS, directory=directory)) as index:
        began = time.perf_counter()
        count = await put(index, said)
        took = time.perf_counter() - began
        print(f"{count:,} packages indexed in {took:.1f} s, {count / took:,.0f} a second")
        began = time.perf_counter()
        desk = Desk(index, index.vocabulary.counts)
        terms = len(index.vocabulary.counts)
        print(f"{terms:,} words known in {time.perf_counter() - began:.1f} s")
        for name, items in (
            ("words of a description", described(said, QUERIES)),
            ("names with a typing error", mistyped(said, QUERIES)),
        ):
            found, as_written = await desk.quality(items), await desk.quality(items, verbatim=True)
            print(
                f"{name}: MRR {found.mrr:.3f}, recall@10 {found.recall:.3f};"
                f" taken as written {as_written.mrr:.3f}, {as_written.recall:.3f};"
                f" {await _times(desk, items)}"
            )


async def _times(desk: Desk, items: Sequence[KnownItem]) -> str:
    times = []
    for item in items:
        began = time.perf_counter()
        await desk.find(item.query)
        times.append(1e3 * (time.perf_counter() - began))
    half, most = np.percentile(times, [50, 99])
    return f"p50 {half:.2f} ms, p99 {most:.2f} ms"


if __name__ == "__main__":
    if not is_there():
        sys.exit("there is no apt on this machine that knows packages")
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(measured(Path(made)))
