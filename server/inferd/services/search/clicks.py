"""What users do with what they found: checked, counted once, and told to who wants to know.

Counting is in memory, and so fast that nobody waits; it is written from time to time
(`cache.kept`). Of the last ids of events it is known that they were counted.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from inferd.cache.local import Local
from inferd.call import Call
from inferd.deadline import Deadline
from inferd.errors import InferdError, InvalidRequest, Violation
from inferd.services.features.batch import checked
from inferd.services.search.behaviour import HALF_LIVES, Act
from inferd.services.search.documents import MAX_ID_BYTES
from inferd.services.search.index import TextIndex
from inferd.services.search.query.normal import MAX_CHARACTERS
from inferd.services.search.questions import wrong_text
from inferd.services.search.text_query import StoredDocument
from inferd.v1 import search_pb2 as pb

AHEAD_US: Final = 60_000_000
"""How far ahead of this server's clock a click may be."""
OLDEST_US: Final = 4 * HALF_LIVES["30d"]
REMEMBERED: Final = 100_000
REMEMBERED_S: Final = 86_400.0
MAX_POSITION: Final = 1_000_000
MAX_TEXT_BYTES: Final = 128
_ACTS = {
    pb.Click.CLICK: Act.CLICK,
    pb.Click.CART: Act.CART,
    pb.Click.PURCHASE: Act.PURCHASE,
}
_RESPONSE = pb.RecordClickResponse


class Click(NamedTuple):
    """What a user did with a document."""

    document_id: str
    query: str
    user_id: str
    request_id: str
    #: Among all hits, from 0.
    position: int
    act: Act
    #: In microseconds since 1970.
    time_us: int
    event_id: str


Listener = Callable[[Click, StoredDocument | None], None]
"""Is told what was counted, with the document if there is such a one. Does not raise."""


class Clicks:
    """Counts clicks. Lives on the event loop."""

    def __init__(
        self,
        index: Callable[[], TextIndex],
        *,
        most: int,
        listeners: Sequence[Listener],
        now_us: Callable[[], int],
    ) -> None:
        """Take at most so many in a request."""
        self._index = index
        self._most = most
        self._listeners = listeners
        self._now_us = now_us
        self._events: Local[bool] = Local(max_entries=REMEMBERED, policy="fifo")
        #: By what was done and what became of it.
        self.counts: Counter[tuple[str, str]] = Counter()

    async def record(self, request: pb.RecordClickRequest, call: Call) -> pb.RecordClickResponse:
        """Count what a request says. Raises `InvalidRequest` if none of it can be counted."""
        batch = await checked(request.clicks, self._click, field="clicks", most=self._most)
        if not batch.good:
            raise batch.refusal()
        documents = await self._documents(batch.good, call.deadline)
        counted: list[pb.RecordClickResponse.Status] = []
        for each in batch.good:
            counted.append(self._counted(each, documents))
            await asyncio.sleep(0)  # a query takes a while to be understood: others have deadlines
        statuses = iter(counted)
        return _RESPONSE(
            results=[
                _RESPONSE.Result(status=next(statuses))
                if problem is None
                else _RESPONSE.Result(
                    status=_RESPONSE.REJECTED,
                    problems=[f"{it.field}: {it.description}" for it in problem.violations],
                )
                for problem in batch.problems
            ]
        )

    async def _documents(
        self, clicks: Sequence[Click], deadline: Deadline
    ) -> dict[str, StoredDocument]:
        """Return what was clicked, as far as it can be told in time: counting needs none of it."""
        ids = [*dict.fromkeys(each.document_id for each in clicks)]
        try:
            return await self._index().get(ids, deadline)
        except InferdError:
            return {}

    def _counted(
        self, click: Click, documents: dict[str, StoredDocument]
    ) -> "pb.RecordClickResponse.Status":
        status = self._status(click)
        self.counts[click.act.name.lower(), _RESPONSE.Status.Name(status)] += 1
        if status == _RESPONSE.ADDED:
            for listener in self._listeners:
                listener(click, documents.get(click.document_id))
        return status

    def _status(self, click: Click) -> "pb.RecordClickResponse.Status":
        now_us = self._now_us()
        if click.time_us < now_us - OLDEST_US:
            return _RESPONSE.TOO_OLD
        if click.event_id:
            now = now_us / 1e6
            if self._events.get(click.event_id, now) is not None:
                return _RESPONSE.DUPLICATE
            self._events.put(click.event_id, True, now=now, ttl_s=REMEMBERED_S)
        return _RESPONSE.ADDED

    def _click(self, message: pb.Click, field: str) -> Click:
        now_us = self._now_us()
        wrong = [*_problems(message, field, now_us)]
        if wrong:
            raise InvalidRequest("; ".join(each.description for each in wrong), violations=wrong)
        return Click(
            document_id=message.document_id,
            query=message.query,
            user_id=message.user_id,
            request_id=message.request_id,
            position=message.position,
            act=_ACTS[message.type],
            time_us=min(message.time_us or now_us, now_us),
            event_id=message.event_id,
        )


def _problems(message: pb.Click, field: str, now_us: int) -> Iterator[Violation]:
    yield from wrong_text(message.document_id, f"{field}.document_id", MAX_ID_BYTES, least=1)
    yield from wrong_text(message.user_id, f"{field}.user_id", MAX_ID_BYTES)
    for name in ("request_id", "event_id"):
        yield from wrong_text(getattr(message, name), f"{field}.{name}", MAX_TEXT_BYTES)
    if len(message.query) > MAX_CHARACTERS:
        text = f"at most {MAX_CHARACTERS} characters are taken, not {len(message.query)}"
        yield Violation(f"{field}.query", text)
    if not 0 <= message.position <= MAX_POSITION:
        text = f"places are counted from 0, up to {MAX_POSITION}; not {message.position}"
        yield Violation(f"{field}.position", text)
    if message.type not in _ACTS:
        yield Violation(f"{field}.type", "it is one of CLICK, CART and PURCHASE")
    if message.time_us < 0 or message.time_us > now_us + AHEAD_US:
        text = f"microseconds since 1970, up to now, are needed, not {message.time_us}"
        yield Violation(f"{field}.time_us", text)
