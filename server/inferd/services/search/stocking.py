"""Documents that come and go, and what is known of them.

To make documents safe takes a while, and those that come meanwhile can be made safe together. So a
stream is read on before what was read is answered.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from itertools import islice
from typing import Final

from inferd.call import Call
from inferd.errors import InvalidRequest, Violation
from inferd.services.features.batch import Batch, checked
from inferd.services.search.answers import document
from inferd.services.search.documents import NewDocument, ids_checked
from inferd.services.search.index import TextIndex
from inferd.services.search.text_query import Value
from inferd.v1 import search_pb2 as pb

MAX_READ: Final = 100
AT_ONCE: Final = 8
"""Requests of a stream that wait to be safe. No more are read then."""
_RESULT = pb.IndexDocumentsResponse.Result


class Stocking:
    """Answers what is about documents. Lives on the event loop."""

    def __init__(self, index: Callable[[], TextIndex], *, most: int) -> None:
        """Take at most so many in a request. `index` is there once it is open."""
        self._index = index
        self._most = most
        #: Documents by what became of them.
        self.counts: Counter[str] = Counter()

    async def stream(
        self, requests: AsyncIterator[pb.IndexDocumentsRequest]
    ) -> AsyncGenerator[pb.IndexDocumentsResponse, None]:
        """Index what is streamed in; every request is answered when its documents are safe.

        Raises `InferdError`.
        """
        under_way: deque[asyncio.Task[pb.IndexDocumentsResponse]] = deque()
        coming: asyncio.Task[pb.IndexDocumentsRequest | None] | None = None
        ended = False
        try:
            while under_way or not ended:
                if coming is None and not ended and len(under_way) < AT_ONCE:
                    coming = asyncio.create_task(_next(requests))
                waiting = [each for each in (coming, *islice(under_way, 1)) if each is not None]
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if coming is not None and coming.done():
                    request, coming = coming.result(), None
                    if request is None:
                        ended = True
                    else:  # checked here and not there, so that the index gets them in order
                        batch = await self._checked(request)
                        under_way.append(asyncio.create_task(self._indexed(batch)))
                while under_way and under_way[0].done():
                    yield under_way.popleft().result()
        finally:
            left = [each for each in (coming, *under_way) if each is not None]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _checked(self, request: pb.IndexDocumentsRequest) -> Batch[NewDocument]:
        try:
            return await checked(request.documents, self._new, field="documents", most=self._most)
        except InvalidRequest as error:  # there is nothing in it, or too much
            return Batch[NewDocument]([], [error] * len(request.documents))

    async def _indexed(self, batch: Batch[NewDocument]) -> pb.IndexDocumentsResponse:
        index = self._index()
        epoch = await index.add(batch.good) if batch.good else index.epoch
        self.counts["INDEXED"] += len(batch.good)
        self.counts["REJECTED"] += len(batch.problems) - len(batch.good)
        return pb.IndexDocumentsResponse(
            results=[
                _RESULT(status=pb.IndexDocumentsResponse.INDEXED)
                if problem is None
                else _RESULT(
                    status=pb.IndexDocumentsResponse.REJECTED,
                    problems=[f"{it.field}: {it.description}" for it in problem.violations],
                )
                for problem in batch.problems
            ],
            index_epoch=epoch,
        )

    async def delete(
        self, request: pb.DeleteDocumentsRequest, _: Call
    ) -> pb.DeleteDocumentsResponse:
        """Take documents away. Raises `InferdError`."""
        ids = self._ids(request.ids, self._most)
        deleted = await self._index().delete(ids)
        self.counts["DELETED"] += sum(deleted)
        return pb.DeleteDocumentsResponse(deleted=deleted, index_epoch=self._index().epoch)

    async def get(self, request: pb.GetDocumentsRequest, call: Call) -> pb.GetDocumentsResponse:
        """Return documents. Raises `InferdError`."""
        ids = self._ids(request.ids, MAX_READ)
        index = self._index()
        found = await index.get(ids, call.deadline)
        return pb.GetDocumentsResponse(
            documents=[document(found[id]) for id in dict.fromkeys(ids) if id in found],
            index_epoch=index.epoch,
        )

    def _new(self, message: pb.Document, field: str) -> NewDocument:
        given = {name: _given(value) for name, value in message.fields.items()}
        if wrong := [
            Violation(f"{field}.fields.{name[:64]}", "there must be a value")
            for name, value in message.fields.items()
            if value.WhichOneof("value") is None
        ]:
            raise InvalidRequest(wrong[0].description, violations=wrong)
        made = self._index().documents.checked(message.id, given)
        if isinstance(made, NewDocument):
            return made
        wrong = [Violation(f"{field}.{each.field}", each.description) for each in made]
        raise InvalidRequest("; ".join(each.description for each in wrong), violations=wrong)

    def _ids(self, ids: Sequence[str], most: int) -> Sequence[str]:
        if not 1 <= len(ids) <= most:
            raise InvalidRequest(f"there must be 1 to {most}, not {len(ids)}", field="ids")
        ids_checked(ids)
        return ids


Given = Mapping[str, Value | Sequence[str]]


def _given(value: pb.DocumentValue) -> Value | Sequence[str]:
    match value.WhichOneof("value"):
        case "number":
            return value.number
        case "flag":
            return value.flag
        case "texts":
            return tuple(value.texts.texts)
        case _:
            return value.text


async def _next(
    requests: AsyncIterator[pb.IndexDocumentsRequest],
) -> pb.IndexDocumentsRequest | None:
    return await anext(requests, None)
