"""What tells a model that fails from poison, from NaN, and from what was broken on purpose."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inferd.errors import FaultInjected, InferdError, ModelFailed, Poison
from inferd.inference.batch import Batch
from inferd.inference.control import COUNTS_FOR_S, Control
from inferd.inference.faulty import Faulty, any_broken
from inferd.inference.finite import FiniteOutputs
from inferd.inference.request import Request, Tensors
from inferd.inference.warmup import Sample
from inferd.inference.worker import Worker
from inferd.runtime.signature import Signature
from support.fake_models import tensor

NUMBERS = Signature((tensor("x", "FP32", -1, 1),), (tensor("y", "FP32", -1, 1),), 8)
GOOD = Sample("good", {"x": np.zeros((1, 1), np.float32)}, 1)


class Model:
    """Returns `x` as `y`; 13 is poison. Its own stopper and clock."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.fails = False
        #: What is raised of good requests, though it should not be.
        self.bug: Exception | None = None
        self.ran: list[list[float]] = []

    def clock(self) -> float:
        return self.now_s

    def now(self) -> None:
        pass

    def stop(self) -> "Model":
        return self

    def run(self, inputs: Tensors, outputs: Sequence[str], stop: object) -> list[NDArray[Any]]:
        x = inputs["x"]
        self.ran.append(x[:, 0].tolist())
        if self.bug and not x.any():
            raise self.bug
        if self.fails or (x == 13).any():
            raise ModelFailed("13 is not supported")
        return [x for _ in outputs]


def a_batch(model: Model, *values: float) -> Batch:
    requests = [Request(outputs=("y",), rows=1, deadline=1.0, arrived=0.0) for _ in values]
    for request, value in zip(requests, values, strict=True):
        request.inputs = {"x": np.full((1, 1), value, np.float32)}
        request.future = asyncio.get_running_loop().create_future()
    return Batch(requests, model)


def a_worker(model: Model, *, finite: bool = False, points: Sequence[Any] = ()) -> Worker:
    check = FiniteOutputs(NUMBERS) if finite else None
    control = Control(GOOD, ("y",), finite=check, clock=model.clock)
    return Worker("test", model, model.clock, finite=check, control=control, points=points)


def ran(model: Model, *values: float, **settings: Any) -> Batch:
    worker, batch = a_worker(model, **settings), a_batch(model, *values)
    worker.run_here(batch)
    worker.close(timeout_s=5.0)
    return batch


def kinds(batch: Batch) -> list[type]:
    return [type(result) for result in batch.results]


async def test_poison_alone_is_told_by_a_good_request_that_is_answered() -> None:
    model = Model()

    batch = ran(model, 13)

    assert model.ran == [[13], [0]]
    assert kinds(batch) == [Poison]
    assert not batch.failed


async def test_where_a_good_request_fails_too_it_is_the_model() -> None:
    model = Model()
    model.fails = True

    batch = ran(model, 1)

    assert kinds(batch) == [ModelFailed]
    assert batch.failed


async def test_a_control_that_cannot_be_run_leaves_it_at_that() -> None:
    model = Model()
    model.bug = ValueError("nobody thought of this")

    batch = ran(model, 13)

    assert kinds(batch) == [ModelFailed]
    assert batch.failed


async def test_a_batch_that_somebody_got_an_answer_from_needs_no_control() -> None:
    model = Model()

    batch = ran(model, 1, 13)

    assert model.ran == [[1, 13], [1], [13]]
    assert kinds(batch) == [dict, Poison]
    assert not batch.failed


async def test_a_good_answer_counts_for_a_while() -> None:
    model = Model()
    worker = a_worker(model)
    for pause_s in (0.0, COUNTS_FOR_S / 2, COUNTS_FOR_S):
        model.now_s += pause_s
        worker.run_here(a_batch(model, 13))
    worker.close(timeout_s=5.0)

    assert model.ran.count([0]) == 2


async def test_answers_that_are_not_finite_are_failures_of_their_callers_only() -> None:
    batch = ran(Model(), 1, np.nan, np.inf, 2, finite=True)

    assert kinds(batch) == [dict, Poison, Poison, dict]
    assert str(batch.results[1]) == "the model's answer is not finite"
    assert batch.clean, "it ran in one piece"


async def test_nan_passes_where_nobody_minds() -> None:
    assert kinds(ran(Model(), np.nan)) == [dict]


@pytest.mark.parametrize(
    ("datatype", "bad"),
    [
        ("FP16", np.array([np.inf], np.float16)),
        ("FP64", np.array([np.nan], np.float64)),
        ("BF16", np.array([0x7FC0], np.uint16)),
    ],
)
def test_every_kind_of_number_is_looked_at(datatype: str, bad: NDArray[Any]) -> None:
    signature = Signature((), (tensor("y", datatype, -1), tensor("n", "INT64", -1)), 0)
    finite = FiniteOutputs(signature)

    assert not finite.all_in({"n": np.array([1]), "y": bad})
    assert finite.all_in({"n": np.array([1]), "y": np.zeros_like(bad)})


class Point:
    """Does at a fault point what the test says."""

    def __init__(self) -> None:
        self.fault: object | None = ("something",)
        self.raises: InferdError | None = None
        self.stopped: list[bool] = []
        self.spoil: Callable[[Tensors], Tensors] = lambda value: value

    def before_on_thread(self, stopped: Callable[[], bool]) -> None:
        self.stopped.append(stopped())
        if self.raises:
            raise self.raises

    def after(self, value: Tensors) -> Tensors:
        return self.spoil(value)


def faulty(model: Model, batch: Batch, point: Point) -> Batch:
    control = Control(GOOD, ("y",), clock=model.clock)
    runner = Faulty(model, [point], batch)
    batch.run(runner, model.clock)
    if batch.failed and control.passes(runner, model):
        batch.acquit()
    return batch


async def test_what_is_broken_on_purpose_is_broken_for_the_control_too() -> None:
    model, point = Model(), Point()
    point.raises = FaultInjected("it was broken on purpose")

    batch = faulty(model, a_batch(model, 1), point)

    assert batch.failed
    assert kinds(batch) == [ModelFailed]
    assert str(batch.results[0]) == "it was broken on purpose"
    assert model.ran == []


async def test_a_result_is_spoilt_after_the_run() -> None:
    model, point = Model(), Point()
    point.spoil = lambda value: {name: np.full_like(each, 7) for name, each in value.items()}

    batch = faulty(model, a_batch(model, 1), point)

    (result,) = batch.results
    assert not isinstance(result, ModelFailed)
    assert result["y"].tolist() == [[7]]


async def test_whoever_hangs_on_purpose_knows_when_the_run_is_given_up() -> None:
    model, point = Model(), Point()
    batch = a_batch(model, 1)
    batch.end()

    faulty(model, batch, point)

    assert point.stopped == [True]


def test_a_point_without_a_fault_breaks_nothing() -> None:
    well, ill = Point(), Point()
    well.fault = None

    assert [any_broken(each) for each in ([], [well], [well, ill])] == [False, False, True]
