"""However many servers record the same events, and whatever fails meanwhile, each counts once.

Servers share a store whose answers get lost, whose writes are refused, and come into force when
nobody believes in them any more. Callers repeat what they were not told of, some of them on another
server, and leave. All of it in virtual time.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.cache.blobs import Entry, Written
from inferd.cache.memory_blobs import MemoryBlobs
from inferd.errors import DependencyFailed, InferdError
from inferd.features.aggregates.backlog import Recorded
from inferd.features.aggregates.events import CheckedEvent
from support.aggregates import Desk, a_desk
from support.feature_stores import WallClock
from support.virtual_time import VirtualTimeLoop

NOW_S = 1_800_000_000.0
USERS = 3
LATEST_S = 0.05


class Unreliable(MemoryBlobs):
    """One server's way to the store that all of them share."""

    def __init__(self, shared: MemoryBlobs, random: Random, trouble: float) -> None:
        super().__init__(max_bytes=10_000_000, clock=lambda: 0.0)
        self._kept = shared._kept
        self._random = random
        self._trouble = trouble

    async def get(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        await self._pass()
        found = await super().get(keys)
        await self._pass()
        return found

    async def put(self, entries: Sequence[Entry]) -> Sequence[Written]:
        await self._pass()
        if self._random.random() < self._trouble:
            # It has left us, and nobody knows when it arrives.
            at_s = self._random.random() * LATEST_S
            asyncio.get_running_loop().call_later(at_s, self._now, entries)
            raise DependencyFailed("the connection was lost")
        written = self._now(entries)
        await self._pass()
        return written

    def _now(self, entries: Sequence[Entry]) -> Sequence[Written]:
        return [self._put(entry, 0.0) for entry in entries]

    async def _pass(self) -> None:
        await asyncio.sleep(self._random.random() / 1000)
        if self._random.random() < self._trouble / 2:
            raise DependencyFailed("the network is down")


class Storm:
    """Callers, and what they were told."""

    def __init__(self, desks: Sequence[Desk], random: Random) -> None:
        self._desks = desks
        self._random = random
        self.added: Counter[str] = Counter()

    async def record(self, events: Sequence[CheckedEvent]) -> None:
        """Record events until one is told that they are safe."""
        random = self._random
        await asyncio.sleep(random.random() / 50)
        while True:
            desk = random.choice(self._desks)
            within_s = random.choice([0.0005, 0.002, 10.0])
            try:
                results = await desk.record(*events, within_s=within_s)
            except InferdError:
                continue
            assert Recorded.TOO_OLD not in results
            self.added.update(
                event.event_id
                for event, result in zip(events, results, strict=True)
                if result is Recorded.ADDED
            )
            return

    async def leave(self, events: Sequence[CheckedEvent]) -> None:
        """Have events recorded, and leave before one is told."""
        task = asyncio.ensure_future(self.record(events))
        await asyncio.sleep(self._random.random() / 50)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def weather(seed: int, servers: int, events: int, trouble: float) -> None:
    random = Random(seed)
    shared = MemoryBlobs(max_bytes=10_000_000, clock=lambda: 0.0)
    desks = [
        a_desk(
            Unreliable(shared, random, trouble),
            wall_clock=WallClock(NOW_S),
            random=random.random,
            max_states=random.choice([1, 2, 100]),
        )
        for _ in range(servers)
    ]
    storm = Storm(desks, random)
    all_events = [
        desks[0].payment(
            number % USERS, 2.0**-number, shop=f"{number % 2}", id=str(number), ago_s=number
        )
        for number in range(events)
    ]
    # Every event comes to some, and twice or in vain to others.
    batches = [random.sample(all_events, random.randint(1, events)) for _ in range(2 * servers)]
    leavers = [random.sample(all_events, random.randint(1, events)) for _ in range(servers)]
    await asyncio.gather(
        storm.record(all_events), *map(storm.record, batches), *map(storm.leave, leavers)
    )
    await asyncio.sleep(2 * LATEST_S)

    assert set(storm.added.values()) <= {1, 2}, "at most once for each view"
    calm = a_desk(Unreliable(shared, random, 0.0), wall_clock=WallClock(NOW_S))
    for user in range(USERS):
        numbers = range(user, events, USERS)
        values = await calm.read("spending", user, "payments_1h", "spent_1h")
        assert values["payments_1h"].value == (len(numbers) or -1)
        if numbers:
            assert values["spent_1h"].value == sum(2.0**-number for number in numbers)
    for each in (*desks, calm):
        await each.aggregator.close()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    servers=st.integers(1, 4),
    events=st.integers(1, 40),
    trouble=st.sampled_from([0.0, 0.1, 0.4]),
)
def test_every_event_counts_once_whoever_records_it_and_whatever_fails(
    seed: int, servers: int, events: int, trouble: float
) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(weather(seed, servers, events, trouble))
