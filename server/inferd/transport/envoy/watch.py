"""Who is still there: finds the callers that left, and the calls that are out of time.

An ASGI server tells that a caller has left when it is asked, and asking costs a round trip
through Envoy. So a call that is answered at once is never asked about, and one that takes long
is asked about ever more seldom. Deadlines are looked at on the way, for whoever does not look
after its own: the scheduler does, and the calls of a model rarely get this far.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from inferd.deadline import Clock
from inferd.errors import DeadlineExceeded
from inferd.services.status import Refusal, refusal

#: Between looks at the calls under way.
LOOK_S = 0.01
#: A caller is asked about after this long, and then at intervals that double ...
FIRST_ASKED_S = 0.02
#: ... up to this.
MOST_SELDOM_S = 1.0

Receive = Callable[[], Awaitable[dict[str, Any]]]

_LATE = refusal(DeadlineExceeded("the deadline has passed"))


class Watched:
    """One call under way, and the task to cancel when nobody waits for it any more."""

    __slots__ = (
        "ask_at",
        "asked",
        "deadline_at",
        "ended",
        "ended_as",
        "interval_s",
        "receive",
        "refuse",
        "task",
    )

    def __init__(self, task: "asyncio.Task[Any]", *, now: float, deadline_at: float) -> None:
        self.task = task
        #: Tells whether the caller has left; None while somebody listens all the time.
        self.receive: Receive | None = None
        #: Answers a caller whose message is not there yet: with the answer the request is over,
        #: and whoever reads it hears so. To be cancelled is nothing that `receive` can bear.
        self.refuse: Callable[[Refusal], None] | None = None
        self.deadline_at = deadline_at
        self.interval_s = FIRST_ASKED_S
        self.ask_at = now + FIRST_ASKED_S
        #: Whether a question is under way.
        self.asked = False
        self.ended = False
        #: What the caller should hear once the call is cancelled; None when it has left.
        self.ended_as: Refusal | None = None

    def end(self, refused: Refusal | None = None) -> None:
        """End the call, once: its caller has left, or should hear why."""
        if self.ended:  # it may be cleaning up, and is to be left alone
            return
        self.ended, self.ended_as = True, refused
        if self.refuse is None:
            self.task.cancel()
        elif refused is not None:
            self.refuse(refused)


class Watch:
    """Looks after every call under way on one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: set[Watched] = set()
        self._looking = False
        #: What the calls hear that come after everybody was sent away.
        self._closed_as: Refusal | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, call: Watched) -> None:
        """Look after `call` until it is discarded."""
        self._calls.add(call)
        if self._closed_as is not None:
            call.end(self._closed_as)
        if not self._looking:
            self._looking = True
            call.task.get_loop().call_later(LOOK_S, self._look)

    def discard(self, call: Watched) -> None:
        """Leave a call alone: it is answered, or cancelled."""
        self._calls.discard(call)

    def ask(self, call: Watched, receive: Receive) -> "asyncio.Future[dict[str, Any]]":
        """Ask what has come of a call's request, and end the call if its caller has left."""
        answer = asyncio.ensure_future(receive())
        answer.add_done_callback(partial(self._told, call))
        return answer

    def end_all(self, refused: Refusal) -> None:
        """Cancel every call under way, and those that are still to come."""
        self._closed_as = refused
        for call in tuple(self._calls):
            call.end(refused)

    def _look(self) -> None:
        if not self._calls:
            self._looking = False
            return
        now = self._clock()
        for call in self._calls:
            if now >= call.deadline_at:
                call.end(_LATE)
            elif now >= call.ask_at and call.receive is not None and not call.asked:
                call.asked = True
                self.ask(call, call.receive).add_done_callback(partial(self._back_off, call))
        asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _told(self, call: Watched, answer: asyncio.Future[dict[str, Any]]) -> None:
        if answer.cancelled() or answer.exception() is not None or call not in self._calls:
            return
        if answer.result()["type"] == "http.disconnect":
            call.end()

    def _back_off(self, call: Watched, _: object) -> None:
        call.asked = False
        call.interval_s = min(2 * call.interval_s, MOST_SELDOM_S)
        call.ask_at = self._clock() + call.interval_s
