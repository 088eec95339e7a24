import os
import sys
import threading
from pathlib import Path

import pytest

from inferd.inference.threads import give_way, stay_on
from inferd.telemetry.threads import MAX_BYTES, name_this_thread


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows it in a file")
def test_the_kernel_knows_the_name() -> None:
    shown: list[str] = []

    def work() -> None:
        name_this_thread("a model with a long name")
        comm = Path(f"/proc/self/task/{threading.get_native_id()}/comm")
        shown.append(comm.read_text().rstrip("\n"))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert shown == ["a model with a long name"[:MAX_BYTES]]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a niceness per thread")
def test_only_the_thread_that_gives_way_is_slower() -> None:
    niceness: list[int] = []

    def work() -> None:
        give_way(5)
        niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    thread = threading.Thread(target=work)
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    thread.start()
    thread.join()

    assert niceness == [5]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has cores per thread")
def test_only_the_thread_that_is_kept_to_a_core_is() -> None:
    before = os.sched_getaffinity(0)
    kept: list[set[int]] = []

    def work() -> None:
        stay_on(())
        kept.append(os.sched_getaffinity(threading.get_native_id()))
        stay_on([max(before)])
        kept.append(os.sched_getaffinity(threading.get_native_id()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert kept == [before, {max(before)}]
    assert os.sched_getaffinity(0) == before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has cores per thread")
def test_a_core_that_is_not_there_is_no_reason_not_to_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = os.sched_getaffinity(0)

    stay_on([4095])

    assert os.sched_getaffinity(0) == before
    assert "cannot keep a thread to the cores [4095]" in caplog.text
