"""Lists and snoozes that several servers have in common."""

import asyncio

import pytest

from inferd.call import Call
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, Exhausted
from inferd.services.fraud.expiring import FOREVER_US
from inferd.services.fraud.lists import Entry, ListName
from inferd.services.fraud.shared import GUARDED_AS, Shared
from inferd.services.fraud.snoozes import Snooze
from inferd.services.fraud.vocabulary import EntityKind
from support.guards import a_toolbox
from support.judges import BEGIN_S, HANGS_S, Blobs

CALL = Call("/inferd.v1.FraudService/AddToLists", arrived=0.0)
BY = Deadline(10_000.0)
THIEF = Entry(ListName.BLOCK, EntityKind.USER, "thief")
ROBBER = Entry(ListName.BLOCK, EntityKind.USER, "robber")
SNOOZE = Snooze("fast", EntityKind.USER, "mogul")


def now_us() -> int:
    return round((BEGIN_S + asyncio.get_running_loop().time()) * 1e6)


def a_server(blobs: Blobs, most: int = 100) -> Shared:
    clock = asyncio.get_running_loop().time
    guard = a_toolbox(clock).dependency("fraud_lists", GUARDED_AS)
    return Shared(blobs, guard, most=most, now_us=now_us, clock=clock)


def is_on(server: Shared, entry: Entry) -> bool:
    return bool(server.lists.of(entry.kind, entry.value, now_us()))


async def test_what_one_server_adds_and_removes_the_other_hears_of() -> None:
    blobs = Blobs()
    one, other = a_server(blobs), a_server(blobs)
    following = asyncio.create_task(other.follow(1.0))

    assert await one.add(CALL, BY, [(THIEF, FOREVER_US)]) == 1
    await one.snooze(CALL, BY, SNOOZE, now_us() + 60_000_000)
    await asyncio.sleep(1.5)
    assert is_on(other, THIEF)
    assert other.snoozes.of({EntityKind.USER: "mogul"}, now_us()) == {"fast"}
    assert await one.remove(CALL, BY, [THIEF, ROBBER]) == 1
    await asyncio.sleep(1.5)
    assert not is_on(other, THIEF)
    await asyncio.sleep(60)
    assert not other.snoozes.of({EntityKind.USER: "mogul"}, now_us())
    following.cancel()


async def test_changes_at_the_same_time_are_all_made() -> None:
    blobs = Blobs()
    servers = [a_server(blobs) for _ in range(3)]
    blobs.reads.takes_s = blobs.writes.takes_s = 0.001
    entries = [Entry(ListName.BLOCK, EntityKind.USER, f"u{each}") for each in range(6)]

    added = await asyncio.gather(
        *(servers[at % 3].add(CALL, BY, [(each, FOREVER_US)]) for at, each in enumerate(entries))
    )

    assert added == [1] * 6
    for server in servers:
        await server.look(CALL, BY)
        assert all(is_on(server, each) for each in entries)


async def test_a_change_that_the_store_does_not_take_is_not_made() -> None:
    blobs = Blobs()
    server = a_server(blobs, most=1)
    await server.add(CALL, BY, [(THIEF, FOREVER_US)])

    with pytest.raises(Exhausted, match="1 entries"):
        await server.add(CALL, BY, [(ROBBER, FOREVER_US)])
    blobs.writes.raises = DependencyFailed("it is gone")
    with pytest.raises(DependencyFailed):
        await server.remove(CALL, BY, [THIEF])

    assert is_on(server, THIEF)
    assert not is_on(server, ROBBER)


async def test_lists_stay_while_the_store_is_away_and_when_it_has_lost_them() -> None:
    blobs = Blobs()
    server = a_server(blobs)
    await server.add(CALL, BY, [(THIEF, FOREVER_US)])
    following = asyncio.create_task(server.follow(1.0))
    blobs.reads.takes_s = HANGS_S
    await asyncio.sleep(5)
    assert is_on(server, THIEF)
    blobs.reads.takes_s = 0
    await blobs.close()  # it forgets everything

    await server.add(CALL, BY, [(ROBBER, FOREVER_US)])

    assert is_on(server, THIEF)
    other = a_server(blobs)
    await other.look(CALL, BY)
    assert is_on(other, THIEF)
    assert is_on(other, ROBBER)
    following.cancel()


async def test_what_has_ended_counts_for_nothing() -> None:
    server = a_server(Blobs(), most=1)
    await server.add(CALL, BY, [(THIEF, now_us() + 1_000_000)])
    await asyncio.sleep(2)

    assert not is_on(server, THIEF)
    assert await server.add(CALL, BY, [(ROBBER, FOREVER_US)]) == 1
    assert await server.remove(CALL, BY, [THIEF]) == 0
