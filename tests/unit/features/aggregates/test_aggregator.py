"""How events are written and read, in virtual time, over a store that does as it is told."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from inferd.cache.blobs import EARLIEST_STAMP, LATEST_STAMP, Entry, Written, stamp_of
from inferd.cache.memory_blobs import MemoryBlobs
from inferd.errors import DependencyFailed, Draining, Saturated, TimedOut
from inferd.features.aggregates.backlog import MOST, Recorded
from inferd.features.aggregates.turns import MOST_ATTEMPTS
from inferd.features.values import Status
from inferd.features.windows import State
from support.aggregates import Desk, a_desk
from support.feature_stores import WallClock

NOW_S = 1_800_000_000.0
DOWN = DependencyFailed("down")
ADDED, DUPLICATE = Recorded.ADDED, Recorded.DUPLICATE

Act = Callable[[], Awaitable[None]]


class Blobs(MemoryBlobs):
    """In memory. Takes a while, and does something before or after where it is told to."""

    def __init__(self) -> None:
        super().__init__(max_bytes=10_000_000, clock=lambda: 0.0)
        self.takes_s = 0.001
        self.before_get: list[Act] = []
        self.before_put: list[Act] = []
        self.after_put: list[Act] = []
        self.gets: list[list[str]] = []
        self.puts: list[list[str]] = []

    async def get(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        self.gets.append([*keys])
        await asyncio.sleep(self.takes_s)
        if self.before_get:
            await self.before_get.pop(0)()
        return await super().get(keys)

    async def put(self, entries: Sequence[Entry]) -> Sequence[Written]:
        self.puts.append([each.key for each in entries])
        await asyncio.sleep(self.takes_s)
        if self.before_put:
            await self.before_put.pop(0)()
        written = await super().put(entries)
        if self.after_put:
            await self.after_put.pop(0)()
        return written

    async def stamp(self, key: str) -> int:
        (blob,) = await super().get([key])
        assert blob is not None
        return stamp_of(blob)


class Elsewhere(MemoryBlobs):
    """The same store as another server sees it: at once."""

    def __init__(self, blobs: Blobs) -> None:
        super().__init__(max_bytes=10_000_000, clock=lambda: 0.0)
        self._kept = blobs._kept


async def fail() -> None:
    raise DOWN


def over(blobs: MemoryBlobs, **settings: int) -> Desk:
    return a_desk(blobs, wall_clock=WallClock(NOW_S), random=lambda: 1.0, **settings)


async def test_what_comes_while_a_write_is_under_way_is_written_together_with_the_next() -> None:
    blobs = Blobs()
    desk = over(blobs)

    async def record(number: int) -> Sequence[Recorded]:
        await asyncio.sleep(number / 100_000)
        return await desk.record(desk.payment(number % 5, 1.0))

    results = await asyncio.gather(*map(record, range(50)))

    assert results == [[ADDED]] * 50
    assert [len(each) for each in blobs.puts] == [1, 5]
    for user in range(5):
        assert await desk.value("spending", user, "payments_1h") == 10


async def test_a_writer_that_is_alone_does_not_read() -> None:
    blobs = Blobs()
    desk = over(blobs)

    for _ in range(3):
        await desk.record(desk.payment(1))

    assert blobs.gets == [["spending:1:1"]]
    assert await blobs.stamp("spending:1:1") == EARLIEST_STAMP + 2


async def test_a_caller_who_leaves_takes_nothing_from_the_others() -> None:
    blobs = Blobs()
    desk = over(blobs)
    under_way = asyncio.ensure_future(desk.record(desk.payment(1)))
    await asyncio.sleep(0.0005)
    waits, stays = (asyncio.ensure_future(desk.record(desk.payment(1))) for _ in range(2))
    await asyncio.sleep(0.001)

    under_way.cancel()
    waits.cancel()

    assert await stays == [ADDED]
    # Who had not been begun with is left out; for the other it was open.
    assert await desk.value("spending", 1, "payments_1h") == 2


async def test_no_more_wait_than_may_and_whoever_is_refused_leaves_nothing_behind() -> None:
    blobs = Blobs()
    desk = over(blobs, max_waiting=4)
    first = asyncio.ensure_future(desk.record(desk.payment(1)))
    await asyncio.sleep(0)
    # An event that is of two entities is two.
    second = asyncio.ensure_future(desk.record(desk.payment(1, shop="a"), desk.payment(1)))
    await asyncio.sleep(0)

    with pytest.raises(Saturated, match="4 events may wait"):
        await desk.record(desk.payment(1), desk.payment(2))

    assert await first == [ADDED]
    assert await second == [ADDED, ADDED]
    assert desk.aggregator.waiting == 0
    assert await desk.value("spending", 1, "payments_1h") == 3


async def test_a_slow_store_is_waited_for_no_longer_than_the_deadline() -> None:
    blobs = Blobs()
    desk = over(blobs)
    blobs.takes_s = 5.0

    with pytest.raises(TimedOut):
        await desk.record(desk.payment(1), within_s=0.05)

    assert asyncio.get_running_loop().time() == pytest.approx(0.05, abs=0.002)
    blobs.takes_s = 0.001
    assert await desk.record(desk.payment(1)) == [ADDED]


@pytest.mark.parametrize("after", [False, True])
async def test_a_write_that_failed_may_be_made_again_whether_it_was_stored_or_not(
    after: bool,
) -> None:
    blobs = Blobs()
    desk = over(blobs)
    await desk.record(desk.payment(1))
    event = desk.payment(1)
    (blobs.after_put if after else blobs.before_put).append(fail)

    with pytest.raises(DependencyFailed, match="down"):
        await desk.record(event)

    assert await desk.record(event) == [DUPLICATE if after else ADDED]
    assert await desk.value("spending", 1, "payments_1h") == 2


async def test_an_entity_whose_state_cannot_be_read_fails_alone() -> None:
    blobs = Blobs()
    desk = over(blobs)
    await desk.record(desk.payment(1))
    blobs.before_get.append(fail)

    known, unknown = await asyncio.gather(
        desk.record(desk.payment(1)), desk.record(desk.payment(2)), return_exceptions=True
    )

    assert known == [ADDED]
    assert isinstance(unknown, DependencyFailed)


async def test_two_that_begin_the_same_state_at_once_both_count() -> None:
    blobs = Blobs()
    one, another = over(blobs), over(blobs)

    results = await asyncio.gather(
        one.record(one.payment(1, id="a"), one.payment(1, id="b")),
        another.record(another.payment(1, id="b"), another.payment(1, id="c")),
    )

    assert sorted(each for result in results for each in result) == [DUPLICATE, ADDED, ADDED, ADDED]
    assert one.aggregator.turns.conflicts + another.aggregator.turns.conflicts == 1
    for desk in (one, another):
        assert await desk.value("spending", 1, "payments_1h") == 3


async def test_while_one_entity_is_fought_over_others_are_written() -> None:
    blobs = Blobs()
    desk, rival = over(blobs), over(Elsewhere(blobs))

    async def fight() -> None:
        await rival.record(rival.payment(1, id=f"rival {len(blobs.puts)}"))

    blobs.before_put += [fight] * 10
    fought = asyncio.ensure_future(desk.record(desk.payment(1)))
    await asyncio.sleep(0.0001)

    assert await desk.record(desk.payment(2)) == [ADDED]
    assert not fought.done()
    assert await fought == [ADDED]
    assert await desk.value("spending", 1, "payments_1h") == 11


async def test_a_store_that_always_has_something_else_is_given_up() -> None:
    class Contrary(Blobs):
        async def put(self, entries: Sequence[Entry]) -> Sequence[Written]:
            self.puts.append([each.key for each in entries])
            return [Written.OLDER for _ in entries]

    blobs = Contrary()
    desk = over(blobs)

    with pytest.raises(DependencyFailed, match="memory has something else each time"):
        await desk.record(desk.payment(1))

    assert len(blobs.puts) == MOST_ATTEMPTS


async def test_a_state_that_the_store_may_have_forgotten_is_read_before_it_is_written() -> None:
    blobs = Blobs()
    desk, rival = over(blobs), over(blobs)
    for _ in range(3):
        await desk.record(desk.payment(1))
    await blobs.close()  # it was kept for no longer
    desk.wall_clock.now_s = rival.wall_clock.now_s = NOW_S + 3600
    await rival.record(rival.payment(1))

    await desk.record(desk.payment(1))

    assert await desk.value("spending", 1, "payments_1h") == 2


async def test_what_a_store_lost_is_there_again_with_the_next_event() -> None:
    blobs = Blobs()
    desk = over(blobs)
    await desk.record(desk.payment(1))
    await blobs.close()

    assert await desk.value("spending", 1, "payments_1h") == -1
    await desk.record(desk.payment(1))

    assert await desk.value("spending", 1, "payments_1h") == 2


async def test_many_events_are_written_in_turns_and_others_run_in_between() -> None:
    blobs = Elsewhere(Blobs())
    desk = over(blobs)

    writing = asyncio.ensure_future(
        desk.record(*(desk.payment(user) for user in range(4 * MOST + 1)))
    )
    written = []
    while not writing.done():
        await asyncio.sleep(0)
        written.append(len(blobs))

    assert [*dict.fromkeys(written)] == [0, MOST, 2 * MOST, 3 * MOST, 4 * MOST, 4 * MOST + 1]


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\x92",
        b"\x92\xcf" + (EARLIEST_STAMP + 9).to_bytes(8) + b"nonsense",
        b"\x92\xcf" + (EARLIEST_STAMP + 9).to_bytes(8) + b"\xc0",
    ],
)
async def test_bytes_that_are_no_state_are_missing_and_counted_until_an_event_comes(
    blob: bytes,
) -> None:
    blobs = Blobs()
    desk = over(blobs)
    await MemoryBlobs.put(blobs, [Entry("spending:1:1", blob, None)])

    values = await desk.read("spending", 1, "payments_1h")
    assert values["payments_1h"][:2] == (-1, Status.MISSING)
    assert desk.aggregator.states.corrupt == {"spending": 1}

    assert await desk.record(desk.payment(1)) == [ADDED]
    assert await desk.value("spending", 1, "payments_1h") == 1


async def test_no_stamp_is_beyond_what_stores_can_compare() -> None:
    blobs = Blobs()
    desk = over(blobs)
    head = b"\x92\xcf" + LATEST_STAMP.to_bytes(8)
    blob = head + b"nonsense"

    base = desk.aggregator.states.base(desk.payment(1).shares[0].of, blob)

    assert base.stamp == 0


async def test_a_state_that_no_later_one_could_follow_is_none() -> None:
    desk = over(Blobs())
    share = desk.payment(1).shares[0]
    state = State(share.of.plan)
    state.add(desk.us(1), "an event", share.values, now_us=desk.us(0))

    base = desk.aggregator.states.base(share.of, state.encode(LATEST_STAMP))

    assert base.stamp == 0
    assert base.state.newest_us == 0
    assert desk.aggregator.states.corrupt == {"spending": 1}


async def test_a_blob_is_decoded_once_as_long_as_it_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blobs = Blobs()
    writer, reader = over(blobs), over(blobs)
    await writer.record(writer.payment(1))
    decoded, decode = [], State.decode

    def counted(plan: object, blob: bytes) -> State | None:
        decoded.append(blob)
        return decode(plan, blob)  # type: ignore[arg-type]

    monkeypatch.setattr(State, "decode", counted)
    for _ in range(3):
        assert await reader.value("spending", 1, "payments_1h") == 1
        assert await writer.value("spending", 1, "payments_1h") == 1
    assert len(decoded) == 1

    await writer.record(writer.payment(1))

    assert await reader.value("spending", 1, "payments_1h") == 2
    assert len(decoded) == 2


async def test_what_is_not_written_yet_is_not_read() -> None:
    blobs = Blobs()
    desk = over(blobs)
    await desk.record(desk.payment(1))
    blobs.before_put.append(fail)
    failing = asyncio.ensure_future(desk.record(desk.payment(1)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert desk.aggregator.waiting == 0

    blobs.takes_s = 0
    assert await desk.value("spending", 1, "payments_1h") == 1

    with pytest.raises(DependencyFailed):
        await failing


async def test_whoever_still_waits_when_it_ends_is_told() -> None:
    blobs = Blobs()
    desk = over(blobs)
    calls = [asyncio.ensure_future(desk.record(desk.payment(user))) for user in range(200)]
    await asyncio.sleep(0.0005)

    await desk.aggregator.close()

    results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(each) for each in results} == {Draining}


async def test_one_that_ends_before_it_began_tells_so_too() -> None:
    desk = over(Blobs())
    call = asyncio.ensure_future(desk.record(desk.payment(1)))
    await asyncio.sleep(0)

    await desk.aggregator.close()

    with pytest.raises(Draining):
        await call


async def test_what_became_of_events_is_counted() -> None:
    desk = over(Blobs())
    event = desk.payment(1)

    await desk.record(event, event, desk.payment(1, ago_s=4000))

    assert desk.aggregator.recorded == {
        ("payment", "ADDED"): 1,
        ("payment", "DUPLICATE"): 1,
        ("payment", "TOO_OLD"): 1,
    }


async def test_who_comes_while_another_entity_waits_to_be_tried_again_does_not_wait() -> None:
    blobs, clock = Blobs(), asyncio.get_running_loop().time
    desk, rival = over(blobs), over(Elsewhere(blobs))

    async def fight() -> None:
        await rival.record(rival.payment(1, id=f"rival {len(blobs.puts)}"))

    async def last() -> None:
        await fight()
        lost.set()

    lost = asyncio.Event()
    blobs.before_put += [*[fight] * 7, last]
    fought = asyncio.ensure_future(desk.record(desk.payment(1)))
    await lost.wait()
    await asyncio.sleep(0.0001)
    began = clock()

    assert await desk.record(desk.payment(2)) == [ADDED]
    assert clock() - began == pytest.approx(2 * blobs.takes_s)
    assert not fought.done()
    assert await fought == [ADDED]
