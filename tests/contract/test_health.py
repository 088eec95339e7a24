"""`grpc.health.v1` as clients, probes and balancers use it: real sockets, fake models."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc

from inferd.config import Log, Server
from inferd.services import health
from inferd.services.health import Health
from inferd.services.pipeline import Pipeline
from inferd.services.routes import bind
from inferd.telemetry.rpc import RpcStatistics
from inferd.transport.grpcio import listening
from support.echo import SERVICE, SERVICE_NAME, Echo, a_note

SERVING, NOT_SERVING, UNKNOWN = health.SERVING, health.NOT_SERVING, health.SERVICE_UNKNOWN


@dataclass
class Version:
    name: str
    version: str
    ready: bool = True


@dataclass
class FakeModels:
    versions: list[Version] = field(default_factory=list)
    serving: bool = True
    listeners: set[Callable[[], None]] = field(default_factory=set)

    def index(self) -> list[Version]:
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


class Clinic:
    """A server with health and an ordinary service, and a client of it."""

    def __init__(
        self,
        models: FakeModels,
        subject: Health,
        pipeline: Pipeline,
        channel: Any,
        server: AsyncExitStack,
    ) -> None:
        self.models = models
        self.health = subject
        self.pipeline = pipeline
        self.channel = channel
        self.stop = server.aclose
        self.stub = health_pb2_grpc.HealthStub(channel)

    async def check(self, service: str = "") -> int:
        response = await self.stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
        status: int = response.status
        return status

    def watch(self, service: str = "") -> Any:
        return self.stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=30)


async def heard(watch: Any) -> int:
    response = await watch.read()
    status: int = response.status
    return status


@asynccontextmanager
async def a_clinic(
    *versions: Version, serving: bool = True, options: Sequence[tuple[str, Any]] = ()
) -> AsyncIterator[Clinic]:
    models = FakeModels([*versions], serving)
    pipeline = Pipeline(RpcStatistics([0.1]), Log(access=False))
    subject = Health(models, services=[SERVICE_NAME])
    pipeline.on_drain(subject.stop)
    routes = subject.routes() + bind(SERVICE, Echo())
    async with AsyncExitStack() as server:
        config = Server(port=0, drain_s=60.0)
        port = await server.enter_async_context(listening(config, routes, pipeline))
        address = f"127.0.0.1:{port}"
        async with grpc.aio.insecure_channel(address, options=list(options)) as channel:
            yield Clinic(models, subject, pipeline, channel, server)


@pytest.mark.parametrize(
    ("service", "status"),
    [
        ("", SERVING),
        (SERVICE_NAME, SERVING),
        ("digits", SERVING),
        ("digits/2", SERVING),
        ("digits/1", NOT_SERVING),
        ("broken", NOT_SERVING),
    ],
)
async def test_check(service: str, status: int) -> None:
    versions = Version("digits", "1", False), Version("digits", "2"), Version("broken", "1", False)

    async with a_clinic(*versions) as clinic:
        assert await clinic.check(service) == status


async def test_a_server_that_is_starting_is_not_serving_but_a_model_may_be() -> None:
    async with a_clinic(Version("digits", "1"), serving=False) as clinic:
        assert await clinic.check("") == NOT_SERVING
        assert await clinic.check("digits") == SERVING


@pytest.mark.parametrize("service", ["nobody", "digits/9", "digits/x"])
async def test_check_of_what_nobody_has(service: str) -> None:
    async with a_clinic(Version("digits", "1")) as clinic:
        with pytest.raises(grpc.aio.AioRpcError, match="unknown service") as caught:
            await clinic.check(service)

    assert caught.value.code() is StatusCode.NOT_FOUND


async def test_list_has_everything() -> None:
    messages = health.SERVICE.file.message_types_by_name
    response_type: Any = GetMessageClass(messages["HealthListResponse"])

    async with a_clinic(Version("digits", "1", False), Version("digits", "2")) as clinic:
        everything = clinic.channel.unary_unary("/grpc.health.v1.Health/List")
        response = response_type.FromString(await everything(b"", timeout=5))

    assert {name: each.status for name, each in response.statuses.items()} == {
        "": SERVING,
        SERVICE_NAME: SERVING,
        "digits": SERVING,
        "digits/1": NOT_SERVING,
        "digits/2": SERVING,
    }


async def test_a_watch_hears_every_change_and_only_changes() -> None:
    digits = Version("digits", "1", ready=False)
    async with a_clinic(digits) as clinic:
        watch = clinic.watch("digits")
        statuses = [await heard(watch)]
        clinic.models.changed()  # of another model
        await clinic.check("digits")
        digits.ready = True
        clinic.models.changed()
        statuses.append(await heard(watch))
        digits.ready = False
        clinic.models.changed()
        statuses.append(await heard(watch))

    assert statuses == [NOT_SERVING, SERVING, NOT_SERVING]


async def test_a_watch_may_wait_for_what_does_not_exist_yet() -> None:
    async with a_clinic() as clinic:
        watch = clinic.watch("digits")
        statuses = [await heard(watch)]
        clinic.models.versions.append(Version("digits", "1"))
        clinic.models.changed()
        statuses.append(await heard(watch))

    assert statuses == [UNKNOWN, SERVING]


async def test_a_watch_ends_when_its_client_leaves() -> None:
    async with a_clinic() as clinic:
        watch = clinic.watch()
        await heard(watch)
        assert len(clinic.models.listeners) == 1

        watch.cancel()
        await clinic.pipeline.idle()

        assert clinic.models.listeners == set()


async def test_a_draining_server_says_so_first_and_still_takes_calls() -> None:
    async with a_clinic(Version("digits", "1")) as clinic:
        server, model = clinic.watch(), clinic.watch("digits")
        before = [await heard(server), await heard(model)]
        clinic.health.drain()
        after = [await heard(server), await heard(model), await clinic.check("digits/1")]
        answer = await clinic.channel.unary_unary(f"/{SERVICE_NAME}/SayOnce")(a_note("still"))

    assert before == [SERVING, SERVING]
    assert after == [NOT_SERVING, NOT_SERVING, NOT_SERVING]
    assert answer == a_note("still")


async def test_a_server_that_stops_ends_its_watches_and_does_not_wait_for_them() -> None:
    async with a_clinic() as clinic:
        watch = clinic.watch()
        await heard(watch)

        await clinic.stop()  # its grace is a minute, and the test has less

        with pytest.raises(grpc.aio.AioRpcError, match="shutting down") as caught:
            await watch.read()

    assert caught.value.code() is StatusCode.UNAVAILABLE
    assert clinic.models.listeners == set()


async def test_health_answers_while_ordinary_calls_are_refused() -> None:
    async with a_clinic() as clinic:
        clinic.pipeline.drain()
        with pytest.raises(grpc.aio.AioRpcError, match="shutting down"):
            await clinic.channel.unary_unary(f"/{SERVICE_NAME}/SayOnce")(b"")

        assert await clinic.check() == NOT_SERVING


async def test_a_client_that_checks_health_itself_waits_until_we_serve() -> None:
    # gRPC's client-side health checking is a Watch that the channel keeps open.
    config = {
        "healthCheckConfig": {"serviceName": ""},
        "loadBalancingConfig": [{"round_robin": {}}],
    }
    options = [("grpc.service_config", json.dumps(config))]
    async with a_clinic(serving=False, options=options) as clinic:
        say = clinic.channel.unary_unary(f"/{SERVICE_NAME}/SayOnce")
        with pytest.raises(grpc.aio.AioRpcError):
            await say(a_note("too early"), timeout=5)
        clinic.models.serving = True
        clinic.models.changed()
        answer = await say(a_note("now"), timeout=5, wait_for_ready=True)

    assert answer == a_note("now")
