"""The echo service, health and reflection, for whichever transport carries them.

Models are made up. `support.control` is how a test reaches what the services saw, makes models
come and go, and stops the server.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from inferd.call import Call
from inferd.config import Log, Server
from inferd.errors import InvalidRequest
from inferd.oip import grpc_service_pb2 as oip
from inferd.services import health
from inferd.services.health import Health
from inferd.services.pipeline import Pipeline
from inferd.services.reflection import Reflection
from inferd.services.routes import bind
from inferd.telemetry.rpc import RpcStatistics
from support.acting import Actor
from support.control import answering, tell
from support.echo import SERVICE, SERVICE_NAME, Echo

OIP = oip.DESCRIPTOR.services_by_name["GRPCInferenceService"]

Listening: TypeAlias = Callable[..., AbstractAsyncContextManager[int]]


@dataclass
class Version:
    """One version of a model that there is not."""

    name: str
    version: str
    ready: bool = True


@dataclass
class FakeModels:
    """What health asks about."""

    versions: list[Version] = field(default_factory=list)
    serving: bool = True
    listeners: set[Callable[[], None]] = field(default_factory=set)

    def index(self) -> Sequence[Version]:
        return self.versions

    def is_ready(self, name: str, version: str = "") -> bool:
        return any(
            each.ready
            for each in self.versions
            if each.name == name and version in ("", each.version)
        )

    def watch(self, listener: Callable[[], None]) -> Callable[[], None]:
        self.listeners.add(listener)
        return lambda: self.listeners.discard(listener)

    def changed(self) -> None:
        for listener in self.listeners:
            listener()


class FakeInference:
    """Answers what can be told by."""

    def __getattr__(self, name: str) -> Any:
        async def empty(request: Any, call: Call) -> bytes:
            return b""

        async def stream(requests: Any, call: Call) -> AsyncIterator[bytes]:
            async for _ in requests:
                yield b""

        return stream if name == "model_stream_infer" else empty

    async def server_live(self, request: Any, call: Call) -> Any:
        raise InvalidRequest("no such thing", field="inputs[0].shape")

    async def model_ready(self, request: Any, call: Call) -> Any:
        return oip.ModelReadyResponse(ready=request.name == "digits")


class EchoServer:
    """Everything above the transport, and what a test may ask of it."""

    def __init__(self) -> None:
        self._actor = Actor()
        self._echo = Echo(self._actor)
        self._models = FakeModels()
        self._pipeline = Pipeline(RpcStatistics([0.1]), Log(access=False))
        self._health = Health(self._models, services=[SERVICE_NAME])
        self._pipeline.on_drain(self._health.stop)
        self._routes = [
            *bind(SERVICE, self._echo),
            *self._health.routes(),
            *bind(OIP, FakeInference()),
            *Reflection([OIP, health.SERVICE]).routes(),
        ]
        self._stop = asyncio.Event()
        self._stopped = asyncio.Event()

    async def live(self, config: Server, listening: Listening) -> None:
        """Serve until told to stop, drain, and go when nobody asks any more."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._answer(), name="control")
                async with listening(config, self._routes, self._pipeline) as port:
                    tell({"is": port})
                    await self._stop.wait()
                self._stopped.set()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _answer(self) -> None:
        await answering(
            {
                "forget": self.forget,
                "calls": self.calls,
                "tally": self.tally,
                "until": self.until,
                "admitted": self.admitted,
                "closed": self.closed,
                "go on": self.go_on,
                "counted": self.counted,
                "in flight": self.in_flight,
                "idle": self.idle,
                "drain": self.drain,
                "models": self.models,
                "listeners": self.listeners,
                "say not serving": self.say_not_serving,
                "stop": self.stop,
                "stopped": self.stopped,
                "environment": self.environment,
            }
        )
        self._stop.set()

    async def forget(self) -> None:
        """Be as new, but for what has been counted."""
        self._actor.__init__()  # type: ignore[misc]
        self._echo.calls.clear()
        self._echo.closed = 0
        await self.models(versions=[], serving=True)

    async def calls(self) -> list[dict[str, Any]]:
        """Return what the calls to the echo service said of themselves."""
        return [
            {
                "method": call.method,
                "arrived": call.arrived,
                "deadline_at": call.deadline.at,
                "metadata": dict(call.metadata),
                "peer": call.peer,
            }
            for call in self._echo.calls
        ]

    async def tally(self, what: str) -> int:
        """Return how often something has happened."""
        return self._actor.tally[what]

    async def until(self, what: str, count: int) -> None:
        """Return when something has happened so many times."""
        await self._actor.tally.until(what, count)

    async def admitted(self) -> list[str]:
        """Return the texts of the calls that were set to work."""
        return self._actor.admitted

    async def closed(self) -> int:
        """Return how many streams have been cleaned up."""
        return self._echo.closed

    async def go_on(self) -> None:
        """Open the gate for everybody who waits, now or later."""
        self._actor.gate.set()

    async def counted(self) -> dict[str, dict[str, int]]:
        """Return how many calls have ended, by method and status."""
        return {
            path: {code: seen.count for code, seen in each.by_code.items()}
            for path, each in self._pipeline.statistics.methods.items()
        }

    async def in_flight(self) -> int:
        """Return how many calls are under way."""
        return self._pipeline.in_flight

    async def idle(self) -> None:
        """Return when no call is under way."""
        await self._pipeline.idle()

    async def drain(self) -> None:
        """Refuse new calls, as if about to stop."""
        self._pipeline.drain()

    async def models(self, versions: list[tuple[str, str, bool]], *, serving: bool = True) -> None:
        """Have these models from now on, and say so."""
        self._models.versions = [Version(*each) for each in versions]
        self._models.serving = serving
        self._models.changed()

    async def listeners(self) -> int:
        """Return how many watch the models."""
        return len(self._models.listeners)

    async def say_not_serving(self) -> None:
        """Have health say that the server is about to go."""
        self._health.drain()

    async def stop(self) -> None:
        """Begin to leave."""
        self._stop.set()

    async def environment(self) -> list[str]:
        """Return the names of the environment's variables."""
        return [*os.environ]

    async def stopped(self) -> None:
        """Return when the transport has been left."""
        await self._stopped.wait()
