"""The index of what can be found, while it changes.

One thread writes, a few search, and the event loop knows what they are about: which state of the
index is the newest, which older ones are kept for pages, what every word is worth. A change is
acknowledged when it is on the disk and the newest state has it, so whoever was told that a document
is indexed finds it.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from tantivy import Searcher

from inferd.config.search.index import SearchIndex
from inferd.deadline import NEVER, Clock, Deadline
from inferd.errors import Exhausted, InferdError, InvalidRequest, Unavailable
from inferd.services.search.documents import Documents, NewDocument
from inferd.services.search.index_home import Home
from inferd.services.search.index_threads import Threads
from inferd.services.search.index_words import Vocabulary
from inferd.services.search.pages import FIELD, Kept, PageExpired
from inferd.services.search.rebuild import catch_up, copy_all
from inferd.services.search.searching import Snapshot
from inferd.services.search.text_query import Filter, Retrieved, StoredDocument, TextQuery
from inferd.services.search.writing import Gathering, Writing
from inferd.services.search.writing_pen import Change, Gone, Pen, Written


class Rebuilt(NamedTuple):
    """What a rebuild came to."""

    documents: int
    seconds: float
    epoch: int


class TextIndex:
    """Documents that can be searched for and changed. Lives on the event loop; see `index_open`.

    What it does by itself it does in `tasks`.
    """

    def __init__(
        self,
        settings: SearchIndex,
        home: Home,
        pen: Pen,
        clock: Clock,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.schema = pen.layout.schema
        self.documents = Documents(self.schema, settings)
        self.vocabulary = Vocabulary(pen.words())
        self._settings = settings
        self._home = home
        self._layout = pen.layout
        self._clock = clock
        self._tasks = tasks
        self._pen = pen
        self._kept: Kept[Snapshot] = Kept(keep_s=settings.page_s, at_most=settings.page_snapshots)
        self._seen: dict[int, StoredDocument] = {}
        self._epoch = home.current.opened << 32
        self._newest = self._publish(pen)
        self._touched: set[str] | None = None
        self._rebuilding: asyncio.Task[Rebuilt | InferdError] | None = None
        self._one_writer = asyncio.Lock()
        self._threads = Threads(settings.search_threads, clock)
        self._closing = False
        gathering: Gathering[Change] = Gathering(
            wait_s=settings.commit_ms / 1000,
            enough=settings.commit_documents,
            at_most=settings.max_waiting,
        )
        #: What waits, and how often it was written.
        self.writing: Writing[Change, Written] = Writing(gathering, self._write, clock)
        self._running = tasks.create_task(self.writing.run(), name="index-writing")

    @property
    def epoch(self) -> int:
        """The number of the newest state: larger than any before, those of earlier starts too."""
        return self._newest.epoch

    @property
    def count(self) -> int:
        """How many documents there are."""
        return self._newest.documents

    @property
    def segments(self) -> int:
        """How many parts it is in."""
        return self._newest.segments

    async def add(self, documents: Sequence[NewDocument]) -> int:
        """Add documents, or replace those of the same ids; return the first epoch that has them.

        They are safe and can be found then. Raises `Exhausted`: the index is full, or too much
        waits; `Unavailable`: it cannot be written, and none of them is in it.
        """
        if self.count + self.writing.waiting + len(documents) > self._settings.max_documents:
            raise Exhausted(f"the index is full: it holds {self._settings.max_documents} documents")
        await self.writing.add(documents)
        return self.epoch

    async def delete(self, ids: Sequence[str]) -> list[bool]:
        """Take documents away; return of each whether it was there. Raises as `add`."""
        written, part = await self.writing.add([Gone(id) for id in ids])
        return written.existed[part]

    async def search(
        self, asked: TextQuery, deadline: Deadline = NEVER, epoch: int | None = None
    ) -> Retrieved:
        """Return what is found in the newest state, or in that of an epoch.

        Raises `InvalidRequest`, naming the field; `PageExpired`: the epoch is no more; `TimedOut`.
        """
        if asked.window > self._settings.max_window:
            raise InvalidRequest(
                f"page_size: at most {self._settings.max_window}", field="page_size"
            )
        if asked.offset + asked.window > self._settings.max_depth:
            raise InvalidRequest(
                f"{FIELD}: nothing is shown behind hit {self._settings.max_depth}", field=FIELD
            )
        snapshot = self.at(epoch)
        found = await self._threads.search(
            deadline, lambda: snapshot.search(asked, self._seen, self._clock, deadline)
        )
        self._remember(found.documents)
        return found

    async def get(
        self,
        ids: Sequence[str],
        deadline: Deadline = NEVER,
        epoch: int | None = None,
        filters: Sequence[Filter] = (),
    ) -> dict[str, StoredDocument]:
        """Return the documents of these ids that there are, and that pass. Raises as `search`."""
        snapshot = self.at(epoch)
        found = await self._threads.search(
            deadline, lambda: snapshot.find(ids, self._seen, filters)
        )
        self._remember([*found.values()])
        return found

    async def explain(
        self, asked: TextQuery, id: str, deadline: Deadline = NEVER
    ) -> tuple[str, str]:
        """Return how a document comes by the score of its words, in JSON, and why it is no hit.

        One of the two is empty. Why is "absent", "hidden", "no_word" or "filter:<its place>".
        """
        snapshot = self._newest
        return await self._threads.search(
            deadline, lambda: (snapshot.explain(asked, id), snapshot.lost(asked, id))
        )

    def at(self, epoch: int | None) -> Snapshot:
        """Return the newest state, or that of an epoch. Raises `PageExpired`."""
        if epoch is None:
            return self._newest
        snapshot = self._kept.get(epoch, self._clock())
        if snapshot is None:
            raise PageExpired(
                f"{FIELD}: the index has changed since; begin with the first page", field=FIELD
            )
        return snapshot

    def keep(self, epoch: int) -> bool:
        """Keep a state, of which somebody is told a page token now; return whether it is there."""
        return self._kept.prolong(epoch, self._clock())

    async def rebuild(self) -> Rebuilt:
        """Write the index anew beside the one in use, and swap them. Searches and changes go on.

        Raises `Unavailable`: it is being done already, or the disk is full; all is as before then.
        """
        if self._rebuilding is not None:
            raise Unavailable("the index is being rebuilt already", retry_after_s=10.0)
        self._rebuilding = self._tasks.create_task(self._rebuild(), name="index-rebuild")
        rebuilt = await asyncio.shield(self._rebuilding)  # whoever asked for it may leave
        if isinstance(rebuilt, InferdError):
            raise rebuilt
        return rebuilt

    async def size_bytes(self) -> int:
        """Return how large it is on the disk. 0: it is in memory."""
        return await asyncio.to_thread(self._home.size_bytes)

    async def close(self) -> None:
        """Write what waits, and wait for what is under way."""
        self._closing = True
        async with self._one_writer:  # so that no write is cut short
            self._running.cancel()
        await self.writing.flush()
        if self._rebuilding is not None:
            await self._rebuilding
        await self._threads.close()
        await asyncio.to_thread(self._pen.close)

    async def _write(self, changes: list[Change]) -> Written:
        async with self._one_writer:
            pen = self._pen
            if self._touched is not None:
                self._touched.update(change.id for change in changes)
            written = await self._threads.write(lambda: pen.write(changes))
            self._publish(pen)
            self.vocabulary.change(written.words)
            return written

    def _publish(self, pen: Pen) -> Snapshot:
        self._epoch += 1
        self._newest = Snapshot(
            self._epoch, pen.searcher, self._layout, self._settings.phrase_boost
        )
        self._kept.add(self._epoch, self._newest, self._clock())
        return self._newest

    def _remember(self, documents: Sequence[StoredDocument]) -> None:
        for each in documents:
            if each.number not in self._seen:
                self._seen[each.number] = each
        while len(self._seen) > self._settings.cached_documents:
            del self._seen[next(iter(self._seen))]

    async def _rebuild(self) -> Rebuilt | InferdError:
        began = self._clock()
        generation = self._home.current.generation + 1
        try:
            async with self._one_writer:
                self._touched = set()
                old = self._pen
                searcher = old.searcher
            pen, copied = await self._threads.rebuild(lambda: self._copied(generation, searcher))
            async with self._one_writer:
                await self._threads.write(lambda: self._switch(pen, generation))
                self._pen = pen
                self._publish(pen)
            await self._threads.rebuild(old.close)
        except InferdError as error:
            return error
        finally:
            self._touched = self._rebuilding = None
            await self._threads.rebuild(self._home.tidy)
        return Rebuilt(copied, self._clock() - began, self.epoch)

    def _copied(self, generation: int, searcher: Searcher) -> tuple[Pen, int]:
        try:
            pen = Pen(self._layout, self._home.path(generation), self._settings.writer_bytes)
        except (OSError, ValueError) as error:
            raise Unavailable(f"the index cannot be rebuilt: {error}") from error
        return pen, copy_all(searcher, self._layout.fields, pen, lambda: self._closing)

    def _switch(self, pen: Pen, generation: int) -> None:
        catch_up(self._pen, self._layout.fields, self._touched or set(), pen)
        self._home.switch(generation, self.schema.fingerprint)
