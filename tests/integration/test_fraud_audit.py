"""The audit trail on a disk: what was acknowledged is there, once, whatever happens."""

import asyncio
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from inferd import config
from inferd.app import main
from inferd.cache.connection import client, close
from inferd.cache.journal.chain import Entry
from inferd.cache.journal.journal import Journal
from inferd.cache.journal.verification import found
from inferd.cache.memory_blobs import MemoryBlobs
from inferd.cache.redis_blobs import RedisBlobs
from inferd.cache.redis_streams import RedisSink
from inferd.cache.streams import Record
from inferd.call import Call
from inferd.config import resilience
from inferd.config.fraud import Audit, Idempotency
from inferd.config.fraud import WebhookSink as WebhookSettings
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, Saturated
from inferd.services.fraud.alert_sinks import FileSink, LogSink, WebhookSink
from inferd.services.fraud.assessments import Assessments
from inferd.services.fraud.audit import Place, Trail
from inferd.services.fraud.idempotency import Decided, Once, Recalled
from inferd.telemetry.fraud_records import AuditMetrics
from inferd.telemetry.statistics import Histogram
from support.guards import a_dependency
from support.journals import bad, chain, checked, segments, settings
from support.redis import RedisServer

TESTS = Path(__file__).parents[1]
ENOUGH = 400
WALL_CLOCK = time.time


def an_entry(id: str) -> Entry:
    return Entry("assessment", id, 0, b'{"x":1}')


@asynccontextmanager
async def journal(path: Path, **said: Any) -> AsyncIterator[Journal]:
    it = Journal(settings(path, **said), wall_clock=WALL_CLOCK)
    try:
        yield it
    finally:
        await it.close()


def killed(fsync: str, where: Path) -> list[tuple[int, str]]:
    """Return the numbers and ids of records that were acknowledged before a kill."""
    command = [sys.executable, "-m", "support.auditing", fsync, str(where)]
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "server")])
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writing:
        assert writing.stdout is not None
        lines = [*islice(writing.stdout, ENOUGH)]
        writing.kill()
        lines += [line for line in writing.stdout if line.endswith("\n")]
    return [(int(seq), id) for seq, id in map(str.split, lines)]


@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
async def test_what_was_acknowledged_before_a_kill_is_there_once(
    fsync: str, tmp_path: Path
) -> None:
    safe = killed(fsync, tmp_path)
    assert len(safe) >= ENOUGH

    async with journal(tmp_path) as it:  # the caller of the last ones asks again
        again = [await it.append(an_entry(id), once=True) for _, id in safe[-100:]]

    assert again == [seq for seq, _ in safe[-100:]]
    assert checked(tmp_path).whole
    there = Counter[str]()
    numbers = dict[str, int]()
    for path in segments(tmp_path):
        for line in path.read_bytes().splitlines():
            record = msgspec.json.decode(line)
            there[record["id"]] += 1
            numbers[record["id"]] = record["seq"]
    assert len(segments(tmp_path)) > 1
    assert {there[id] for _, id in safe} == {1}
    assert all(numbers[id] == seq for seq, id in safe)


async def test_many_callers_share_what_one_would_wait_for(tmp_path: Path) -> None:
    async with journal(tmp_path) as it:
        numbers = await asyncio.gather(*(it.append(an_entry(str(n))) for n in range(300)))

        assert numbers == [*range(1, 301)]
        assert sum(it.statistics.groups.counts) < 100
        assert it.head.seq == it.statistics.written == 300
        assert (await it.verify()).whole
        assert [each.seq for each in await it.find("7")] == [8]


async def test_a_record_that_is_being_written_is_not_written_twice(tmp_path: Path) -> None:
    async with journal(tmp_path) as it:
        numbers = await asyncio.gather(*(it.append(an_entry("t"), once=True) for _ in range(10)))

        assert numbers == [1] * 10
        assert (it.head.seq, it.statistics.repeated) == (1, 9)


async def test_the_last_record_of_an_id_is_known_also_after_a_restart(tmp_path: Path) -> None:
    small: dict[str, Any] = {"segment_bytes": 1024}
    ids = [str(number) for number in range(20)]
    async with journal(tmp_path, **small) as it:
        for id in [*ids, ids[-1]]:
            await it.append(an_entry(id))
        before = [await it.last(id) for id in ids]
    assert len(segments(tmp_path)) > 2

    async with journal(tmp_path, **small) as it:
        after = [await it.last(id) for id in ids]
        assert [it.knows(id) for id in ids] == [each is not None for each in after]

    assert [each.seq for each in before if each] == [*range(1, 20), 21]
    known = [each for each in after if each]
    assert known == before[-len(known) :], "those of the last two files"
    assert 2 <= len(known) < len(ids)


async def test_of_many_ids_those_are_known_that_were_recorded_last(tmp_path: Path) -> None:
    async with journal(tmp_path, remember=2) as it:
        for id in "abac":
            await it.append(an_entry(id))

        assert [id for id in "abc" if it.knows(id)] == ["a", "c"]
        assert await it.last("b") is None


