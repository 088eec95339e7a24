"""The way of one event: recorded, its features read, the model asked, the answer labelled.

Each stage has its own time and its own number of attempts. What fails is said in a letter with the
stage's name; a later stage goes on without it where that can be.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol, TypeVar

from inferd.cache.streams import Delivery
from inferd.call import Call
from inferd.config.stream import Route as RouteSettings
from inferd.config.stream import Stream as Settings
from inferd.deadline import Clock, Deadline
from inferd.errors import DeadlineExceeded, InferdError, Internal, InvalidRequest, NotFound
from inferd.streaming.events import Event, decoded
from inferd.streaming.features import Features
from inferd.streaming.predictor import Answer
from inferd.streaming.results import Finished, Letter, Result, Stage, Status
from inferd.streaming.routes import Route, routed

log = logging.getLogger(__name__)

Value = TypeVar("Value")

METHOD = "/inferd.stream/"
"""What models are told of who asks them: this, and the type of the event."""
REQUEST_ID = "x-request-id"


class Asks(Protocol):
    """What answers for a route."""

    async def predict(
        self,
        call: Call,
        deadline: Deadline,
        route: RouteSettings,
        numbers: Mapping[str, Sequence[float]],
    ) -> Answer:
        """Return the prediction for one row, by the deadline."""


class Taken(NamedTuple):
    """An event that can be handled."""

    delivery: Delivery
    event: Event
    route: Route
    #: When it was read, in monotonic seconds.
    read_at: float


class Stages:
    """Does with an event what there is to do, and never raises because of it."""

    def __init__(
        self,
        settings: Settings,
        predictor: Asks,
        features: Features | None,
        *,
        clock: Clock,
        wall_clock: Clock,
    ) -> None:
        self._settings = settings
        self._routes = {name: routed(each) for name, each in settings.routes.items()}
        self._predictor = predictor
        self._features = features
        self._features_s = settings.features_ms / 1000
        self._predict_s = settings.predict_ms / 1000
        self._clock = clock
        self._wall_clock = wall_clock

    def take(self, delivery: Delivery, read_at: float) -> Taken | Finished:
        """Read a delivery. One that cannot be handled is finished: there is a letter."""
        event, stage = None, Stage.DELIVER
        try:
            self._check_deliveries(delivery)  # before all else: anything may have been its end
            stage = Stage.DECODE
            event = decoded(delivery.body, max_bytes=self._settings.max_event_bytes)
            stage = Stage.ROUTE
            route = self._routes.get(event.event_type)
            if route is None:
                known = ", ".join(self._routes)
                raise NotFound(f"no route for events of type {event.event_type!r}, but for {known}")
        except InferdError as error:
            letter = self._letter(delivery, event.id if event else "", stage, error)
            return Finished(delivery, read_at, None, None, (letter,))
        return Taken(delivery, event, route, read_at)

    async def handle(self, taken: Taken) -> Finished:
        """Return what becomes of an event."""
        delivery, event, route, read_at = taken
        settings = route.settings
        call = Call(METHOD + event.event_type, arrived=read_at, metadata={REQUEST_ID: event.id})
        letters: list[Letter] = []
        degraded: list[str] = []
        result = None
        if self._features is not None:
            try:
                await self._record(self._features, call, event)
            except Exception as error:
                letters.append(self._letter(delivery, event.id, Stage.RECORD, error))
                degraded.append(Stage.RECORD)
        if settings.model:
            stage = Stage.FEATURES
            try:
                values = await self._values(call, event, route, degraded)
                numbers = route.numbers(event, values)
                stage = Stage.PREDICT
                answer = await self._predict(call, settings, numbers)
                result = self._result(taken, answer, None, degraded)
            except Exception as error:
                letters.append(self._letter(delivery, event.id, stage, error))
                if settings.fallback is not None:
                    answer = Answer(settings.fallback, None, "")
                    result = self._result(taken, answer, error, degraded)
        happened_s = event.timestamp.timestamp()
        return Finished(delivery, read_at, happened_s, result, tuple(letters))

    def unpublished(self, finished: Finished, error: Exception) -> Finished:
        """Return what becomes of an event whose result cannot be published: a letter does."""
        delivery = finished.delivery
        id = finished.result.event_id if finished.result else ""
        letter = self._letter(delivery, id, Stage.PUBLISH, error)
        return finished._replace(result=None, letters=(*finished.letters, letter))

    def _check_deliveries(self, delivery: Delivery) -> None:
        most = self._settings.max_deliveries
        if delivery.delivered > most:
            raise InvalidRequest(
                f"it has been handed out {delivery.delivered} times, at most {most} are allowed:"
                " whoever had it did not live to finish it"
            )

    async def _record(self, features: Features, call: Call, event: Event) -> None:
        deadline = Deadline(self._clock() + self._features_s)
        await self._tried(
            self._settings.attempts.record,
            deadline,
            lambda: features.record(call, deadline, event),
        )

    async def _values(
        self, call: Call, event: Event, route: Route, degraded: list[str]
    ) -> Sequence[object]:
        features = self._features
        if features is None or not route.features:
            return ()
        deadline = Deadline(self._clock() + self._features_s)
        try:
            return await self._tried(
                self._settings.attempts.features,
                deadline,
                lambda: features.vector(call, deadline, event, route.features),
            )
        except InvalidRequest:
            raise
        except InferdError as error:
            log.debug("event %s: no features: %s", event.id, error)
            degraded.append(Stage.FEATURES)
            return (None,) * len(route.features)

    async def _predict(
        self, call: Call, route: RouteSettings, numbers: Mapping[str, Sequence[float]]
    ) -> Answer:
        deadline = Deadline(self._clock() + self._predict_s)
        attempts = self._settings.attempts.predict
        if attempts == 1:
            return await self._predictor.predict(call, deadline, route, numbers)
        return await self._tried(
            attempts, deadline, lambda: self._predictor.predict(call, deadline, route, numbers)
        )

    async def _tried(
        self, attempts: int, deadline: Deadline, function: Callable[[], Awaitable[Value]]
    ) -> Value:
        while True:
            attempts -= 1
            try:
                return await function()
            except InferdError as error:
                hopeless = isinstance(error, InvalidRequest) or (error.retry_after_s or 0) < 0
                if attempts <= 0 or hopeless or deadline.remaining(self._clock()) <= 0:
                    raise

    def _result(
        self, taken: Taken, answer: Answer, failure: Exception | None, degraded: Sequence[str]
    ) -> Result:
        event = taken.event
        late = isinstance(failure, DeadlineExceeded)
        return Result(
            event.id,
            event.user_id,
            event.event_type,
            answer.prediction,
            answer.confidence,
            (self._clock() - taken.read_at) * 1000,
            self._now(),
            taken.route.settings.model,
            answer.version,
            Status.OK if failure is None else Status.TIMEOUT if late else Status.FALLBACK,
            "" if failure is None else _known(failure).reason,
            tuple(degraded),
        )

    def _letter(self, delivery: Delivery, id: str, stage: Stage, error: Exception) -> Letter:
        if not isinstance(error, InferdError):
            log.error("event at %s, stage %s", delivery.position, stage, exc_info=error)
        known = _known(error)
        return Letter(
            id,
            stage,
            known.reason,
            str(known),
            delivery.position,
            delivery.delivered,
            self._now(),
            delivery.body,
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._wall_clock(), UTC)


def _known(error: Exception) -> InferdError:
    return error if isinstance(error, InferdError) else Internal("a bug of ours; see the log")
