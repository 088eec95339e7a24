"""`grpc.health.v1` as clients, probes and balancers use it: both transports, fake models."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import grpc.aio
import pytest
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc

from inferd.services import health
from support.echo import SERVICE_NAME, a_note
from support.wire import Wire, Wires

SERVING, NOT_SERVING, UNKNOWN = health.SERVING, health.NOT_SERVING, health.SERVICE_UNKNOWN


Version = tuple[str, str, bool]


def version(name: str, number: str, ready: bool = True) -> Version:
    return name, number, ready


class Clinic:
    """A server with health and an ordinary service, and a client of it."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.stub = health_pb2_grpc.HealthStub(wire.channel)

    async def models(self, *versions: Version, serving: bool = True) -> None:
        """Have these models from now on."""
        await self.wire.ask("models", versions=versions, serving=serving)

    async def check(self, service: str = "") -> int:
        response = await self.stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
        status: int = response.status
        return status

    def watch(self, service: str = "") -> Any:
        return self.stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=30)


@pytest.fixture
def a_clinic(a_wire: Wires) -> "Clinics":
    @asynccontextmanager
    async def a_clinic(
        *versions: Version, serving: bool = True, **about: Any
    ) -> AsyncIterator[Clinic]:
        async with a_wire(drain_s=60.0, **about) as wire:
            clinic = Clinic(wire)
            await clinic.models(*versions, serving=serving)
            yield clinic

    return a_clinic


Clinics: TypeAlias = Callable[..., AbstractAsyncContextManager[Clinic]]


async def heard(watch: Any) -> int:
    response = await watch.read()
    status: int = response.status
    return status


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
async def test_check(a_clinic: Clinics, service: str, status: int) -> None:
    versions = version("digits", "1", False), version("digits", "2"), version("broken", "1", False)

    async with a_clinic(*versions) as clinic:
        assert await clinic.check(service) == status


async def test_a_server_that_is_starting_is_not_serving_but_a_model_may_be(
    a_clinic: Clinics,
) -> None:
    async with a_clinic(version("digits", "1"), serving=False) as clinic:
        assert await clinic.check("") == NOT_SERVING
        assert await clinic.check("digits") == SERVING


@pytest.mark.parametrize("service", ["nobody", "digits/9", "digits/x"])
async def test_check_of_what_nobody_has(a_clinic: Clinics, service: str) -> None:
    async with a_clinic(version("digits", "1")) as clinic:
        with pytest.raises(grpc.aio.AioRpcError, match="unknown service") as caught:
            await clinic.check(service)

    assert caught.value.code() is StatusCode.NOT_FOUND


async def test_list_has_everything(a_clinic: Clinics) -> None:
    messages = health.SERVICE.file.message_types_by_name
    response_type: Any = GetMessageClass(messages["HealthListResponse"])

    async with a_clinic(version("digits", "1", False), version("digits", "2")) as clinic:
        everything = clinic.wire.channel.unary_unary("/grpc.health.v1.Health/List")
        response = response_type.FromString(await everything(b"", timeout=5))

    assert {name: each.status for name, each in response.statuses.items()} == {
        "": SERVING,
        SERVICE_NAME: SERVING,
        "digits": SERVING,
        "digits/1": NOT_SERVING,
        "digits/2": SERVING,
    }


async def test_a_watch_hears_every_change_and_only_changes(a_clinic: Clinics) -> None:
    ready, unready = version("digits", "1"), version("digits", "1", ready=False)
    async with a_clinic(unready) as clinic:
        watch = clinic.watch("digits")
        statuses = [await heard(watch)]
        await clinic.models(unready, version("other", "1"))
        await clinic.check("digits")
        await clinic.models(ready)
        statuses.append(await heard(watch))
        await clinic.models(unready)
        statuses.append(await heard(watch))

    assert statuses == [NOT_SERVING, SERVING, NOT_SERVING]


async def test_a_watch_may_wait_for_what_does_not_exist_yet(a_clinic: Clinics) -> None:
    async with a_clinic() as clinic:
        watch = clinic.watch("digits")
        statuses = [await heard(watch)]
        await clinic.models(version("digits", "1"))
        statuses.append(await heard(watch))

    assert statuses == [UNKNOWN, SERVING]


async def test_a_watch_ends_when_its_client_leaves(a_clinic: Clinics) -> None:
    async with a_clinic() as clinic:
        watch = clinic.watch()
        await heard(watch)
        assert await clinic.wire.ask("listeners") == 1

        watch.cancel()
        await clinic.wire.ask("idle")

        assert await clinic.wire.ask("listeners") == 0


async def test_a_draining_server_says_so_first_and_still_takes_calls(a_clinic: Clinics) -> None:
    async with a_clinic(version("digits", "1")) as clinic:
        server, model = clinic.watch(), clinic.watch("digits")
        before = [await heard(server), await heard(model)]
        clinic.wire.server.spent = True
        await clinic.wire.ask("say not serving")
        after = [await heard(server), await heard(model), await clinic.check("digits/1")]
        answer = await clinic.wire.channel.unary_unary(f"/{SERVICE_NAME}/SayOnce")(a_note("still"))

    assert before == [SERVING, SERVING]
    assert after == [NOT_SERVING, NOT_SERVING, NOT_SERVING]
    assert answer == a_note("still")


async def test_a_server_that_stops_ends_its_watches_and_does_not_wait_for_them(
    a_clinic: Clinics,
) -> None:
    async with a_clinic() as clinic:
        watch = clinic.watch()
        await heard(watch)

        await clinic.wire.stop()
        await clinic.wire.ask("stopped")  # its grace is a minute, and the test has less

        with pytest.raises(grpc.aio.AioRpcError, match="shutting down") as caught:
            await watch.read()
        listeners = await clinic.wire.ask("listeners")

    assert caught.value.code() is StatusCode.UNAVAILABLE
    assert listeners == 0


async def test_health_answers_while_ordinary_calls_are_refused(a_clinic: Clinics) -> None:
    async with a_clinic() as clinic:
        clinic.wire.server.spent = True
        await clinic.wire.ask("drain")
        with pytest.raises(grpc.aio.AioRpcError, match="shutting down"):
            await clinic.wire.channel.unary_unary(f"/{SERVICE_NAME}/SayOnce")(b"")

        assert await clinic.check() == NOT_SERVING


async def test_a_client_that_checks_health_itself_waits_until_we_serve(a_clinic: Clinics) -> None:
    # gRPC's client-side health checking is a Watch that the channel keeps open.
    config = {
        "healthCheckConfig": {"serviceName": ""},
        "loadBalancingConfig": [{"round_robin": {}}],
    }
    options = [("grpc.service_config", json.dumps(config))]
    async with a_clinic(serving=False, options=options) as clinic:
        say = clinic.wire.channel.unary_unary(f"/{SERVICE_NAME}/SayOnce")
        with pytest.raises(grpc.aio.AioRpcError):
            await say(a_note("too early"), timeout=5)
        await clinic.models()
        answer = await say(a_note("now"), timeout=5, wait_for_ready=True)

    assert answer == a_note("now")