async def test_a_record_whose_file_was_removed_is_not_known_and_one_that_was_changed_is_told(
    tmp_path: Path,
) -> None:
    async with journal(tmp_path) as it:
        for id in "ab":
            await it.append(an_entry(id))
        (path,) = segments(tmp_path)
        path.write_bytes(path.read_bytes().replace(b'"x":1', b'"x":2'))
        with pytest.raises(DependencyFailed, match="changed"):
            await it.last("b")
        path.unlink()

        assert await it.last("b") is None


async def test_a_record_that_could_not_be_written_is_not_known(tmp_path: Path) -> None:
    async with journal(tmp_path) as it:
        await it.append(an_entry("a"))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        (path,) = segments(tmp_path)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
        try:
            with pytest.raises(DependencyFailed):
                await it.append(an_entry("b"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await it.append(an_entry("c"))

        assert [id for id in "abc" if it.knows(id)] == ["a", "c"]
        found = await it.last("c")
        assert found is not None
        assert (found.id, found.seq) == ("c", 2)


async def test_who_leaves_takes_nothing_from_those_who_stay(tmp_path: Path) -> None:
    async with journal(tmp_path) as it:
        leaves = asyncio.create_task(it.append(an_entry("t"), once=True))
        stays = asyncio.create_task(it.append(an_entry("t"), once=True))
        await asyncio.sleep(0)
        leaves.cancel()

        assert await stays == 1


async def test_too_many_that_wait_are_refused(tmp_path: Path) -> None:
    async with journal(tmp_path, max_waiting=2) as it:
        asked = [it.append(an_entry(str(n))) for n in range(3)]
        results = await asyncio.gather(*asked, return_exceptions=True)

        assert results[:2] == [1, 2]
        assert isinstance(results[2], Saturated)


async def test_a_full_disk_fails_those_who_wait_and_nothing_is_lost_when_there_is_room_again(
    tmp_path: Path,
) -> None:
    async with journal(tmp_path) as it:
        await it.append(an_entry("t1"))
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, before[1]))
        try:
            with pytest.raises(DependencyFailed, match="cannot be written: File too large"):
                await it.append(an_entry("t2"), once=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

        assert await it.append(an_entry("t2"), once=True) == 2
        assert (it.statistics.failed, it.statistics.written) == (1, 2)
    assert checked(tmp_path).whole


async def test_the_disk_is_told_in_time_where_nobody_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with journal(tmp_path, fsync="interval", interval_ms=5) as it:
        told = asyncio.Event()
        loop, sync = asyncio.get_running_loop(), it._writer.sync

        def noted() -> None:
            sync()
            loop.call_soon_threadsafe(told.set)

        monkeypatch.setattr(it._writer, "sync", noted)
        await it.append(an_entry("t1"))
        async with asyncio.timeout(20):
            await told.wait()


async def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    async with journal(tmp_path) as it:
        pass
    with pytest.raises(DependencyFailed, match="closed"):
        await it.append(an_entry("t"))


def test_the_command_says_that_a_trail_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain(tmp_path, "t1", "t2")

    assert main(["audit", "verify", "--path", str(tmp_path)]) == 0

    said = capsys.readouterr().out
    assert said.startswith("one: 2 records are whole; the last is 2:")
    head = said.split()[-1]
    assert main(["audit", "verify", "--path", str(tmp_path), "--head", head]) == 0


def test_the_command_names_the_first_bad_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain(tmp_path, "t1", "t2", "t3")
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"t2", b"t9"))

    assert main(["audit", "verify", "--path", str(tmp_path), "--server", "one"]) == 1

    said = capsys.readouterr().out
    assert said.startswith("one: BROKEN after 1 good record: record 2 (one.000000000001.jsonl")
    assert "it was changed" in said
    assert bad(tmp_path)[0] == 2


def test_the_command_says_where_there_is_no_trail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "verify", "--path", str(tmp_path)]) == 2
    assert "there is no audit trail in" in capsys.readouterr().err
    chain(tmp_path, "t1")
    assert main(["audit", "verify", "--path", str(tmp_path), "--server", "oen"]) == 2
    assert "no audit trail of oen" in capsys.readouterr().err


def test_the_command_looks_where_the_configuration_says_from_anywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("fraud: {audit: {path: trail, server: one}}")
    chain(tmp_path / "trail", "t1")

    assert main(["audit", "verify", "--config", str(config)]) == 0
    assert capsys.readouterr().out.startswith("one: 1 record is whole; the last is 1:")

    config.write_text("fraud: {audit: {path: trail, server: two}}")
    assert main(["audit", "verify", "--config", str(config)]) == 2
    assert "no audit trail of two" in capsys.readouterr().err


