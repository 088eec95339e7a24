"""What is grpcio's own, in this process; what both transports have is in `test_transport.py`."""

import asyncio
import errno
from contextlib import AbstractAsyncContextManager
from typing import Any

import grpc.aio
import pytest

from inferd.config import Log, Server
from inferd.services.pipeline import Pipeline
from inferd.services.routes import bind
from inferd.telemetry.rpc import RpcStatistics
from inferd.transport.grpcio import listening
from support.echo import SERVICE, SERVICE_NAME, Echo, a_note


def a_server(echo: Echo, **settings: Any) -> AbstractAsyncContextManager[int]:
    config = Server(**{"port": 0, **settings})
    pipeline = Pipeline(RpcStatistics([0.1]), Log(access=False))
    return listening(config, bind(SERVICE, echo), pipeline)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_why_it_cannot_listen_is_an_errno_and_words(host: str) -> None:
    async with a_server(Echo(), host=host) as port:
        with pytest.raises(OSError, match="cannot listen on") as refused:
            async with a_server(Echo(), host=host, port=port):
                pass

    assert refused.value.errno == errno.EADDRINUSE


async def test_it_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    async with (
        a_server(Echo()) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        converse = channel.stream_stream(f"/{SERVICE_NAME}/Converse")()
        await converse.write(a_note("a"))
        assert await converse.read() == a_note("a")
        converse.cancel()
        await channel.unary_unary(f"/{SERVICE_NAME}/SayOnce")(b"")

    ours = {task for task in asyncio.all_tasks() - before if "grpc" not in repr(task)}
    assert ours == set()
