"""Features in a file: what was acknowledged is there, whoever is killed and whatever is full."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from inferd.cache.blobs import Entry, Written
from inferd.cache.sqlite_blobs import SqliteBlobs
from inferd.errors import DependencyFailed
from support.feature_stores import WallClock, a_histogram, in_sqlite

NOW_S = 1_800_000_000.0
PROGRAM = """
    import asyncio, sys
    from pathlib import Path
    from support.feature_stores import in_sqlite

    async def write():
        async with in_sqlite(Path(sys.argv[1])) as store:
            async def one(number):
                await store.set("profile", number, age=number)
                print(number, flush=True)
            for begin in range(0, 10**9, 10):
                await asyncio.gather(*map(one, range(begin, begin + 10)))

    asyncio.run(write())
"""


def entry(key: str, stamp: int = 2**40, size: int = 1, keep_s: float | None = None) -> Entry:
    return Entry(key, b"\x92\xcf" + stamp.to_bytes(8) + b"\xc4" * size, keep_s)


def opened(path: Path, clock: WallClock | None = None) -> SqliteBlobs:
    return SqliteBlobs(path, wall_clock=clock or WallClock(NOW_S), sizes=a_histogram())


def killed_while_it_wrote(path: Path) -> list[int]:
    """Have another process write, kill it, and return what it said was written."""
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(300)]
    writer.send_signal(signal.SIGKILL)
    return acknowledged + [int(line) for line in writer.communicate()[0].split()]


async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "features.sqlite"
    acknowledged = killed_while_it_wrote(path)

    async with in_sqlite(path) as store:
        found = await store.get(*(store.lookup("profile", id, "age") for id in acknowledged))

        assert [each.values[0].value for each in found] == acknowledged


async def test_a_full_disk_is_told_clearly_and_harms_nothing_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "features.sqlite"
    blobs = opened(path)
    blobs._connections[0].execute("PRAGMA max_page_count = 40")  # the writer's
    await blobs.put([entry("before")])

    with pytest.raises(DependencyFailed, match=r"the disk that features\.sqlite is on is full"):
        await blobs.put([entry("kept with"), entry("large", size=200_000)])

    assert await blobs.get(["before", "kept with"]) == [entry("before").blob, None]
    assert await blobs.put([entry("after")]) == [Written.STORED]
    await blobs.close()


async def test_who_is_too_large_for_the_disk_fails_alone(tmp_path: Path) -> None:
    blobs = opened(tmp_path / "features.sqlite")
    blobs._connections[0].execute("PRAGMA max_page_count = 40")

    results = await asyncio.gather(
        *(blobs.put([entry(key, size=size)]) for key, size in (("a", 1), ("b", 200_000), ("c", 1))),
        return_exceptions=True,
    )

    assert results[0] == results[2] == [Written.STORED]
    assert isinstance(results[1], DependencyFailed)
    await blobs.close()


async def test_a_file_that_is_none_of_sqlite_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "features.sqlite"
    path.write_bytes(b"something else entirely" * 100)

    with pytest.raises(DependencyFailed, match=r"features\.sqlite failed \(file is not a database"):
        opened(path)


async def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DependencyFailed, match="unable to open"):
        opened(tmp_path / "nowhere" / "features.sqlite")


async def test_what_is_damaged_later_is_told_and_the_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "features.sqlite"
    blobs = opened(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("ALTER TABLE blobs RENAME TO elsewhere")

        with pytest.raises(DependencyFailed, match="no such table"):
            await blobs.put([entry("a")])
        with pytest.raises(DependencyFailed, match="no such table"):
            await blobs.get(["a"])
        other.execute("ALTER TABLE elsewhere RENAME TO blobs")

    assert await blobs.put([entry("a")]) == [Written.STORED]
    assert await blobs.get(["a"]) == [entry("a").blob]
    await blobs.close()


async def test_the_dead_are_buried_along_with_what_is_written(tmp_path: Path) -> None:
    path, clock = tmp_path / "features.sqlite", WallClock(NOW_S)
    blobs = opened(path, clock)
    await blobs.put([entry(f"dies {n}", keep_s=10.0) for n in range(50)])
    clock.now_s += 10

    assert await blobs.get(["dies 1"]) == [None]
    await blobs.put([entry("lives")])

    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT key FROM blobs").fetchall() == [("lives",)]
    await blobs.close()


async def test_an_older_event_is_taken_where_what_was_newer_has_died(tmp_path: Path) -> None:
    clock = WallClock(NOW_S)
    blobs = opened(tmp_path / "features.sqlite", clock)
    await blobs.put([entry("a", 2**41, keep_s=10.0)])
    clock.now_s += 10

    assert await blobs.put([entry("a", 2**40)]) == [Written.STORED]
    await blobs.close()


async def test_closing_writes_what_waits_and_takes_nothing_more(tmp_path: Path) -> None:
    path = tmp_path / "features.sqlite"
    blobs = opened(path)
    waits = [asyncio.ensure_future(blobs.put([entry(str(n))])) for n in range(300)]
    await asyncio.sleep(0)
    await blobs.close()

    assert await asyncio.gather(*waits) == [[Written.STORED]] * 300
    with pytest.raises(DependencyFailed, match="is closed"):
        await blobs.put([entry("late")])


async def test_a_writer_that_is_not_waited_for_goes_on_for_the_others(tmp_path: Path) -> None:
    blobs = opened(tmp_path / "features.sqlite")
    leaves = asyncio.ensure_future(blobs.put([entry("a")]))
    stays = asyncio.ensure_future(blobs.put([entry("b")]))
    await asyncio.sleep(0)
    leaves.cancel()

    assert await stays == [Written.STORED]
    await blobs.close()
