import os
import sys
import threading
from pathlib import Path

import pytest

from inferd.inference.threads import give_way
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
