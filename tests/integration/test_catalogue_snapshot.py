"""What the catalogue keeps on the disk: with real files, threads and crashes."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from inferd.cache.kept import Kept
from inferd.config.recommendation.catalogue import Behaviour as BehaviourSettings
from inferd.errors import DependencyFailed, LoadFailed
from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.catalogue import Catalogue, CatalogueFull, Item, Upserted
from inferd.services.recommendation.keeping import AT_A_TIME, KeptCatalogue
from inferd.services.recommendation.snapshot import CatalogueFiles
from inferd.services.recommendation.vocabulary import Act
from support.recommendation import NOW, item, nobody_did_anything


class Server:
    """A catalogue with its files, which can be killed."""

    def __init__(
        self, path: Path, *, made_by: str = "tower/1", changes: int = 1000, most: int = 1000
    ) -> None:
        self.files = CatalogueFiles(path, made_by=made_by)
        self.catalogue = Catalogue(dimensions=2, max_items=most)
        self.outdated = self.files.load(self.catalogue)
        self.kept = KeptCatalogue(self.catalogue, self.files, snapshot_changes=changes)

    async def put(self, *items: Item, at_us: int = 1) -> list[Upserted]:
        return await self.kept.upsert(items, np.ones((len(items), 2), np.float32), at_us)

    def killed(self) -> None:
        """Leave everything as it is on the disk; the system lets go of the lock."""
        self.files.close()

    @property
    def ids(self) -> list[str]:
        table = self.catalogue.table
        return sorted(table.ids[row] for row in np.flatnonzero(table.alive))


def there(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir())


async def test_what_was_acknowledged_is_there_after_a_crash(tmp_path: Path) -> None:
    server = Server(tmp_path)
    await server.put(item("a", title="A", attributes={"x": 1.5}), item("b"), at_us=7)
    await server.put(item("b", title="B"), at_us=9)
    await server.kept.delete(["a"])
    server.killed()
    again = Server(tmp_path)
    assert again.ids == ["b"]
    assert again.catalogue.get("b") == item("b", title="B")
    row = again.catalogue.table.row("b")
    assert row is not None
    assert again.catalogue.table.added_us[row] == 7
    assert again.catalogue.table.vectors[row] == pytest.approx(np.full(2, 0.5**0.5))
    assert not again.outdated
    again.killed()


@pytest.mark.parametrize("left", range(0, 30, 3))
async def test_a_change_that_was_cut_off_is_no_change(tmp_path: Path, left: int) -> None:
    server = Server(tmp_path)
    await server.put(item("a"))
    journal = tmp_path / "catalogue.000000000000.journal"
    whole = journal.stat().st_size
    await server.put(item("b"), item("c"))
    server.killed()
    with journal.open("r+b") as file:
        file.truncate(whole + left)
    again = Server(tmp_path)
    assert again.ids == ["a"]
    await again.put(item("d"))
    again.killed()
    third = Server(tmp_path)
    assert third.ids == ["a", "d"]
    third.killed()


async def test_zeros_that_a_crash_leaves_are_no_change(tmp_path: Path) -> None:
    server = Server(tmp_path)
    await server.put(item("a"))
    server.killed()
    with (tmp_path / "catalogue.000000000000.journal").open("ab") as file:
        file.write(bytes(100))
    again = Server(tmp_path)
    assert again.ids == ["a"]
    again.killed()


async def test_a_journal_that_others_follow_is_whole_or_refused(tmp_path: Path) -> None:
    server = Server(tmp_path)
    await server.put(item("a"))
    server.files.begin()
    await server.put(item("b"))
    server.killed()
    journal = tmp_path / "catalogue.000000000000.journal"
    journal.write_bytes(journal.read_bytes()[:-1])
    with pytest.raises(LoadFailed, match=journal.name):
        Server(tmp_path)


async def test_changes_before_a_restart_count_for_the_next_snapshot(tmp_path: Path) -> None:
    for name in "abcd":
        server = Server(tmp_path, changes=3)
        await server.put(item(name))
        await server.kept.close()
    assert "catalogue.000000000001.snapshot" in there(tmp_path)


async def test_a_snapshot_takes_the_place_of_all_changes_before(tmp_path: Path) -> None:
    server = Server(tmp_path, changes=3)
    for number in range(4):
        await server.put(item(f"i{number}"))
    await server.kept.delete(["i0"])
    await server.kept.close()
    names = ["catalogue.000000000001.journal", "catalogue.000000000001.snapshot", "catalogue.lock"]
    assert there(tmp_path) == names
    again = Server(tmp_path)
    assert again.ids == ["i1", "i2", "i3"]
    again.killed()


async def test_a_crash_before_the_snapshot_is_whole_loses_nothing(tmp_path: Path) -> None:
    server = Server(tmp_path)
    await server.put(item("a"))
    server.files.begin()
    await server.put(item("b"))
    (tmp_path / "catalogue.000000000001.snapshot.new").write_bytes(b"half of it")
    server.killed()
    again = Server(tmp_path)
    assert again.ids == ["a", "b"]
    assert not [name for name in there(tmp_path) if name.endswith(".new")]
    await again.put(item("c"))
    again.killed()
    third = Server(tmp_path)
    assert third.ids == ["a", "b", "c"]
    third.killed()


async def test_a_crash_before_old_files_are_removed_loses_nothing(tmp_path: Path) -> None:
    server = Server(tmp_path)
    await server.put(item("a"))
    old = (tmp_path / "catalogue.000000000000.journal").read_bytes()
    table = server.catalogue.table
    server.files.write_snapshot(server.files.begin(), table, np.flatnonzero(table.alive))
    await server.kept.delete(["a"])
    server.killed()
    (tmp_path / "catalogue.000000000000.journal").write_bytes(old)
    again = Server(tmp_path)
    assert again.ids == []
    assert "catalogue.000000000000.journal" not in there(tmp_path)
    again.killed()


async def test_a_damaged_snapshot_is_not_passed_over(tmp_path: Path) -> None:
    server = Server(tmp_path, changes=1)
    await server.put(item("a"))
    await server.put(item("b"))
    await server.kept.close()
    path = tmp_path / "catalogue.000000000001.snapshot"
    said = bytearray(path.read_bytes())
    said[20] ^= 1
    path.write_bytes(said)
    files = CatalogueFiles(tmp_path, made_by="tower/1")
    with pytest.raises(LoadFailed, match="snapshot is damaged"):
        files.load(Catalogue(dimensions=2, max_items=10))
    files.close()


async def test_two_servers_do_not_write_the_same_files(tmp_path: Path) -> None:
    server = Server(tmp_path)
    with pytest.raises(OSError, match="written by another process"):
        Server(tmp_path)
    server.killed()


async def test_vectors_of_another_model_are_made_again_and_own_ones_stay(tmp_path: Path) -> None:
    server = Server(tmp_path)
    await server.put(item("a"), item("own", vector=np.array([0, 2], np.float32)), item("gone"))
    await server.kept.delete(["gone"])
    server.killed()
    again = Server(tmp_path, made_by="tower/2")
    assert again.outdated == ["a"]
    vectors = again.catalogue.table.vectors
    assert [vectors[row].tolist() for row in again.catalogue.table.rows(["a", "own"])] == [
        [0, 0],
        [0, 1],
    ]
    table = again.catalogue.table
    again.files.write_snapshot(again.files.begin(), table, np.flatnonzero(table.alive))
    again.killed()
    again = Server(tmp_path, made_by="tower/2")
    assert again.outdated == ["a"]
    await again.put(item("a"))
    again.killed()
    third = Server(tmp_path, made_by="tower/2")
    assert third.outdated == []
    third.killed()


async def test_a_catalogue_that_may_be_smaller_now_is_refused_by_name(tmp_path: Path) -> None:
    server = Server(tmp_path)
    await server.put(item("a"), item("b"))
    server.killed()
    with pytest.raises(LoadFailed, match=r"recommendation\.catalogue\.max_items, 1"):
        Server(tmp_path, most=1)


async def test_a_disk_that_fails_changes_nothing_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(tmp_path)
    await server.put(item("a"))

    def fails(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("os.fsync", fails)
        with pytest.raises(DependencyFailed, match="the catalogue cannot be written"):
            await server.put(item("b"))
        with pytest.raises(DependencyFailed):
            await server.kept.delete(["a"])
    assert server.ids == ["a"]
    await server.put(item("c"))
    server.killed()
    again = Server(tmp_path)
    assert again.ids == ["a", "c"]
    again.killed()


async def test_a_change_that_was_begun_is_finished_whoever_waits(tmp_path: Path) -> None:
    server = Server(tmp_path)
    caller = asyncio.create_task(server.put(item("a")))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await server.kept.close()
    assert server.ids == ["a"]
    with pytest.raises(DependencyFailed, match="closed"):
        await server.put(item("b"))


async def test_changes_at_the_same_time_are_seen_in_the_order_in_which_they_are_written(
    tmp_path: Path,
) -> None:
    server = Server(tmp_path)
    many = [item(f"i{number}") for number in range(3 * AT_A_TIME)]
    versions = ([item(each.id, title=title) for each in many] for title in "abc")
    await asyncio.gather(*(server.put(*each) for each in versions))
    before = [server.catalogue.get(each.id) for each in many]
    await server.kept.close()
    again = Server(tmp_path)
    assert [again.catalogue.get(each.id) for each in many] == before
    assert {each.title for each in before if each} == {"c"}
    again.killed()


async def test_a_batch_that_has_no_room_is_not_written(tmp_path: Path) -> None:
    server = Server(tmp_path, most=1)
    with pytest.raises(CatalogueFull):
        await server.put(item("a"), item("b"))
    server.killed()
    again = Server(tmp_path, most=1)
    assert again.ids == []
    again.killed()


async def test_behaviour_survives_a_restart(tmp_path: Path) -> None:
    behaviour, again = nobody_did_anything(), nobody_did_anything()
    behaviour.record("u", "a", Act.CLICK, NOW)
    path = tmp_path / "made" / "behaviour"
    keeping = Kept(behaviour, path, snapshot_s=1000)
    running = asyncio.create_task(keeping.run())
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert there(path.parent) == ["behaviour"]
    reading = Kept(again, path, snapshot_s=60)
    reading.load()
    assert again.ids == ["", "a"]
    with pytest.raises(OSError, match="behaviour is written by another process"):
        Kept(nobody_did_anything(), path, snapshot_s=60).load()
    ending = asyncio.create_task(reading.run())
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    Kept(nobody_did_anything(), path, snapshot_s=60).load()


async def test_a_snapshot_of_two_numberings_is_never_written(tmp_path: Path) -> None:
    behaviour = Behaviour(BehaviourSettings(), max_items=10)
    behaviour.record("u", "a", Act.CLICK, NOW)
    keeping = Kept(behaviour, tmp_path / "behaviour", snapshot_s=60)
    saving = asyncio.create_task(keeping.save())
    await asyncio.sleep(0)
    for number in range(30):
        behaviour.record("u", f"i{number}", Act.CLICK, NOW)
    await saving
    assert there(tmp_path) == []
    await keeping.save()
    assert there(tmp_path) == ["behaviour"]


WRITER = """
import asyncio, sys
from pathlib import Path
import numpy as np
from inferd.services.recommendation.catalogue import Catalogue, Item
from inferd.services.recommendation.keeping import KeptCatalogue
from inferd.services.recommendation.snapshot import CatalogueFiles

async def write():
    files = CatalogueFiles(Path(sys.argv[1]), made_by="")
    catalogue = Catalogue(dimensions=2, max_items=100_000)
    files.load(catalogue)
    kept = KeptCatalogue(catalogue, files, snapshot_changes=50)
    for n in range(100_000):
        await kept.upsert([Item(id=f"i{n}")], np.ones((1, 2), np.float32), 1)
        if n % 3 == 0:
            await kept.delete([f"i{n}"])
        print(n, flush=True)

asyncio.run(write())
"""


async def test_a_server_that_is_killed_has_all_that_it_acknowledged(tmp_path: Path) -> None:
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert writer.stdout is not None
    for _ in range(180):  # several snapshots are made meanwhile
        last = int(await writer.stdout.readline())
    os.kill(writer.pid, signal.SIGKILL)
    last = max([last, *map(int, (await writer.stdout.read()).split())])
    await writer.wait()
    server = Server(tmp_path, made_by="", most=100_000)
    acknowledged = {f"i{n}" for n in range(last + 1) if n % 3}
    assert acknowledged <= {*server.ids} <= acknowledged | {f"i{last + 1}"}
    server.killed()
