"""Runs that fail, are stopped or are kept to cores, in ONNX Runtime itself."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inferd.config import Inference, Runtime
from inferd.errors import ModelFailed
from inferd.inference.batch import Batch
from inferd.inference.loading import Loader, Source
from inferd.inference.repository.layout import read_model
from inferd.inference.repository.model_config import config_from
from inferd.inference.request import Request, Tensors
from inferd.inference.session_settings import AFFINITIES
from inferd.inference.worker import Worker
from inferd.runtime.session import Session, Stop
from inferd.runtime.settings import SessionSettings

REPOSITORY = Path(__file__).parents[1] / "repository"
CORES = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


def clock() -> float:
    return 0.0


class Watched:
    """A session that tells when a run begins and how many have ended, and what was run."""

    def __init__(self, model: str) -> None:
        self.session = Session(REPOSITORY / model / "1" / "model.onnx", SessionSettings())
        self.ran: list[list[float]] = []
        self.began = threading.Event()
        self.ended: Callable[[int], None] = lambda _: None

    def stop(self) -> Stop:
        return self.session.stop()

    def run(self, inputs: Tensors, outputs: Sequence[str], stop: Stop) -> list[NDArray[Any]]:
        self.ran.append(next(iter(inputs.values()))[:, 0].tolist())
        self.began.set()
        try:
            return self.session.run(inputs, outputs, stop)
        finally:
            self.ended(len(self.ran))


def a_batch(model: Watched, name: str, rows: Sequence[NDArray[Any]]) -> Batch:
    requests = []
    for row in rows:
        request = Request(outputs=("OUTPUT0",), rows=1, deadline=1.0, arrived=0.0)
        request.inputs = {name: row.reshape(1, 1)}
        request.future = asyncio.get_running_loop().create_future()
        requests.append(request)
    return Batch(requests, model.stop())


def indices(*values: int) -> list[NDArray[np.int64]]:
    return [np.array(value, np.int64) for value in values]


async def test_only_the_poison_fails() -> None:
    model = Watched("poison")
    batch = a_batch(model, "INDEX", indices(0, 1, 9, 3, 2, 1))

    batch.run(model, clock)

    assert [
        None if isinstance(result, ModelFailed) else result["OUTPUT0"].item()
        for result in batch.results
    ] == [10, 20, None, 40, 30, 20]


async def test_who_leaves_while_the_poison_is_looked_for_is_not_run_again() -> None:
    model = Watched("poison")
    batch = a_batch(model, "INDEX", indices(9, 1, 2, 3))

    def leave(runs: int) -> None:
        if runs == 1:
            batch.requests[1].future.cancel()
            batch.requests[2].future.cancel()

    model.ended = leave
    batch.run(model, clock)

    assert model.ran == [[9, 1, 2, 3], [9], [3]]
    left, last = batch.results[0], batch.results[3]
    assert isinstance(left, ModelFailed)
    assert not isinstance(last, ModelFailed)
    assert last["OUTPUT0"].item() == 40


async def test_a_batch_that_was_stopped_while_the_poison_is_looked_for_runs_no_further() -> None:
    """As the batcher does it: when the last has left, it stops the batch; that may be late."""
    model = Watched("poison")
    batch = a_batch(model, "INDEX", indices(9, 1, 2, 3))
    model.ended = lambda _: batch.stop.now()

    batch.run(model, clock)

    assert all(isinstance(result, ModelFailed) for result in batch.results)
    assert isinstance(batch.results[3], ModelFailed)
    assert "terminate" in str(batch.results[3])


async def test_a_run_whose_callers_have_all_left_ends_early() -> None:
    model = Watched("slow")
    worker = Worker("test", model, clock)
    batch = a_batch(model, "INPUT0", [np.array(value, np.float32) for value in range(8)])
    done = asyncio.Event()

    worker.submit(batch, done.set)
    await asyncio.to_thread(model.began.wait)
    for request in batch.requests:
        request.future.cancel()
    batch.stop.now()
    await done.wait()
    worker.close(timeout_s=5.0)

    assert len(model.ran) == 1
    assert all(isinstance(result, ModelFailed) for result in batch.results)
    assert "terminate" in str(batch.results[0])


@pytest.mark.parametrize(
    ("pin", "own", "cores", "logged"),
    [
        (True, (4, 7), ((4,), (7,)), "each its own: [(4,), (7,)]"),
        (True, (4,), ((), ()), "each its own: none, there are too few"),
        (True, (), ((), ()), "each its own: none, there are too few"),
        (False, (4, 7), (), ""),
    ],
)
def test_instances_get_cores_if_that_is_wanted_and_there_are_enough(
    caplog: pytest.LogCaptureFixture, pin: bool, own: tuple[int, ...], cores: Any, logged: str
) -> None:
    caplog.set_level("INFO")
    files = read_model(REPOSITORY / "poison", root=REPOSITORY, wall_now=1e12)
    assert files is not None
    config = config_from({"instance_group": [{"count": 2, "kind": "KIND_CPU"}]}, model="poison")
    loader = Loader(
        Inference(warmup_runs=1), Runtime(pin_cores=pin), cores=2, own_cores=own, clock=clock
    )

    loaded = loader.load(
        Source("poison", 1, files.versions[1], files.directory, config), lambda: None
    )

    assert [placement.cores for _, placement in loaded.sessions] == [cores]
    assert logged in caplog.text
    assert bool(logged) == ("each its own" in caplog.text)


@pytest.mark.skipif(len(CORES) < 2, reason="needs two cores and a system that tells them apart")
class TestCores:
    async def test_an_instances_thread_is_kept_to_its_core(self) -> None:
        found: list[set[int]] = []
        model = Watched("poison")
        model.ended = lambda _: found.append(os.sched_getaffinity(threading.get_native_id()))
        worker = Worker("test", model, clock, cores=CORES[1:2])
        done = asyncio.Event()

        worker.submit(a_batch(model, "INDEX", indices(1)), done.set)
        await done.wait()
        worker.close(timeout_s=5.0)

        assert found == [{CORES[1]}]
        assert os.sched_getaffinity(0) == set(CORES)

    def test_a_sessions_threads_are_kept_to_the_cores_in_its_settings(self) -> None:
        """The setting counts cores from 1."""
        before = set(os.listdir("/proc/self/task"))
        settings = SessionSettings(
            intra_op_threads=2, entries={AFFINITIES: str(CORES[1] + 1)}, spinning=True
        )
        session = Session(REPOSITORY / "slow" / "1" / "model.onnx", settings)
        (thread,) = set(os.listdir("/proc/self/task")) - before

        inputs = {"INPUT0": np.zeros((1, 1), np.float32)}
        for _ in range(100):  # it keeps itself to its core, once it has begun
            if os.sched_getaffinity(int(thread)) == {CORES[1]}:
                break
            session.run(inputs, ["OUTPUT0"], session.stop())

        assert os.sched_getaffinity(int(thread)) == {CORES[1]}
