import asyncio
from collections.abc import Sequence

import pytest

from inferd.errors import Exhausted, Unavailable
from inferd.services.search.writing import Gathering, Writing


class Disk:
    """Takes batches, each for a while."""

    def __init__(self, takes_s: float = 0.0) -> None:
        self.takes_s = takes_s
        self.full = False
        self.batches: list[tuple[float, list[str]]] = []

    async def write(self, changes: list[str]) -> float:
        self.batches.append((now(), changes))
        await asyncio.sleep(self.takes_s)
        if self.full:
            raise Unavailable("the disk is full")
        return now()


def now() -> float:
    return asyncio.get_running_loop().time()


def writing(disk: Disk, *, wait_s: float = 0.1, enough: int = 10) -> Writing[str, float]:
    return Writing(Gathering(wait_s=wait_s, enough=enough, at_most=20), disk.write, now)


async def later(writer: Writing[str, float], after_s: float, changes: Sequence[str]) -> None:
    await asyncio.sleep(after_s)
    await writer.add(changes)


async def test_what_comes_within_a_while_of_the_first_is_written_together() -> None:
    disk = Disk()
    writer = writing(disk)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(writer.run())
        for after_s, id in ((0.0, "a"), (0.06, "b"), (0.09, "c"), (0.15, "d")):
            tasks.create_task(later(writer, after_s, [id]))
        await asyncio.sleep(1)
        running.cancel()

    assert [changes for _, changes in disk.batches] == [[*"abc"], ["d"]]
    assert [at for at, _ in disk.batches] == pytest.approx([0.1, 0.25])


async def test_enough_is_not_kept_waiting() -> None:
    disk = Disk()
    writer = writing(disk, enough=3)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(writer.run())
        tasks.create_task(later(writer, 0.0, ["a"]))
        tasks.create_task(later(writer, 0.01, ["b", "c"]))
        await asyncio.sleep(1)
        running.cancel()

    assert [changes for _, changes in disk.batches] == [[*"abc"]]
    assert disk.batches[0][0] == pytest.approx(0.01)


async def test_while_one_batch_is_written_the_next_gathers_and_each_caller_has_its_part() -> None:
    disk = Disk(takes_s=0.5)
    writer = writing(disk)
    running = asyncio.create_task(writer.run())
    first = asyncio.create_task(writer.add(["a"]))
    await asyncio.sleep(0.2)
    second = asyncio.create_task(writer.add(["b", "c"]))
    third = asyncio.create_task(writer.add(["d"]))

    assert (await first)[0] == pytest.approx(0.6)
    assert ((await second)[1], (await third)[1]) == (slice(0, 2), slice(2, 3))
    assert [changes for _, changes in disk.batches] == [["a"], [*"bcd"]]
    running.cancel()


async def test_a_batch_that_fails_is_told_to_its_callers_and_the_next_is_written() -> None:
    disk = Disk()
    writer = writing(disk)
    running = asyncio.create_task(writer.run())
    disk.full = True
    failed = await asyncio.gather(writer.add(["a"]), writer.add(["b"]), return_exceptions=True)
    disk.full = False
    await writer.add(["c"])

    assert [type(each) for each in failed] == [Unavailable, Unavailable]
    assert (writer.failed, writer.written) == (1, 1)
    running.cancel()


async def test_what_a_caller_gave_is_written_though_the_caller_left() -> None:
    disk = Disk()
    writer = writing(disk)
    running = asyncio.create_task(writer.run())
    leaving = asyncio.create_task(writer.add(["a"]))
    await asyncio.sleep(0.01)
    leaving.cancel()
    await writer.add(["b"])

    assert disk.batches[0][1] == ["a", "b"]
    running.cancel()


async def test_too_much_that_waits_is_refused_and_none_of_it_written() -> None:
    disk = Disk()
    writer = writing(disk, enough=100)
    running = asyncio.create_task(writer.run())
    fits = asyncio.create_task(writer.add([*"abcdefghijkl"]))
    await asyncio.sleep(0)
    with pytest.raises(Exhausted, match="12 changes wait"):
        await writer.add([*"mnopqrstu"])
    await fits

    assert disk.batches[0][1] == [*"abcdefghijkl"]
    running.cancel()
