"""The server's life within its host: from the start, over the calls, to the end."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from inferd.config import Log, Server
from inferd.services.pipeline import Pipeline
from inferd.services.routes import bind
from inferd.services.status import Code
from inferd.telemetry.rpc import RpcStatistics
from inferd.transport.envoy.application import FLUSH_S, Application
from inferd.transport.envoy.messages import framed
from inferd.transport.envoy.shares import NOTHING, Shares
from support.echo import SERVICE, SERVICE_NAME, Act, Echo, a_note
from unit.envoy.host import GRPC, Host, Patient, faults_of_the_loop

DRAIN_S = 5.0


class FakeAdmin:
    """Envoy's other side. It has flushed when there is nobody left who waits."""

    def __init__(self, events: list[str]) -> None:
        self._events = events
        self.flushing = asyncio.Event()

    async def listener_port(self) -> int:
        return 7001

    def shed(self, shares: Shares) -> None:
        assert shares == NOTHING  # nothing here is overloaded

    async def drain(self) -> None:
        self._events.append("told clients to go")

    async def flushed(self) -> None:
        await self.flushing.wait()
        self._events.append("flushed")


class Hosted:
    """An application in its host, which serves the echo service until it is told to stop."""

    def __init__(self, act: Act | None = None) -> None:
        self.events: list[str] = []
        self.admin = FakeAdmin(self.events)
        self.serves = asyncio.Event()
        self.stop = asyncio.Event()
        #: Envoy is about to leave.
        self.leaving = asyncio.Event()
        self.port = 0
        self._faults = faults_of_the_loop()
        now = asyncio.get_running_loop().time
        self.pipeline = Pipeline(RpcStatistics([0.1]), Log(access=False), clock=now)
        self.pipeline.on_drain(lambda: self.events.append("refuses calls"))
        self._routes = bind(SERVICE, Echo(act))
        self._application = Application(
            self._live,
            self.admin,  # type: ignore[arg-type]
            clock=now,
            wall_clock=now,
        )

    async def _live(self, application: Application) -> None:
        config = Server(drain_s=DRAIN_S)
        async with application.listening(config, self._routes, self.pipeline) as self.port:
            self.events.append("serves")
            self.serves.set()
            await self.stop.wait()
        self.events.append("ends")

    async def life(self) -> None:
        """Run the lifespan, as the host does."""
        started = False

        async def receive() -> dict[str, Any]:
            nonlocal started
            if started:
                await self.leaving.wait()
                return {"type": "lifespan.shutdown"}
            started = True
            return {"type": "lifespan.startup"}

        async def send(event: dict[str, Any]) -> None:
            self.events.append(event["type"])

        await self._application({"type": "lifespan"}, receive, send)

    def say(self, text: str, path: str = f"/{SERVICE_NAME}/SayOnce") -> Host:
        scope = {"type": "http", "method": "POST", "path": path, "headers": GRPC, "client": None}
        host = Host(self._application, scope, self._faults)
        host.bring(framed(a_note(text)))
        return host


@asynccontextmanager
async def hosted(act: Act | None = None) -> AsyncIterator[Hosted]:
    """Run a server; leaving the block is to tell it to stop, and wait."""
    server = Hosted(act)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.life())
        await server.serves.wait()
        yield server
        server.stop.set()


async def test_it_listens_when_it_is_ready_and_leaves_step_by_step() -> None:
    async with hosted() as server:
        server.admin.flushing.set()

        assert server.port == 7001
        assert (await server.say("hello").ended()).answers == ["hello"]

    assert server.events == [
        "lifespan.startup.complete",
        "serves",
        "refuses calls",
        "told clients to go",
        "flushed",
        "ends",
    ]


async def test_before_it_listens_there_is_nothing_to_call() -> None:
    host = await Hosted().say("hello").ended()

    assert host.code == Code.UNIMPLEMENTED


@pytest.mark.parametrize("path", ["/", "", "/inferd.test.Echo", "/inferd.test.Echo/", "*"])
async def test_what_is_not_there_is_unimplemented(path: str) -> None:
    async with hosted() as server:
        server.admin.flushing.set()

        assert (await server.say("hello", path).ended()).code == Code.UNIMPLEMENTED


async def test_a_drain_waits_for_calls_under_way_and_takes_no_new_ones() -> None:
    patient = Patient()
    async with hosted(patient) as server:
        server.admin.flushing.set()
        admitted = server.say("admitted")
        await patient.begun.wait()
        server.stop.set()
        await asyncio.sleep(1.0)
        refused = await server.say("refused").ended()
        patient.go_on.set()

    assert admitted.answers == ["admitted"]
    assert (refused.code, refused.message) == (Code.UNAVAILABLE, "the server is shutting down")


async def test_a_drain_waits_for_stragglers_only_so_long() -> None:
    now = asyncio.get_running_loop().time
    patient = Patient(cleaning_s=1.0)
    async with hosted(patient) as server:
        server.admin.flushing.set()
        straggler = server.say("a")
        await patient.begun.wait()
        began = now()

    assert now() - began == pytest.approx(DRAIN_S + 1.0)
    assert (straggler.code, straggler.message) == (Code.CANCELLED, "the server has stopped")


async def test_an_envoy_that_does_not_get_rid_of_answers_is_not_waited_for() -> None:
    now = asyncio.get_running_loop().time
    async with hosted() as server:
        began = now()

    assert now() - began == pytest.approx(FLUSH_S)
    assert server.events[-2:] == ["told clients to go", "ends"]


async def test_the_servers_life_ends_for_no_want_of_attention() -> None:
    # The host forgets the task, the event loop holds it weakly, and what it waits for may be
    # known to nobody else.
    async def live(_: Application) -> None:
        await asyncio.Event().wait()

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(_: dict[str, Any]) -> None:
        raise AssertionError("it says nothing")

    application = Application(live, FakeAdmin([]))  # type: ignore[arg-type]
    life = asyncio.ensure_future(application({"type": "lifespan"}, receive, send))
    kept = weakref.ref(life)
    del life
    await asyncio.sleep(0.1)
    gc.collect()

    assert kept() is not None
