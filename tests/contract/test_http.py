"""Metrics and health over HTTP, as a scraper and a probe see them."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientSession

from inferd.telemetry.metrics import Metrics
from inferd.telemetry.statistics import LoadStatistics, ModelStatistics
from inferd.transport.http import serving_http


@dataclass
class Facts:
    live: bool = True
    ready: bool = True
    ready_models: set[tuple[str, str]] = field(default_factory=set)


async def no_metrics(_: str) -> tuple[bytes, str]:
    return b"", "text/plain"


@asynccontextmanager
async def a_client(facts: Facts, metrics: Metrics | None = None) -> AsyncIterator[ClientSession]:
    async with (
        serving_http(
            "127.0.0.1",
            0,
            live=lambda: facts.live,
            ready=lambda: facts.ready,
            model_ready=lambda name, version: (name, version) in facts.ready_models,
            metrics=metrics.render if metrics else no_metrics,
        ) as port,
        ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        yield client


async def answer(client: ClientSession, path: str) -> tuple[int, str]:
    async with client.get(path) as response:
        return response.status, await response.text()


async def test_health_is_the_status_and_nothing_else() -> None:
    facts = Facts(live=True, ready=False)
    async with a_client(facts) as client:
        assert await answer(client, "/v2/health/live") == (200, "")
        assert await answer(client, "/v2/health/ready") == (400, "")

        facts.live, facts.ready = False, True

        assert await answer(client, "/v2/health/live") == (400, "")
        assert await answer(client, "/v2/health/ready") == (200, "")


async def test_a_model_is_asked_for_with_or_without_a_version() -> None:
    facts = Facts(ready_models={("m", ""), ("m", "2"), ("a b", "")})
    async with a_client(facts) as client:
        assert await answer(client, "/v2/models/m/ready") == (200, "")
        assert await answer(client, "/v2/models/a%20b/ready") == (200, "")
        assert await answer(client, "/v2/models/m/versions/2/ready") == (200, "")
        assert await answer(client, "/v2/models/m/versions/1/ready") == (400, "")
        assert await answer(client, "/v2/models/unknown/ready") == (400, "")


def some_metrics() -> Metrics:
    model = ModelStatistics("m", "1", latency_bounds_s=(0.001,), batch_bounds=(1,))
    model.inference_count = 3
    return Metrics(lambda: [model], loads=LoadStatistics())


async def test_metrics_come_as_text() -> None:
    async with (
        a_client(Facts(), some_metrics()) as client,
        client.get("/metrics") as response,
    ):
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert 'nv_inference_count{model="m",version="1"} 3\n' in await response.text()


async def test_metrics_come_as_openmetrics_when_asked_for() -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with (
        a_client(Facts(), some_metrics()) as client,
        client.get("/metrics", headers=accept) as response,
    ):
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        assert (await response.text()).endswith("# EOF\n")


async def test_the_page_at_the_root_lists_what_there_is() -> None:
    async with a_client(Facts()) as client:
        status, text = await answer(client, "/")

        assert status == 200
        for path in ("/metrics", "/v2/health/live", "/v2/health/ready", "/v2/models/{model}/ready"):
            assert path in text


@pytest.mark.parametrize("path", ["/favicon.ico", "/v2/models/m/infer", "/v2/models//ready"])
async def test_any_other_path_is_not_there_and_says_what_is(path: str) -> None:
    async with a_client(Facts()) as client:
        status, text = await answer(client, path)

        assert status == 404
        assert path in text
        assert "/metrics" in text


async def test_nothing_can_be_posted() -> None:
    async with a_client(Facts()) as client, client.post("/metrics") as response:
        assert response.status == 405


async def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port}: Address already in use"):
            async with serving_http(
                "127.0.0.1",
                port,
                live=bool,
                ready=bool,
                model_ready=lambda *_: False,
                metrics=no_metrics,
            ):
                pytest.fail("the block must not run")


async def test_leaving_frees_the_port_even_with_a_client_connected() -> None:
    async with ClientSession() as client:
        async with serving_http(
            "127.0.0.1",
            0,
            live=lambda: True,
            ready=bool,
            model_ready=lambda *_: False,
            metrics=no_metrics,
        ) as port:
            url = f"http://127.0.0.1:{port}/v2/health/live"
            async with client.get(url) as response:
                assert response.status == 200

        with pytest.raises(OSError, match="Connect call failed"):
            await client.get(url)