@asynccontextmanager
async def server(path: Path, name: str, blobs: Any) -> AsyncIterator[Once]:
    """Run what one server has."""
    loop = asyncio.get_running_loop()
    async with journal(path, server=name) as kept:
        # A machine that stands still makes all that is under way slow, and breakers open for that.
        ample: dict[str, Any] = {"timeout_ms": 20_000, "breaker": resilience.Breaker(mode="off")}
        trail = Trail(
            kept, Audit(server=name), a_dependency("audit", **ample), failed=lambda _: None
        )
        reads, writes = a_dependency("reads", **ample), a_dependency("writes", **ample)
        how = Idempotency(patience_ms=20_000)
        store = Assessments(blobs, how, reads=reads, writes=writes)
        once = Once(store, trail, how, clock=loop.time, wall_clock=WALL_CLOCK)
        yield once
        names = {each.name for each in AuditMetrics(kept, trail, once).collect()}
        assert {"inferd_audit_records", "inferd_fraud_decisions"} <= names
        await once.close()


def recall(body: bytes) -> Recalled | None:
    return Recalled("f", body.strip(b'"'))


async def test_two_servers_over_redis_decide_every_transaction_once(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    connected = client(config.Redis(url=redis_server.url))
    blobs = [RedisBlobs(connected, prefix="fraud:", sizes=Histogram((1, 2))) for _ in "ab"]

    async with (
        server(tmp_path, "one", blobs[0]) as one,
        server(tmp_path, "two", blobs[1]) as two,
    ):

        async def ask(id: int, asked: Once, name: str) -> bytes:
            async def decide(call: Call, deadline: Deadline) -> Decided:
                await asyncio.sleep(0.001 * (id % 3))
                return Decided(f"{id}{name}".encode(), b'"%d%s"' % (id, name.encode()))

            now = asyncio.get_running_loop().time()
            call, deadline = Call("/a/b", arrived=now), Deadline.after(30, now=now)
            answer = await asked.answer(call, deadline, str(id), "f", decide=decide, recall=recall)
            assert answer.place is not None
            assert answer.degradations == (), "or it may be decided twice"
            return answer.assessment

        answers = await asyncio.gather(
            *(ask(id, *each) for id in range(50) for each in ((one, "x"), (two, "y"), (one, "z")))
        )

    for id in range(50):
        assert len({*answers[3 * id : 3 * id + 3]}) == 1
        (record,) = found(tmp_path, str(id))
        assert bytes(record.body) == b'"%s"' % answers[3 * id]
    for each in blobs:
        await each.close()
    await close(connected)


async def test_what_a_store_has_forgotten_is_answered_from_the_record(tmp_path: Path) -> None:
    clock = asyncio.get_running_loop().time
    blobs = MemoryBlobs(max_bytes=10_000, clock=clock)
    call, deadline = Call("/a/b", arrived=clock()), Deadline.after(30, now=clock())

    for said in (b"a", b"b"):

        async def decide(call: Call, deadline: Deadline, said: bytes = said) -> Decided:
            return Decided(said, b'"%s"' % said)

        async with server(tmp_path, "one", blobs) as once:
            answer = await once.answer(call, deadline, "t", "f", decide=decide, recall=recall)
            assert (answer.assessment, answer.place) == (b"a", Place("one", 1))
        await blobs.close()  # it forgets, as after a crash

    assert [bytes(each.body) for each in found(tmp_path, "t")] == [b'"a"']


@pytest.mark.parametrize("status", [200, 503])
async def test_a_webhook_gets_a_list(status: int) -> None:
    got: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        got.append((await request.json(), request.headers["Authorization"]))
        return web.Response(status=status)

    application = web.Application()
    application.router.add_post("/alerts", take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    settings = WebhookSettings.model_validate(
        {"url": f"http://127.0.0.1:{port}/alerts", "token": "secret"}
    )
    sink = WebhookSink(settings)
    try:
        publishing = sink.publish([Record("a", b'{"n":1}'), Record("b", b'{"n":2}')])
        if status == 200:
            assert await publishing == [True, True]
        else:
            with pytest.raises(DependencyFailed, match="answered with 503"):
                await publishing
    finally:
        await sink.close()
        await runner.cleanup()
    assert got == [([{"n": 1}, {"n": 2}], "Bearer secret")]


async def test_a_webhook_that_is_not_there_is_a_failure() -> None:
    sink = WebhookSink(WebhookSettings(url="http://127.0.0.1:9/alerts"))
    with pytest.raises(DependencyFailed, match="cannot be reached"):
        await sink.publish([Record("a", b"{}")])
    await sink.close()


async def test_alerts_go_to_files_logs_and_streams(
    tmp_path: Path, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    connected = client(config.Redis(url=redis_server.url))
    records = [Record("a", b'{"n":1}')]
    stream = RedisSink(connected, stream="s", remember_s=60, max_entries=10, timeout_s=5)

    for sink in (FileSink(tmp_path / "alerts.jsonl"), LogSink(), stream):
        for _ in range(2):
            await sink.publish(records)
        await sink.close()

    assert (tmp_path / "alerts.jsonl").read_bytes() == b'{"n":1}\n' * 2
    assert caplog.messages == ['{"n":1}'] * 2
    assert await connected.xlen("s") == 1, "a key is taken once"
    await close(connected)
