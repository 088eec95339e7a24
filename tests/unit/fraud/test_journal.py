"""A chain of records: what it survives, and what is noticed of it."""

import resource
from pathlib import Path

import pytest

from inferd.cache.journal import files
from inferd.cache.journal.chain import Link
from inferd.cache.journal.verification import found, verify
from inferd.errors import DependencyFailed
from support.journals import DAY_US, bad, chain, checked, entry, segments, writer

IDS = [f"t{number}" for number in range(1, 7)]


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def rewrite(path: Path, lines: list[bytes]) -> None:
    path.write_bytes(b"".join(lines))


def test_a_chain_is_whole_across_segments(tmp_path: Path) -> None:
    chain(tmp_path, *IDS, per_segment=2)

    verdict = checked(tmp_path)

    assert (verdict.whole, verdict.records, verdict.head.seq) == (True, 6, 6)
    assert [path.name for path in segments(tmp_path)] == [
        f"one.{first:012d}.jsonl" for first in (1, 3, 5)
    ]


@pytest.mark.parametrize(
    ("record", "old", "new"),
    [(1, b"0.5", b"0.6"), (4, b"t4", b"t9"), (6, b'"hash":"', b'"hash":"0')],
)
def test_a_changed_record_is_named(tmp_path: Path, record: int, old: bytes, new: bytes) -> None:
    chain(tmp_path, *IDS)
    (path,) = segments(tmp_path)
    lines = lines_of(path)
    lines[record - 1] = lines[record - 1].replace(old, new)
    rewrite(path, lines)

    assert bad(tmp_path) == (record, "it was changed: its bytes do not have its hash")


def test_a_record_that_was_changed_with_its_hash_is_noticed_by_the_next(tmp_path: Path) -> None:
    chain(tmp_path / "right", *IDS)
    chain(tmp_path / "wrong", "t1", "t2", "forged", *IDS[3:])
    (right,), (wrong,) = segments(tmp_path / "right"), segments(tmp_path / "wrong")
    lines = lines_of(right)
    lines[2] = lines_of(wrong)[2]
    rewrite(right, lines)

    assert bad(tmp_path / "right") == (4, "it was written after another record 3")


def test_a_chain_that_was_written_anew_is_noticed_by_its_head(tmp_path: Path) -> None:
    chain(tmp_path / "right", *IDS)
    chain(tmp_path / "wrong", *IDS[:5], "forged")
    (right,), (wrong,) = segments(tmp_path / "right"), segments(tmp_path / "wrong")
    right.write_bytes(wrong.read_bytes())

    assert bad(tmp_path / "right") == (6, "it is another than was written")


def test_a_removed_record_is_named(tmp_path: Path) -> None:
    chain(tmp_path, *IDS)
    (path,) = segments(tmp_path)
    lines = lines_of(path)
    rewrite(path, lines[:2] + lines[3:])

    assert bad(tmp_path) == (3, "record 4 is in its place")


def test_swapped_records_are_named(tmp_path: Path) -> None:
    chain(tmp_path, *IDS)
    (path,) = segments(tmp_path)
    lines = lines_of(path)
    lines[1], lines[4] = lines[4], lines[1]
    rewrite(path, lines)

    assert bad(tmp_path) == (2, "record 5 is in its place")


def test_a_removed_segment_is_named(tmp_path: Path) -> None:
    chain(tmp_path, *IDS, per_segment=2)
    segments(tmp_path)[1].unlink()

    assert bad(tmp_path) == (3, "record 5 is in its place")


def test_a_removed_beginning_is_named(tmp_path: Path) -> None:
    chain(tmp_path, *IDS, per_segment=2)
    segments(tmp_path)[0].unlink()

    assert bad(tmp_path) == (1, "it is missing, and so are all up to record 2")


@pytest.mark.parametrize(
    ("cut", "why"), [(0, "it is missing, and so are all up to record 6"), (1, "it is cut off")]
)
def test_a_truncated_file_is_noticed(tmp_path: Path, cut: int, why: str) -> None:
    chain(tmp_path, *IDS)
    (path,) = segments(tmp_path)
    lines = lines_of(path)
    rewrite(path, [*lines[:4], lines[4][: -20 if cut else 0]])

    assert bad(tmp_path) == (5, why)


