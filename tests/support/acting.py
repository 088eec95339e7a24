"""What the echo service can be told to do, by name: the tests are in another process.

A request says it in its `name`, as JSON; a test builds one with `doing`. What an act waits
for, and what it has noticed, is in the `Actor`, whom the test reaches by `support.control`.
"""

import asyncio
import json
import select
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from inferd import errors
from inferd.call import Call
from support.control import tell
from support.echo import Note, a_note

#: How long it takes to clean up.
CLEANING_S = 0.02


def doing(act: str, *, text: str = "", **options: Any) -> bytes:
    """Return the bytes of a note that has the service do something when it gets it."""
    return a_note(text, name=json.dumps([act, options]))


class Tally:
    """Counts what happens, for somebody who waits for it."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._changed = asyncio.Event()

    def __getitem__(self, what: str) -> int:
        return self._counts[what]

    def add(self, what: str) -> None:
        self._counts[what] += 1
        self._changed.set()

    async def until(self, what: str, count: int) -> None:
        """Return when it has happened so many times."""
        while self._counts[what] < count:
            self._changed.clear()
            await self._changed.wait()


class Actor:
    """Does what each message says. An `Act` of the echo service."""

    def __init__(self) -> None:
        #: `begun` and `cancelled` are calls that wait; `taken` is messages.
        self.tally = Tally()
        #: Opened, it lets those pass who wait.
        self.gate = asyncio.Event()
        #: The texts of the calls that have begun to work.
        self.admitted: list[str] = []

    async def __call__(self, request: Any, call: Call) -> Any:
        self.tally.add("taken")
        if not request.name:
            return request
        act, options = json.loads(request.name)
        return await _ACTS[act](self, request, call, **options)


async def _block(_: Actor, request: Any, call: Call) -> Any:
    """Say so to the test, and keep the event loop from everything until it asks something."""
    tell({"is": "blocking"})
    select.select([0], [], [])
    return request


async def _fail(_: Actor, request: Any, call: Call, *, error: str, **about: Any) -> Any:
    raise getattr(errors, error)(about.pop("message", "no"), **about)


async def _crash(_: Actor, request: Any, call: Call) -> Any:
    raise RuntimeError("a secret of ours")


async def _annotate(
    _: Actor,
    request: Any,
    call: Call,
    *,
    initial: dict[str, str] | None = None,
    trailing: dict[str, str] | None = None,
    raw: dict[str, str] | None = None,
    stages: dict[str, float] | None = None,
) -> Any:
    """Add metadata; `raw` is for the end, too, in hexadecimal."""
    call.initial.extend((initial or {}).items())
    call.trailing.extend((trailing or {}).items())
    call.trailing.extend((key, bytes.fromhex(value)) for key, value in (raw or {}).items())
    call.stages.extend((stages or {}).items())
    return request


async def _wait(actor: Actor, request: Any, call: Call) -> Any:
    """Wait at the gate."""
    actor.tally.add("begun")
    try:
        await actor.gate.wait()
    except asyncio.CancelledError:
        await asyncio.sleep(CLEANING_S)
        actor.tally.add("cancelled")
        raise
    return request


async def _be_late(_: Actor, request: Any, call: Call) -> Any:
    """Answer after the deadline, which is made out to be earlier than the caller believes."""
    call.deadline = call.deadline.tightened(0.001, now=call.arrived)
    await asyncio.sleep(0.02)
    return request


async def _shed_once(actor: Actor, request: Any, call: Call, *, retry_after_s: float) -> Any:
    actor.tally.add("attempts")
    if actor.tally["attempts"] == 1:
        raise errors.Shed("no", retry_after_s=retry_after_s)
    return request


async def _work(actor: Actor, request: Any, call: Call) -> Any:
    actor.admitted.append(request.text)
    await asyncio.sleep(0.01)
    return request


async def _grow(_: Actor, request: Any, call: Call, *, size: int) -> Any:
    """Answer with so many bytes of text."""
    return Note(text="x" * size)


async def _swallow(_: Actor, request: Any, call: Call) -> Any:
    return Note()


_ACTS: dict[str, Callable[..., Awaitable[Any]]] = {
    "annotate": _annotate,
    "be late": _be_late,
    "block": _block,
    "crash": _crash,
    "fail": _fail,
    "grow": _grow,
    "shed once": _shed_once,
    "swallow": _swallow,
    "wait": _wait,
    "work": _work,
}
