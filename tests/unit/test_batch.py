"""A batch is put together, run and taken apart; when it fails, it is halved down to the poison."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inferd.errors import ModelFailed
from inferd.inference.batch import Batch
from inferd.inference.packing import Rows
from inferd.inference.request import Request, Tensors
from inferd.inference.worker import Worker


class Model:
    """Adds one to `x`, and is its own session, stopper and clock. 13 is poison, 14 is a bug."""

    def __init__(self) -> None:
        self.ran: list[list[float]] = []
        self._ticks: Iterator[int] = count(1)
        #: Called with the number of runs so far, when one has begun.
        self.after_run: Callable[[int], object] = lambda _: None

    def clock(self) -> float:
        return float(next(self._ticks))

    def now(self) -> None:
        pass

    def stop(self) -> "Model":
        return self

    def run(self, inputs: Tensors, outputs: Sequence[str], stop: object) -> list[NDArray[Any]]:
        x = inputs["x"]
        self.ran.append(x[:, 0].tolist())
        self.after_run(len(self.ran))
        if (x == 13).any():
            raise ModelFailed("13 is not supported")
        if (x == 14).any():
            raise KeyError("a bug")
        return [x + 1 if name == "y" else -x for name in outputs]


def a_batch(model: Model, *values: float, rows: int = 1, outputs: Any = ("y",)) -> Batch:
    requests = [Request(outputs=outputs, rows=rows, deadline=1.0, arrived=0.0) for _ in values]
    for request, value in zip(requests, values, strict=True):
        request.inputs = {"x": np.full((rows, 1), value)}
        request.future = asyncio.get_running_loop().create_future()
    return Batch(requests, model.stop())


def results(batch: Batch) -> list[Any]:
    return [
        str(result) if isinstance(result, ModelFailed) else result["y"].tolist()
        for result in batch.results
    ]


async def test_everyone_gets_their_own_rows() -> None:
    model = Model()
    batch = a_batch(model, 1, 2, rows=2)

    batch.run(model, model.clock)

    assert results(batch) == [[[2], [2]], [[3], [3]]]
    assert batch.clean
    assert batch.began < batch.assembled < batch.computed < batch.ended


async def test_everyone_gets_the_outputs_they_asked_for() -> None:
    model = Model()
    batch = a_batch(model, 1)
    batch.requests = [*batch.requests, *a_batch(model, 2, outputs=("z", "y")).requests]

    batch.run(model, model.clock)

    assert [list(result) for result in batch.results if not isinstance(result, ModelFailed)] == [
        ["y"],
        ["z", "y"],
    ]


@pytest.mark.parametrize("values", [(13,), (13, 1, 2, 3), (1, 2, 3, 13), (13, 1, 13, 2, 13)])
async def test_only_poison_fails(values: tuple[int, ...]) -> None:
    model = Model()
    batch = a_batch(model, *values)

    batch.run(model, model.clock)

    assert results(batch) == [
        "13 is not supported" if value == 13 else [[value + 1]] for value in values
    ]
    assert not batch.clean


async def test_one_culprit_among_many_costs_few_runs() -> None:
    model = Model()
    batch = a_batch(model, *range(13), 13, 20, 21)

    batch.run(model, model.clock)

    assert len(model.ran) == 9, "1 and then 2 for each of 4 halvings"


async def test_nobody_runs_again_for_those_who_have_left() -> None:
    model = Model()
    batch = a_batch(model, 13, 1, 2, 3)
    for request in batch.requests:
        request.future.cancel()

    batch.run(model, model.clock)

    assert len(model.ran) == 1
    assert len(batch.results) == 4


async def test_who_leaves_while_the_culprit_is_looked_for_is_not_run_again() -> None:
    model = Model()
    batch = a_batch(model, 13, 1, 2, 3)

    def leave(ran: int) -> None:
        if ran == 1:
            for request in batch.requests[1:3]:
                request.future.cancel()

    model.after_run = leave
    batch.run(model, model.clock)

    assert model.ran == [[13, 1, 2, 3], [13], [3]]
    assert results(batch)[3] == [[4]]
    assert len(batch.results) == 4


async def test_when_all_have_left_meanwhile_nothing_runs_any_more() -> None:
    model = Model()
    batch = a_batch(model, 13, 1, 2, 3)
    model.after_run = lambda _: [request.future.cancel() for request in batch.requests]

    batch.run(model, model.clock)

    assert len(model.ran) == 1
    assert len(batch.results) == 4


async def test_a_batch_is_filled_up_and_says_so() -> None:
    model = Model()
    batch = a_batch(model, 1, 2)

    batch.run(model, model.clock, Rows((4,)))

    assert model.ran == [[1, 2, 2, 2]]
    assert results(batch) == [[[2]], [[3]]]
    assert batch.padding == 2


async def test_the_halves_of_a_batch_are_filled_up_too() -> None:
    model = Model()
    batch = a_batch(model, 1, 13, 2)

    batch.run(model, model.clock, Rows((2, 4)))

    assert model.ran == [[1, 13, 2, 2], [1, 1], [13, 2], [13, 13], [2, 2]]
    assert results(batch) == [[[2]], "13 is not supported", [[3]]]


@pytest.mark.parametrize("values", [(14,), (1, 14, 2)])
async def test_a_bug_fails_the_batch_and_leaves_times_that_can_be_counted(
    values: tuple[int, ...],
) -> None:
    model = Model()
    batch = a_batch(model, *values)
    worker = Worker("test", model, model.clock)

    worker.run_here(batch)
    worker.close(timeout_s=5.0)

    assert all("log says why" in result for result in results(batch))
    assert len(batch.results) == len(values)
    assert not batch.clean
    assert batch.began <= batch.assembled <= batch.computed <= batch.ended


async def test_a_run_that_failed_keeps_nobody_alive() -> None:
    """Without the garbage collector: a session is threads and much memory."""
    gc.disable()
    try:
        model = Model()
        batch = a_batch(Model(), 13)
        gone = weakref.ref(model)
        batch.run(model, model.clock)
        assert results(batch) == ["13 is not supported"]
        del model
        assert gone() is None
    finally:
        gc.enable()
