"""Where a process's CPU went, thread by thread."""

import os
import threading

import pytest

from inferd_perf import threads
from inferd_perf.threads import Snapshot, Thread, elsewhere, group_of, parse, snapshot, used

#: Field 14 and 15 of proc(5) are user and system ticks.
STAT = "77 ({name}) S 1 2 3 4 5 6 7 8 9 10 {user} {system} 0 0 20 0 9 0 100\n"


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("wrk:worker_0", "wrk:worker"),
        ("wrk:worker_12", "wrk:worker"),
        ("ort-3", "ort"),
        ("python3.11", "python3."),
        ("main", "main"),
        ("42", "42"),
    ],
)
def test_threads_that_differ_by_a_number_do_the_same_work(name: str, group: str) -> None:
    assert group_of(name) == group


def test_a_threads_cpu_is_read_whatever_its_name_contains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "_TICKS_PER_S", 100)

    found = parse(STAT.format(name="a) R 1 (b", user=150, system=50), is_main=False)

    assert found == Thread("a) R 1 (b", 2.0)


def test_the_first_thread_is_a_group_of_its_own() -> None:
    found = parse(STAT.format(name="envoy", user=0, system=0), is_main=True)

    assert found.group == "envoy (main)"


def test_cpu_is_added_up_by_group_and_new_threads_count_from_their_start() -> None:
    before = Snapshot({1: Thread("a", 5.0), 2: Thread("b", 1.0), 3: Thread("b", 1.0)}, 10.0)
    after = Snapshot({1: Thread("a", 6.0), 2: Thread("b", 3.0), 4: Thread("b", 0.5)}, 20.0)

    assert used(before, after) == {"b": 2.5, "a": 1.0}
    assert list(used(before, after)) == ["b", "a"]


def test_what_neither_the_process_nor_the_generator_used_was_elsewhere() -> None:
    before = Snapshot({1: Thread("a", 0.0)}, 10.0)
    after = Snapshot({1: Thread("a", 4.0)}, 20.0)

    assert elsewhere(before, after, own_s=1.5) == 4.5
    assert elsewhere(before, after, own_s=9.0) == 0.0


def test_this_process_has_threads() -> None:
    ids = snapshot(os.getpid()).threads

    assert threading.get_native_id() in ids
    assert ids[os.getpid()].group.endswith("(main)")