def test_a_chain_whose_head_was_removed_is_not_whole(tmp_path: Path) -> None:
    chain(tmp_path, *IDS)
    (tmp_path / "one.head").unlink()

    assert bad(tmp_path) == (6, "the head is missing")


def test_who_noted_the_head_elsewhere_need_not_trust_the_one_beside_the_chain(
    tmp_path: Path,
) -> None:
    chain(tmp_path / "right", *IDS)
    noted = checked(tmp_path / "right").head
    chain(tmp_path / "forged", *IDS[:5], "forged")

    assert verify(tmp_path / "right", "one", expected=noted).whole
    verdict = verify(tmp_path / "forged", "one", expected=noted)
    assert verdict.bad is not None
    assert (verdict.bad.seq, verdict.bad.why) == (6, "it is another than was written")


def test_of_a_record_that_has_been_removed_since_nothing_can_be_told(tmp_path: Path) -> None:
    chain(tmp_path, *IDS, per_segment=2)
    (noted,) = (each.link for each in found(tmp_path, "t1"))
    it = writer(tmp_path, now_us=3 * DAY_US, keep_s=2 * 86_400)
    it.tend(3 * DAY_US)
    it.close()

    verdict = verify(tmp_path, "one", expected=noted)

    assert verdict.bad is not None
    assert verdict.bad.why == "it has been removed since, and cannot be told"


def test_a_chain_goes_on_where_it_ended(tmp_path: Path) -> None:
    chain(tmp_path, "t1", "t2")
    chain(tmp_path, "t3")

    assert (checked(tmp_path).whole, checked(tmp_path).head.seq) == (True, 3)
    assert len(segments(tmp_path)) == 1


def test_a_torn_line_is_cut_off_and_said_so(tmp_path: Path) -> None:
    chain(tmp_path, *IDS)
    (path,) = segments(tmp_path)
    with path.open("ab") as file:
        file.write(b'{"seq":7,"pr')
    assert checked(tmp_path).whole, "nobody was told that it is safe"

    chain(tmp_path, "t7")

    verdict = checked(tmp_path)
    assert (verdict.whole, verdict.records) == (True, 8)
    assert len(verdict.notes) == 1
    assert '"event":"cut_off"' in verdict.notes[0]
    assert '"bytes":12' in verdict.notes[0]


def test_records_that_are_missing_when_a_server_starts_are_noted_for_good(tmp_path: Path) -> None:
    chain(tmp_path, *IDS)
    (path,) = segments(tmp_path)
    rewrite(path, lines_of(path)[:4])

    chain(tmp_path, "t7")

    assert b'{"event":"lost","from":5,"through":6}' in segments(tmp_path)[1].read_bytes()
    assert bad(tmp_path) == (5, "record 7 is in its place")
    assert [each.seq for each in found(tmp_path, "t7")] == [8]


@pytest.mark.parametrize(
    ("gone", "first", "why"),
    [
        ([0], 1, "it is missing, and so are all up to record 2"),
        ([2], 5, "record 7 is in its place"),
        ([0, 1, 2], 1, "it is missing, and so are all up to record 6"),
    ],
)
def test_a_segment_that_was_moved_away_is_missed_however_often_a_server_starts_after_that(
    gone: list[int], first: int, why: str, tmp_path: Path
) -> None:
    chain(tmp_path, *IDS, per_segment=2)
    there = segments(tmp_path)
    for number in gone:
        there[number].unlink()

    chain(tmp_path, "t7")
    chain(tmp_path, "t8")

    assert bad(tmp_path) == (first, why)
    assert len(found(tmp_path, "t8")) == 1


def test_what_is_missed_is_forgotten_when_its_time_is_over(tmp_path: Path) -> None:
    chain(tmp_path, *IDS, per_segment=2)
    segments(tmp_path)[2].unlink()
    chain(tmp_path, "t7")
    it = writer(tmp_path, now_us=9 * DAY_US, keep_s=5 * 86_400)

    it.tend(9 * DAY_US)
    it.close()

    assert found(tmp_path, "t1") == []
    assert checked(tmp_path).whole


def test_a_head_that_was_missing_when_a_server_started_is_noted(tmp_path: Path) -> None:
    chain(tmp_path, *IDS, per_segment=2)
    segments(tmp_path)[2].unlink()
    (tmp_path / "one.head").unlink()

    chain(tmp_path, "t7")

    (note,) = checked(tmp_path).notes
    assert '"file":"one.head","why":"it was missing, and so may be the last records"' in note


