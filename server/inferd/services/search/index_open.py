"""The life of an index: opened before anything is served, closed when nothing is."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import tantivy

from inferd.config.search.index import SearchIndex
from inferd.deadline import Clock
from inferd.errors import InferdError, LoadFailed
from inferd.services.search.index import TextIndex
from inferd.services.search.index_home import Home
from inferd.services.search.index_layout import Layout
from inferd.services.search.rebuild import copy_all
from inferd.services.search.schema import IndexSchema
from inferd.services.search.writing_pen import Pen


@asynccontextmanager
async def opened(settings: SearchIndex, clock: Clock = time.monotonic) -> AsyncIterator[TextIndex]:
    """Open the index of a directory, or a new one, and write what it is given meanwhile.

    One that was written with other fields is rebuilt first, from its documents as they were given.
    Raises `LoadFailed`: another server writes it, or it cannot be read.
    """
    layout = Layout(IndexSchema(settings.fields))
    home = await asyncio.to_thread(Home, settings.directory, layout.schema.fingerprint)
    try:
        pen = await asyncio.to_thread(_pen, home, layout, settings.writer_bytes)
        async with asyncio.TaskGroup() as tasks:
            index = TextIndex(settings, home, pen, clock, tasks)
            try:
                yield index
            finally:
                await index.close()
    finally:
        home.close()


def _pen(home: Home, layout: Layout, heap_bytes: int) -> Pen:
    path = home.path(home.current.generation)
    try:
        if home.current.fingerprint == layout.schema.fingerprint:
            return Pen(layout, path, heap_bytes)
        return _rewritten(home, layout, heap_bytes)
    except (OSError, ValueError, InferdError) as error:
        raise LoadFailed(f"search.index.directory: {path} cannot be opened: {error}") from error


def _rewritten(home: Home, layout: Layout, heap_bytes: int) -> Pen:
    before = tantivy.Index.open(str(home.path(home.current.generation)))
    generation = home.current.generation + 1
    pen = Pen(layout, home.path(generation), heap_bytes)
    copy_all(before.searcher(), before.schema, pen)
    home.switch(generation, layout.schema.fingerprint)
    home.tidy()
    return pen
