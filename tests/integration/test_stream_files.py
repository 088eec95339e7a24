"""Streams in files: replayed, torn, full, and shared with nobody."""

import errno
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from inferd.cache.streams import Record
from inferd.errors import DependencyFailed
from inferd.streaming.jsonl_sink import JsonlSink
from inferd.streaming.jsonl_source import JsonlSource
from inferd.streaming.results import Letter, Stage, key_of, letter_record


def a_sink(path: Path) -> JsonlSink:
    return JsonlSink(path, remember_keys=100, key_of=key_of)


def record(name: str) -> Record:
    return Record(name, b'{"event_id":"%s"}' % name.encode())


async def test_a_line_that_was_torn_is_cut_off_and_not_known(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"event_id":"a"}\n{"event_id":"b"')
    sink = a_sink(path)

    assert await sink.publish([record("a"), record("b")]) == [False, True]

    assert path.read_bytes() == b'{"event_id":"a"}\n{"event_id":"b"}\n'
    await sink.close()


def letter(event: bytes, *, position: str = "17") -> Letter:
    written = datetime(2024, 1, 1, tzinfo=UTC)
    return Letter("a", Stage.DECODE, "INVALID_REQUEST", "no", position, 1, written, event)


async def test_letters_are_known_again_too(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    sink = a_sink(path)
    await sink.publish([letter_record(letter(b"{"))])
    await sink.close()
    with path.open("ab") as file:
        file.write(b"nonsense\n")

    sink = a_sink(path)

    assert await sink.publish([letter_record(letter(b"{")), Record("a", b"{}")]) == [False, True]
    await sink.close()


async def test_letters_of_several_streams_may_be_in_one(tmp_path: Path) -> None:
    sink = a_sink(tmp_path / "letters.jsonl")
    alike = [letter_record(letter(event)) for event in (b"{", b"[", b"[")]

    assert await sink.publish(alike) == [True, True, False]

    await sink.close()


async def test_records_are_in_the_file_in_the_order_in_which_their_keys_came(
    tmp_path: Path,
) -> None:
    sink = a_sink(tmp_path / "r.jsonl")

    assert await sink.publish([record(name) for name in "abac"]) == [True, True, False, True]

    lines = (tmp_path / "r.jsonl").read_bytes().splitlines()
    assert lines == [record(name).body for name in "abc"]
    await sink.close()


async def test_two_do_not_write_one_file(tmp_path: Path) -> None:
    sink = a_sink(tmp_path / "r.jsonl")

    with pytest.raises(OSError, match="is written by another process"):
        a_sink(tmp_path / "r.jsonl")

    await sink.close()
    await a_sink(tmp_path / "r.jsonl").close()


async def test_a_full_disk_leaves_no_part_of_a_line_and_nothing_is_taken_for_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.jsonl"
    sink = a_sink(path)
    await sink.publish([record("a")])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(DependencyFailed, match="No space left"):
            await sink.publish([record("b")])
    assert path.read_bytes() == b'{"event_id":"a"}\n'

    assert await sink.publish([record("b")]) == [True]
    await sink.close()


async def test_how_far_a_file_was_read_is_kept_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(b"one\n\ntwo\r\nthree")
    source = JsonlSource(path, speed=0, clock=time.monotonic)
    found = await source.read(10)
    assert found is not None
    assert [each.body for each in found] == [b"one", b"two", b"three"]

    await source.ack([found[1].position])  # and not the one before
    assert not (tmp_path / "e.jsonl.offset").exists()
    await source.ack([found[0].position])
    await source.close()

    assert (tmp_path / "e.jsonl.offset").read_text() == "10\n"
    again = JsonlSource(path, speed=0, clock=time.monotonic)
    assert [each.body for each in await again.read(10) or []] == [b"three"]
    assert await again.read(10) is None
    await again.close()


async def test_a_place_that_could_not_be_kept_is_kept_the_next_time(tmp_path: Path) -> None:
    path, scratch = tmp_path / "e.jsonl", tmp_path / "e.jsonl.offset.new"
    path.write_bytes(b"one\n")
    source = JsonlSource(path, speed=0, clock=time.monotonic)
    (found,) = await source.read(10) or []
    scratch.mkdir()  # in the way
    with pytest.raises(DependencyFailed, match="offset"):
        await source.ack([found.position])

    scratch.rmdir()
    await source.ack([found.position])

    assert (tmp_path / "e.jsonl.offset").read_text() == "4\n"
    await source.close()


async def test_a_file_that_was_read_further_than_it_goes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(b"one\n")
    (tmp_path / "e.jsonl.offset").write_text("5\n")

    with pytest.raises(OSError, match=r"ends before byte 5; e\.jsonl\.offset says"):
        JsonlSource(path, speed=0, clock=time.monotonic)


async def test_empty_lines_are_not_the_end(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(b"\n" * 600_000 + b"one\n")
    source = JsonlSource(path, speed=0, clock=time.monotonic)

    assert [each.body for each in await source.read(10) or []] == [b"one"]
    assert await source.read(10) is None

    await source.close()


@pytest.mark.parametrize("kept", ["", "nonsense", "-5"])
async def test_an_offset_that_is_none_is_the_beginning(tmp_path: Path, kept: str) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(b"one\n")
    (tmp_path / "e.jsonl.offset").write_text(kept)
    source = JsonlSource(path, speed=0, clock=time.monotonic)

    assert [each.body for each in await source.read(10) or []] == [b"one"]

    await source.close()


async def test_a_replay_takes_its_part_of_the_time_that_it_took(tmp_path: Path) -> None:
    path, now = tmp_path / "e.jsonl", 100.0
    lines = [b'{"timestamp":"2024-01-01T00:00:%02dZ"}' % s for s in (0, 10, 20)]
    path.write_bytes(b"\n".join([lines[0], b"nonsense", *lines[1:]]))
    source = JsonlSource(path, speed=10.0, clock=lambda: now)

    async def read() -> list[Any]:
        return [each.body for each in await source.read(10) or []]

    assert await read() == [lines[0], b"nonsense"]
    assert await read() == []
    now = 101.0
    assert await read() == [lines[1]]
    now = 101.9
    assert await read() == []
    now = 102.0
    assert await read() == [lines[2]]
    assert await source.read(10) is None
    await source.close()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"e\.jsonl"):
        JsonlSource(tmp_path / "e.jsonl", speed=0, clock=time.monotonic)
