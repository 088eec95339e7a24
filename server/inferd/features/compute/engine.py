"""Computes features from others while somebody waits: what is independent at once, within a budget.

What is read comes first, for all entities together; what is computed in memory follows as soon as
it can, and what is looked up elsewhere runs beside everything else. When the time is over, what is
not there yet is given up, and its declared default stands in, also for whatever depends on it: one
slow table costs an answer one ingredient. Only where a required feature cannot come any more is
there nothing left to wait for.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

from inferd.call import Call
from inferd.deadline import Clock, Deadline
from inferd.errors import InferdError
from inferd.features.compute.plan import Plan
from inferd.features.compute.work import Rows, Wanted, Work
from inferd.features.kinds import Held
from inferd.features.values import Found, Lookup

RESERVE_S = 0.001
"""Kept back of the time, to put an answer together with what there is."""
TURN_S = 0.002
"""For so long entities are computed before others have their turn."""

Read = Callable[[Call, Deadline, Sequence[Lookup]], Awaitable[Sequence[Found]]]
"""Reads views: what is known of them by the deadline. Never raises `InferdError`."""


class TableSource(Protocol):
    """Where a table's rows are."""

    @property
    def rows(self) -> Rows | None:
        """All of them, where they are at hand: then nobody asks for them."""

    async def get(self, call: Call, deadline: Deadline, keys: Sequence[Held]) -> Rows:
        """Return the rows that there are of different keys. Raises `InferdError`."""


class Engine:
    """Computes views. Lives on the event loop."""

    def __init__(
        self,
        plan: Plan,
        tables: Mapping[str, TableSource],
        read: Read,
        *,
        max_latency_s: float,
        clock: Clock,
        now_us: Callable[[], int],
    ) -> None:
        """Read other views by `read`; wait `max_latency_s` at most, or less if there is less."""
        self._plan = plan
        self._tables = tables
        self._at_hand = {
            name: table.rows for name, table in tables.items() if table.rows is not None
        }
        self._read = read
        self._max_latency_s = max_latency_s
        self._clock = clock
        self._now_us = now_us

    async def fetch(
        self,
        call: Call,
        deadline: Deadline,
        lookups: Sequence[Lookup],
        *,
        part_by_part: bool = False,
    ) -> list[Found]:
        """Return what is known of computed views by the deadline, in the order of `lookups`.

        `part_by_part`: others will ask for parts of it, so that it is worth something although
        something required is lacking.
        """
        now = self._clock()
        ends = Deadline(max(now, deadline.at - RESERVE_S))
        works = [
            Work(each, self._plan.recipe(each.view, each.places), self._at_hand) for each in lookups
        ]
        until = ends.tightened(self._max_latency_s, now=now)
        run = _Run(call, until, self._tables, forsakes=not part_by_part)
        try:
            # What needs only what the caller says is looked up beside what is read.
            run.go_on(work for work in works if work.said)
            if bases := [base for work in works for base in work.bases]:
                found = iter(await self._read(call, until, bases))
                for work in works:
                    work.take([next(found) for _ in work.bases])
            await self._compute(run, deque(works), ends)
            await self._wait_for_rows(run)
        finally:
            run.give_up()
        now_us = self._now_us()
        return [work.found(now_us) for work in works]

    async def _compute(self, run: "_Run", works: deque[Work], ends: Deadline) -> None:
        """Compute what can be; what there is no time for is left."""
        while works:
            began = self._clock()
            run.go_on(self._for_a_turn(works, began))
            # Only waiting is limited to less than the caller's deadline.
            run.until = min(ends, Deadline(run.until.at + self._clock() - began))
            if works:
                await asyncio.sleep(0)  # others have deadlines, too
                if ends.remaining(self._clock()) <= 0:
                    for work in works:
                        work.leave()
                    return

    def _for_a_turn(self, works: deque[Work], began: float) -> Iterator[Work]:
        while works:
            yield works.popleft()
            if self._clock() - began >= TURN_S:
                return

    async def _wait_for_rows(self, run: "_Run") -> None:
        """Go on with what is looked up, until all is there or the time is over."""
        while run.waiting:
            done, _ = await asyncio.wait(
                run.waiting,
                timeout=max(0.0, run.until.remaining(self._clock())),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not done:
                return
            run.go_on(run.settled(done))


class _Run:
    """The look-ups of one call: one for each row, however many need it."""

    def __init__(
        self, call: Call, until: Deadline, tables: Mapping[str, TableSource], *, forsakes: bool
    ) -> None:
        """`forsakes`: an entity that lacks something required has nothing more looked up."""
        self._forsakes = forsakes
        self._call = call
        #: For so long rows are waited for.
        self.until = until
        self._tables = tables
        #: By table and key: who asks for the row, or has asked.
        self._asked: dict[tuple[str, Held], asyncio.Task[Rows]] = {}
        #: What is under way, and who waits for it.
        self.waiting: dict[asyncio.Task[Rows], list[tuple[Work, Wanted]]] = {}

    def go_on(self, works: Iterable[Work]) -> None:
        """Take all steps that can be taken, and have looked up what others need."""
        wanted: list[tuple[Work, Wanted]] = []
        hopeless = set()
        for work in works:
            wants = work.advance()
            if self._forsakes and work.hopeless:
                hopeless.add(work)
            else:
                wanted += [(work, want) for want in wants]
        if hopeless:
            self._forsake(hopeless)
        if wanted:
            self._ask(dict.fromkeys((want.table.name, want.key) for _, want in wanted))
            for work, want in wanted:
                task = self._asked[want.table.name, want.key]
                self.waiting.setdefault(task, []).append((work, want))

    def settled(self, done: Iterable[asyncio.Task[Rows]]) -> Iterable[Work]:
        """Take in what was looked up; return whose it is."""
        works: dict[Work, None] = {}
        for task in done:
            failed = task.cancelled() or isinstance(task.exception(), InferdError)
            for work, want in self.waiting.pop(task):
                works[work] = None
                if failed:
                    work.fail(want.number)
                else:
                    work.looked_up(want.number, task.result().get(want.key))
        return works

    def give_up(self) -> None:
        """Stop what is still under way."""
        for task in self.waiting:
            _stop(task)

    def _ask(self, rows: Iterable[tuple[str, Held]]) -> None:
        """Have those rows looked up that are not yet."""
        keys: dict[str, list[Held]] = {}
        for row in rows:
            if row not in self._asked:
                keys.setdefault(row[0], []).append(row[1])
        for name, its in keys.items():
            asked = self._tables[name].get(self._call, self.until, its)
            task = asyncio.create_task(asked, name=f"table {name}")
            self._asked.update(((name, key), task) for key in its)

    def _forsake(self, hopeless: AbstractSet[Work]) -> None:
        """Look up nothing more for these alone."""
        for task, waiting in [*self.waiting.items()]:
            self.waiting[task] = [each for each in waiting if each[0] not in hopeless]
            if not self.waiting[task]:
                del self.waiting[task]
                self._asked = {row: it for row, it in self._asked.items() if it is not task}
                _stop(task)


def _stop(task: asyncio.Task[Rows]) -> None:
    task.cancel()
    task.add_done_callback(_unheeded)


def _unheeded(task: asyncio.Task[Rows]) -> None:
    """Look at how it ended, because nobody else does, and asyncio would complain."""
    if not task.cancelled():
        task.exception()
