"""One row of numbers in, one prediction out, of whatever the model's outputs are."""

import asyncio
from typing import Any

import numpy as np
import pytest

from inferd.call import Call
from inferd.config.stream import Route
from inferd.deadline import Deadline
from inferd.errors import Expired, InvalidRequest, ModelFailed, NotFound
from inferd.streaming.predictor import Answer, Predictor
from support.fake_models import FakeModels, FakeVersion, tensor

SCORES = tensor("scores", "FP32", -1, 3)


async def asked(version: FakeVersion, numbers: Any = None, **said: Any) -> Answer:
    clock = asyncio.get_running_loop().time
    models: Any = FakeModels(version)
    route = Route.model_validate({"model": "m", "inputs": {"x": ["data.a"]}, **said})
    call = Call("/t", arrived=clock())
    return await Predictor(models, clock).predict(
        call, Deadline(clock() + 0.05), route, numbers or {"x": [1.0, 2.0]}
    )


def answering(**outputs: Any) -> FakeVersion:
    arrays = {name: np.asarray(value) for name, value in outputs.items()}
    kinds = {"O": "BYTES", "f": "FP32", "i": "INT64"}
    it = FakeVersion(
        outputs=[tensor(name, kinds[each.dtype.kind], *each.shape) for name, each in arrays.items()]
    )
    it.run = lambda _: arrays
    return it


async def test_one_number_is_the_prediction() -> None:
    it = answering(y=[[0.25]])

    assert await asked(it) == Answer(0.25, None, "1")
    assert it.asked[0].inputs["x"].tolist() == [[1.0, 2.0]]
    assert it.asked[0].inputs["x"].dtype == np.float32


async def test_of_several_the_largest_is_the_prediction_and_tells_how_sure_it_is() -> None:
    assert await asked(answering(y=[[0.25, 0.5, 0.125]])) == Answer(1, 0.5, "1")


async def test_outputs_are_asked_for_by_name() -> None:
    it = answering(scores=[[0.1, 0.75]], label=np.array([[b"fraud"]], object))

    assert await asked(it, prediction="label", confidence="scores") == Answer("fraud", 0.75, "1")
    assert it.asked[0].outputs == ("label", "scores")


async def test_a_text_is_one_that_can_be_published() -> None:
    it = answering(y=np.array([["a\ud800b"]], object))

    assert await asked(it) == Answer("a?b", None, "1")


async def test_a_model_that_is_not_brought_back_in_time_is_late() -> None:
    models: Any = FakeModels()
    clock = asyncio.get_running_loop().time

    async def get(name: str, version: str) -> Any:
        del name, version
        await asyncio.sleep(10)

    models.get = get
    route = Route.model_validate({"model": "m", "inputs": {"x": ["data.a"]}})
    call = Call("/t", arrived=clock())

    with pytest.raises(Expired, match="'m' was not loaded again in time"):
        await Predictor(models, clock).predict(call, Deadline(clock() + 0.05), route, {"x": [1.0]})

    assert clock() == pytest.approx(0.05)


async def test_a_model_without_a_batch_dimension_gets_a_row() -> None:
    it = FakeVersion(
        inputs=[tensor("x", "INT64", 2)], outputs=[tensor("y", "FP32", 1)], max_batch_size=0
    )
    it.run = lambda _: {"y": np.ones(1, np.float32)}

    await asked(it)

    assert it.asked[0].inputs["x"].tolist() == [1, 2]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
async def test_an_answer_that_is_not_finite_is_none(wrong: float) -> None:
    with pytest.raises(ModelFailed, match="not finite"):
        await asked(answering(y=[[wrong]]))


async def test_text_tells_nobody_how_sure_it_is() -> None:
    with pytest.raises(ModelFailed, match="confident"):
        await asked(answering(y=np.array([[b"a", b"b"]], object)), confidence="y")


@pytest.mark.parametrize(
    ("numbers", "says"), [({"z": [1.0, 2.0]}, "no input 'z'"), ({"x": [1.0]}, "unexpected shape")]
)
async def test_numbers_that_do_not_fit_are_refused(numbers: Any, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        await asked(FakeVersion(), numbers)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"inputs": {"z": ["data.a", "data.b"]}}, "no input 'z'"),
        ({"inputs": {"x": ["data.a"]}}, "unexpected shape"),
        ({"prediction": "scor"}, "output 'scor'"),
        ({"confidence": "sure"}, "output 'sure'"),
    ],
)
async def test_a_route_that_does_not_fit_its_model_is_told_before_there_are_events(
    said: Any, says: str
) -> None:
    models: Any = FakeModels(FakeVersion())
    predictor = Predictor(models, asyncio.get_running_loop().time)
    sound = {"model": "m", "inputs": {"x": ["data.a", "data.b"]}}

    await predictor.check(Route.model_validate(sound))
    with pytest.raises(InvalidRequest, match=says):
        await predictor.check(Route.model_validate({**sound, **said}))


async def test_a_model_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        await asked(FakeVersion("another"))
