"""What becomes of one event: a prediction, a fallback that says so, a letter."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from inferd.deadline import Deadline
from inferd.errors import (
    DependencyFailed,
    Expired,
    InferdError,
    InvalidRequest,
    ModelFailed,
    NotFound,
    Shed,
)
from inferd.streaming.results import Finished, Letter, Result, Stage, Status
from inferd.streaming.stages import Taken
from support.streams import (
    EPOCH_S,
    ROUTE,
    FakeFeatures,
    FakePredictor,
    body,
    delivery,
    settings,
    stages,
)


async def handled(written: bytes, told: Any = None, **parts: Any) -> Finished:
    it, _ = stages(told or settings(), **parts)
    taken = it.take(delivery(written), asyncio.get_running_loop().time())
    return await it.handle(taken) if isinstance(taken, Taken) else taken


def failing(error: Exception) -> FakePredictor:
    async def fail(_: list[float]) -> float:
        raise error

    return FakePredictor(fail)


def the_result(finished: Finished) -> Result:
    assert finished.result is not None
    return finished.result


def the_letter(finished: Finished) -> Letter:
    (letter,) = finished.letters
    return letter


async def test_a_result_says_all_there_is_to_say() -> None:
    async def after_12_ms(row: list[float]) -> float:
        await asyncio.sleep(0.012)
        return 2 * row[0]

    finished = await handled(body("e1", "u1", amount=21), predictor=FakePredictor(after_12_ms))

    result = the_result(finished)
    assert result.latency_ms == pytest.approx(12.0)
    assert result == Result(
        "e1",
        "u1",
        "buy",
        42.0,
        0.5,
        result.latency_ms,
        datetime.fromtimestamp(EPOCH_S + 0.012, UTC),
        "m",
        "3",
        Status.OK,
    )
    assert finished.letters == ()
    assert finished.happened_s == EPOCH_S


async def test_the_model_is_asked_in_the_events_name_and_has_its_own_time() -> None:
    it, predictor = stages(settings(predict_ms=30))
    taken = it.take(delivery(body("e1")), 0.0)
    assert isinstance(taken, Taken)
    await asyncio.sleep(5.0)  # a queue is none of the model's time

    await it.handle(taken)

    ((call, deadline),) = predictor.calls
    assert call.metadata["x-request-id"] == "e1"
    assert call.method == "/inferd.stream/buy"
    assert deadline == Deadline(5.03)


async def test_a_table_says_which_model_answers_which_event() -> None:
    """Defect 6 of the design documents: what asks for a prediction names no model, and no user."""
    routes = {
        "buy": ROUTE | {"model": "fraud", "version": "2"},
        "view": ROUTE | {"model": "ranker", "inputs": {"x": ["data.rank"]}},
    }
    asked: list[tuple[str, str]] = []

    class Predictor(FakePredictor):
        async def predict(self, call: Any, deadline: Any, route: Any, numbers: Any) -> Any:
            asked.append((route.model, route.version))
            return await super().predict(call, deadline, route, numbers)

    told, predictor = settings(routes=routes), Predictor()
    await handled(body("1", amount=1), told, predictor=predictor)
    finished = await handled(body("2", type="view", rank=7), told, predictor=predictor)

    assert asked == [("fraud", "2"), ("ranker", "")]
    assert predictor.asked == [[1.0], [7.0]]
    assert the_result(finished).model == "ranker"


@pytest.mark.parametrize(
    ("written", "stage", "reason"),
    [
        (b"{not json", Stage.DECODE, "INVALID_REQUEST"),
        (b"\xff\x00", Stage.DECODE, "INVALID_REQUEST"),
        (body("e", type="unheard"), Stage.ROUTE, "NOT_FOUND"),
        (body("e", pad="x" * 2000), Stage.DECODE, "TOO_LARGE"),
        (body("e", amount="a lot"), Stage.FEATURES, "INVALID_REQUEST"),
    ],
)
async def test_a_letter_has_the_stage_the_cause_and_the_original_bytes(
    written: bytes, stage: Stage, reason: str
) -> None:
    finished = await handled(written, settings(max_event_bytes=1000))

    letter = the_letter(finished)
    assert finished.result is None
    assert (letter.stage, letter.reason, letter.body) == (stage, reason, written)
    assert letter.cause


async def test_who_is_handed_out_too_often_is_put_aside() -> None:
    it, predictor = stages(settings(max_deliveries=3))

    assert isinstance(it.take(delivery(body("e"), delivered=3), 0.0), Taken)
    finished = it.take(delivery(body("e"), delivered=4), 0.0)

    assert isinstance(finished, Finished)
    assert the_letter(finished).stage is Stage.DELIVER
    assert the_letter(finished).body == body("e")
    assert "handed out 4 times" in the_letter(finished).cause
    assert predictor.asked == []


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (Expired("late"), Status.TIMEOUT, "LATE_DROP"),
        (Shed("full"), Status.FALLBACK, "SHED"),
        (ModelFailed("it raised"), Status.FALLBACK, "MODEL_FAILED"),
        (NotFound("no such model"), Status.FALLBACK, "NOT_FOUND"),
        (InvalidRequest("wrong shape"), Status.FALLBACK, "INVALID_REQUEST"),
        (ZeroDivisionError(), Status.FALLBACK, "INTERNAL"),
    ],
)
async def test_a_fallback_is_labelled_and_there_is_a_letter_besides(
    error: Exception, status: Status, reason: str
) -> None:
    told = settings(routes={"buy": ROUTE | {"fallback": -1.0}})

    finished = await handled(body("e"), told, predictor=failing(error))

    result = the_result(finished)
    assert (result.prediction, result.status, result.reason) == (-1.0, status, reason)
    assert (result.confidence, result.version) == (None, "")
    assert (the_letter(finished).stage, the_letter(finished).reason) == (Stage.PREDICT, reason)


async def test_without_a_fallback_there_is_a_letter_and_no_result() -> None:
    finished = await handled(body("e"), predictor=failing(Expired("late")))

    assert finished.result is None
    assert the_letter(finished).stage is Stage.PREDICT


async def test_a_bug_tells_nobody_outside_what_it_is() -> None:
    finished = await handled(body("e"), predictor=failing(RuntimeError("secret")))

    assert "secret" not in the_letter(finished).cause


@pytest.mark.parametrize(("attempts", "tried"), [(1, 1), (3, 3)])
async def test_a_stage_is_tried_as_often_as_it_is_said(attempts: int, tried: int) -> None:
    predictor = failing(Shed("full"))

    await handled(body("e"), settings(attempts={"predict": attempts}), predictor=predictor)

    assert len(predictor.asked) == tried


@pytest.mark.parametrize("error", [Expired("late"), InvalidRequest("wrong")])
async def test_what_cannot_get_better_is_not_tried_again(error: InferdError) -> None:
    predictor = failing(error)

    await handled(body("e"), settings(attempts={"predict": 3}), predictor=predictor)

    assert len(predictor.asked) == 1


WITH_FEATURES = ROUTE | {"inputs": {"x": [{"path": "p:age", "default": 30}, "data.amount"]}}


async def test_an_event_is_recorded_before_features_are_read() -> None:
    features = FakeFeatures(p__age=44)
    predictor = FakePredictor()

    finished = await handled(
        body("e", amount=2),
        settings(routes={"buy": WITH_FEATURES}),
        features=features,
        predictor=predictor,
    )

    assert features.recorded == ["e"]
    assert predictor.asked == [[44.0, 2.0]]
    assert the_result(finished).degraded == ()


async def test_recording_is_tried_again() -> None:
    features = FakeFeatures()
    features.failing = [DependencyFailed("gone")]

    finished = await handled(body("e"), features=features)

    assert features.recorded == ["e"]
    assert finished.letters == ()


async def test_what_cannot_be_recorded_is_answered_and_kept_in_a_letter() -> None:
    features = FakeFeatures()
    features.failing = [DependencyFailed("gone")] * 2

    finished = await handled(body("e"), features=features)

    assert the_result(finished).status is Status.OK
    assert the_result(finished).degraded == ("record",)
    assert the_letter(finished).stage is Stage.RECORD


async def test_features_that_fail_have_their_defaults_and_the_result_says_so() -> None:
    features = FakeFeatures(p__age=44)
    told = settings(routes={"buy": WITH_FEATURES}, attempts={"record": 1})
    features.failing = [DependencyFailed("gone")] * 2
    predictor = FakePredictor()

    finished = await handled(body("e"), told, features=features, predictor=predictor)

    assert predictor.asked == [[30.0, 1.0]]
    assert the_result(finished).degraded == ("record", "features")


async def test_features_that_fail_and_have_no_default_are_told_in_a_letter() -> None:
    features = FakeFeatures()
    told = settings(routes={"buy": ROUTE | {"inputs": {"x": ["p:age"]}}})

    finished = await handled(body("e"), told, features=features)

    assert finished.result is None
    assert the_letter(finished).stage is Stage.FEATURES
    assert "p:age is missing" in the_letter(finished).cause


async def test_a_route_without_a_model_only_records() -> None:
    features = FakeFeatures()

    finished = await handled(body("e"), settings(routes={"buy": {}}), features=features)

    assert features.recorded == ["e"]
    assert (finished.result, finished.letters) == (None, ())
