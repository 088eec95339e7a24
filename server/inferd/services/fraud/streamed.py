"""A stream of transactions: several are decided on at once, and answered in their order.

Whoever streams faster than is decided is not read any further. What is wrong with one transaction
is its own answer, and takes nothing from the others.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from itertools import islice

from inferd.call import Call
from inferd.deadline import Clock
from inferd.errors import InferdError, Internal
from inferd.services.fraud.assessing import Assessing
from inferd.services.fraud.engine import METHOD
from inferd.services.status import NAMES, code_of
from inferd.v1 import fraud_pb2 as pb

log = logging.getLogger(__name__)


async def in_order(
    requests: AsyncIterator[pb.AssessTransactionRequest],
    call: Call,
    assessing: Assessing,
    most: int,
    clock: Clock,
) -> AsyncGenerator[pb.AssessTransactionsResponse, None]:
    """Yield the answers, with at most so many transactions under way."""
    under_way: deque[asyncio.Task[pb.AssessTransactionsResponse]] = deque()
    coming: asyncio.Task[pb.AssessTransactionRequest | None] | None = None
    ended = False
    try:
        while under_way or not ended:
            if coming is None and not ended and len(under_way) < most:
                coming = asyncio.create_task(_next(requests))
            waiting = [each for each in (coming, *islice(under_way, 1)) if each is not None]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if coming is not None and coming.done():
                request, coming = coming.result(), None
                if request is None:
                    ended = True
                else:
                    answered = _answered(request, call, assessing, clock)
                    under_way.append(asyncio.create_task(answered))
            while under_way and under_way[0].done():
                yield under_way.popleft().result()
    finally:
        left = [each for each in (coming, *under_way) if each is not None]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def _next(
    requests: AsyncIterator[pb.AssessTransactionRequest],
) -> pb.AssessTransactionRequest | None:
    return await anext(requests, None)


async def _answered(
    request: pb.AssessTransactionRequest, stream: Call, assessing: Assessing, clock: Clock
) -> pb.AssessTransactionsResponse:
    transaction = request.transaction
    call = Call(
        METHOD,
        arrived=clock(),
        deadline=stream.deadline,
        metadata=stream.metadata,
        peer=stream.peer,
    )
    call.span = stream.span
    response = pb.AssessTransactionsResponse(transaction_id=transaction.id)
    try:
        response.assessment.CopyFrom(await assessing.assess(transaction, call))
    except Exception as error:
        if not isinstance(error, InferdError):
            log.exception("unforeseen error in %s", METHOD)
            error = Internal("internal error")
        response.failure.CopyFrom(_failure(error))
    return response


def _failure(error: InferdError) -> pb.AssessTransactionsResponse.Failure:
    wait_s = error.retry_after_s
    return pb.AssessTransactionsResponse.Failure(
        status=NAMES[code_of(type(error))],
        reason=error.reason,
        message=str(error),
        retry_after_ms=None if wait_s is None or wait_s < 0 else round(wait_s * 1000),
    )
