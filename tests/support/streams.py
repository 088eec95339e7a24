"""Events, settings and pipelines for tests of streams."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from inferd.cache.streams import Delivery
from inferd.call import Call
from inferd.config.stream import Stream as Settings
from inferd.deadline import Deadline
from inferd.streaming.ends import Ends
from inferd.streaming.events import Event
from inferd.streaming.memory import MemorySink, MemorySource
from inferd.streaming.pipeline import Pipeline
from inferd.streaming.predictor import Answer
from inferd.streaming.stages import Stages
from inferd.telemetry.streaming import StreamStatistics

#: Thursday, in seconds.
EPOCH_S = 1_700_000_000.0
ROUTE = {"model": "m", "inputs": {"x": ["data.amount"]}}


def body(id: str, user: str = "", *, type: str = "buy", **data: Any) -> bytes:
    """Return an event as it is written."""
    return json.dumps(
        {
            "id": id,
            "timestamp": "2023-11-14T22:13:20Z",
            "user_id": user,
            "event_type": type,
            "data": {"amount": 1.0, **data},
        }
    ).encode()


def delivery(written: bytes, *, position: str = "0", delivered: int = 1) -> Delivery:
    return Delivery(position, written, delivered)


def settings(*, routes: Mapping[str, Any] | None = None, **said: Any) -> Settings:
    return Settings.model_validate({"routes": routes or {"buy": ROUTE}, **said})


class FakePredictor:
    """Answers what its function says, after the time that that takes."""

    def __init__(self, answer: Callable[[list[float]], Awaitable[float]] | None = None) -> None:
        self._answer = answer
        #: The numbers that were asked about, in order.
        self.asked: list[list[float]] = []
        self.calls: list[tuple[Call, Deadline]] = []

    async def predict(
        self, call: Call, deadline: Deadline, route: Any, numbers: Mapping[str, Sequence[float]]
    ) -> Answer:
        del route
        row = [*numbers["x"]]
        self.asked.append(row)
        self.calls.append((call, deadline))
        told = row[0] if self._answer is None else await self._answer(row)
        return Answer(told, 0.5, "3")


class FakeFeatures:
    """Features that are as the test says."""

    def __init__(self, **values: object) -> None:
        self.values = {name.replace("__", ":"): value for name, value in values.items()}
        self.recorded: list[str] = []
        #: Raised by the next so many.
        self.failing: list[Exception] = []
        self.asked: list[tuple[str, ...]] = []

    async def record(self, call: Call, deadline: Deadline, event: Event) -> None:
        del call, deadline
        self._fail()
        self.recorded.append(event.id)

    async def vector(
        self, call: Call, deadline: Deadline, event: Event, names: Sequence[str]
    ) -> Sequence[object]:
        del call, deadline, event
        self._fail()
        self.asked.append(tuple(names))
        return [self.values.get(name) for name in names]

    def _fail(self) -> None:
        if self.failing:
            raise self.failing.pop(0)


def stages(
    told: Settings, predictor: Any = None, features: Any = None
) -> tuple[Stages, FakePredictor]:
    clock = asyncio.get_running_loop().time
    asked = predictor or FakePredictor()
    it = Stages(told, asked, features, clock=clock, wall_clock=lambda: EPOCH_S + clock())
    return it, asked


class Streaming:
    """A pipeline in memory."""

    def __init__(
        self,
        told: Settings,
        *bodies: bytes,
        ends: bool = True,
        predictor: Any = None,
        features: Any = None,
        results: Any = None,
    ) -> None:
        clock = asyncio.get_running_loop().time
        self.source = MemorySource(bodies, ends=ends)
        self.results = results or MemorySink()
        self.letters = MemorySink()
        self.statistics = StreamStatistics([0.001, 0.1, 1.0])
        it, self.predictor = stages(told, predictor, features)
        self.pipeline = Pipeline(
            told,
            it,
            Ends(self.source, self.results, self.letters),
            self.statistics,
            clock=clock,
            wall_clock=lambda: EPOCH_S + clock(),
        )

    async def run(self) -> None:
        await self.pipeline.run()

    @property
    def published(self) -> list[dict[str, Any]]:
        return [json.loads(each.body) for each in self.results.records]

    @property
    def ids(self) -> list[str]:
        return [each["event_id"] for each in self.published]

    @property
    def buried(self) -> list[dict[str, Any]]:
        return [json.loads(each.body) for each in self.letters.records]