@pytest.mark.parametrize("record", [1, 3, 6])
def test_a_damaged_chain_is_continued_and_stays_damaged(tmp_path: Path, record: int) -> None:
    chain(tmp_path, *IDS)
    (path,) = segments(tmp_path)
    lines = lines_of(path)
    lines[record - 1] = lines[record - 1].replace(b"0.5", b"0.6")
    rewrite(path, lines)

    chain(tmp_path, "t7")
    chain(tmp_path, "t8")

    assert path.read_bytes() == b"".join(lines)
    assert bad(tmp_path)[0] == record
    assert [each.id for each in found(tmp_path, "t8")] == ["t8"]


def test_what_a_crash_left_of_a_new_segment_does_no_harm(tmp_path: Path) -> None:
    chain(tmp_path, *IDS)
    files.named(tmp_path, "one", 7).path.touch()

    chain(tmp_path, "t7")

    assert (checked(tmp_path).whole, checked(tmp_path).records) == (True, 7)


def test_segments_are_removed_when_their_time_is_over_and_the_rest_can_be_verified(
    tmp_path: Path,
) -> None:
    chain(tmp_path, *IDS, per_segment=2)
    it = writer(tmp_path, now_us=3 * DAY_US, keep_s=2 * 86_400)

    it.tend(3 * DAY_US)
    it.close()

    verdict = checked(tmp_path)
    assert verdict.whole
    assert [each.id for each in found(tmp_path, "t2")] == []
    assert [each.id for each in found(tmp_path, "t3")] == ["t3"]
    assert any('"event":"retired"' in note and '"through":2' in note for note in verdict.notes)


def test_the_last_segments_of_a_server_that_has_nothing_to_write_are_removed_too(
    tmp_path: Path,
) -> None:
    chain(tmp_path, "t1")
    it = writer(tmp_path, keep_s=86_400)
    for day in range(1, 5):
        it.tend(day * DAY_US)
    it.close()

    assert found(tmp_path, "t1") == []
    assert checked(tmp_path).whole
    assert len(segments(tmp_path)) <= 2


def test_a_chain_has_one_writer(tmp_path: Path) -> None:
    it = writer(tmp_path)

    with pytest.raises(OSError, match=r"one in .* is written by another process"):
        writer(tmp_path)

    it.close()
    writer(tmp_path).close()


def test_nothing_of_a_group_is_there_when_the_disk_is_full(tmp_path: Path) -> None:
    it = writer(tmp_path)
    it.write([entry("t1")], 0, sync=True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            it.write([entry("t2"), entry("t3")], 0, sync=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(lines_of(segments(tmp_path)[0])) == 1

    it.write([entry("t4")], 0, sync=True)
    it.close()

    assert (checked(tmp_path).whole, checked(tmp_path).head.seq) == (True, 2)


def test_records_go_on_and_the_chain_is_broken_where_its_open_file_was_removed(
    tmp_path: Path,
) -> None:
    it = writer(tmp_path)
    it.write([entry("t1")], 0, sync=False)
    segments(tmp_path)[0].unlink()

    it.write([entry("t2")], 0, sync=False)
    it.close()

    assert [path.name for path in segments(tmp_path)] == ["one.000000000002.jsonl"]
    assert b'{"event":"removed","through":1}' in segments(tmp_path)[0].read_bytes()
    assert [each.id for each in found(tmp_path, "t2")] == ["t2"]
    assert not checked(tmp_path).whole


def test_what_two_servers_wrote_of_an_id_is_found_together(tmp_path: Path) -> None:
    chain(tmp_path, *IDS)
    other = writer(tmp_path, server="two")
    other.write([entry("t2")], 0, sync=True)
    other.close()

    assert [each.link for each in found(tmp_path, "t2")] == [
        Link(2, found(tmp_path, "t2")[0].hash),
        Link(1, found(tmp_path, "t2")[1].hash),
    ]
    assert found(tmp_path, "t") == []


def test_who_looks_for_a_record_that_was_changed_is_told_so(tmp_path: Path) -> None:
    chain(tmp_path, *IDS)
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"0.5", b"0.6"))

    with pytest.raises(DependencyFailed, match="it was changed"):
        found(tmp_path, "t3")
