"""How a server goes: whoever was let in is answered, whoever comes later is turned away."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from numpy.typing import NDArray

import inferd_client
from inferd_client import AsyncClient, Client, RetryPolicy
from support.server import (
    INFERD,
    REPOSITORY,
    ROOT,
    Server,
    eventually,
    free_port,
    server_environment,
    serving,
)
from support.transports import Transport

AMPLE_S = 30.0
ONCE = RetryPolicy(max_attempts=1)
CALLERS = 300
ONLY_SIMPLE = ("--control-mode", "explicit", "--load-model", "simple")
WITH_SLOW = (*ONLY_SIMPLE, "--load-model", "slow")


def pair(value: int) -> dict[str, NDArray[Any]]:
    return {name: np.full((1, 16), value, np.int32) for name in ("INPUT0", "INPUT1")}


async def turned_away(client: AsyncClient) -> inferd_client.Unavailable:
    """Call until the door is closed, which takes a moment."""
    while True:
        try:
            await client.infer("simple", pair(1), timeout_s=AMPLE_S)
        except inferd_client.Unavailable as error:
            return error


def arrived(server: Server) -> int:
    """Return the calls to a model that have arrived, answered or not."""
    method = 'method="inference.GRPCInferenceService/ModelInfer"'
    return sum(
        int(line.rpartition(" ")[2])
        for line in server.get("/metrics").splitlines()
        if line.startswith(("inferd_rpc_total{", "inferd_rpc_in_flight{")) and method in line
    )


def is_up(client: Client) -> bool:
    try:
        return client.server_ready(timeout_s=AMPLE_S)
    except inferd_client.Unavailable:
        return False


class Callers:
    """Each calls again and again, until it is refused; then it goes elsewhere."""

    def __init__(self) -> None:
        self.answered = 0
        self.refused: list[inferd_client.InferdError] = []
        self.warm = asyncio.Event()

    async def call(self, client: AsyncClient, number: int) -> None:
        turn = 0
        while True:
            turn += 1
            value = number * 1000 + turn
            try:
                if number % 20:
                    answer = await client.infer("simple", pair(value), timeout_s=AMPLE_S)
                    assert (answer["OUTPUT0"] == 2 * value).all()
                else:
                    slow = {"INPUT0": np.array([[number]], np.float32)}
                    answer = await client.infer("slow", slow, timeout_s=AMPLE_S)
                    assert answer["OUTPUT0"].tolist() == [[number]]
            except inferd_client.InferdError as error:
                self.refused.append(error)
                return
            self.answered += 1
            if self.answered >= 3 * CALLERS:
                self.warm.set()


async def test_under_load_nobody_is_lost(tmp_path: Path, transport: Transport) -> None:
    with serving(tmp_path, *WITH_SLOW, transport=transport) as server:
        callers = Callers()
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(AsyncClient(server.address, retry=ONCE))
                for _ in range(4)
            ]
            async with asyncio.TaskGroup() as tasks:
                for number in range(CALLERS):
                    tasks.create_task(callers.call(clients[number % 4], number))
                await callers.warm.wait()
                server.signal(signal.SIGTERM)

    # Wrong answers have failed the group; here are those who got none.
    told = Counter((type(each), each.reason) for each in callers.refused)
    assert sum(told.values()) == CALLERS
    assert set(told) <= {
        (inferd_client.Unavailable, "DRAINING"),
        (inferd_client.Unavailable, ""),  # no connection any more
    }


async def test_whoever_was_let_in_is_answered_and_nobody_else_is(
    tmp_path: Path, transport: Transport
) -> None:
    with serving(tmp_path, *WITH_SLOW, transport=transport) as server:
        async with AsyncClient(server.address, retry=ONCE) as client:
            calls = [
                asyncio.create_task(
                    client.infer(
                        "slow", {"INPUT0": np.array([[at]], np.float32)}, timeout_s=AMPLE_S
                    )
                )
                for at in range(24)
            ]
            await asyncio.to_thread(eventually, lambda: arrived(server) == 24)
            server.signal(signal.SIGTERM)
            await asyncio.to_thread(eventually, lambda: "draining" in server.logged())
            refused = await turned_away(client)
            answers = await asyncio.gather(*calls)

        assert refused.reason in {"DRAINING", ""}
        assert [answer["OUTPUT0"].tolist() for answer in answers] == [[[at]] for at in range(24)]


def test_it_says_that_it_is_going_while_it_still_takes_calls(
    tmp_path: Path, transport: Transport
) -> None:
    pause = {"INFERD__SERVER__DRAIN_PAUSE_S": "1"}
    request = health_pb2.HealthCheckRequest()
    with (
        serving(tmp_path, *ONLY_SIMPLE, transport=transport, environment=pause) as server,
        grpc.insecure_channel(server.address) as channel,
        Client(server.address, retry=ONCE) as client,
    ):
        health = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(request, timeout=AMPLE_S)
        before = next(watch).status
        server.signal(signal.SIGINT)
        after = next(watch).status
        answer = client.infer("simple", pair(1), timeout_s=AMPLE_S)
        checked = health.Check(request, timeout=AMPLE_S).status
        ready = client.server_ready(timeout_s=AMPLE_S)
        with pytest.raises(grpc.RpcError) as ended:
            next(watch)

        assert (before, after) == (1, 2), "SERVING, then NOT_SERVING"
        assert answer["OUTPUT0"].all()
        assert (checked, ready) == (2, False)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(inferd_client.Unavailable):
            client.infer("simple", pair(1), timeout_s=AMPLE_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(
    tmp_path: Path, transport: Transport, number: signal.Signals
) -> None:
    pause = {"INFERD__SERVER__DRAIN_PAUSE_S": "600"}
    with serving(
        tmp_path, *ONLY_SIMPLE, transport=transport, environment=pause, exit_code=128 + number
    ) as server:
        server.signal(number)
        eventually(lambda: "draining" in server.logged())
        server.signal(number)
        server.ended()

    assert "second signal" in server.logged()


def test_a_signal_while_models_load_ends_it_in_order(tmp_path: Path, transport: Transport) -> None:
    log = tmp_path / "stderr.log"
    command = [*INFERD, "serve", "--repository", str(REPOSITORY), "--port", "0", "--http-port", "0"]
    with log.open("w") as stderr:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=ROOT,
            env=server_environment(transport),
        )
    # `slow` takes much longer than the others.
    eventually(lambda: "simple/1 is ready" in log.read_text())
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=AMPLE_S)

    assert process.returncode == 0, log.read_text()
    assert said == b"", "it announced itself although it was going"
    assert "Traceback" not in log.read_text()


def test_killed_and_started_again_it_serves_on_the_same_port(
    tmp_path: Path, transport: Transport
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with serving(first, *ONLY_SIMPLE, transport=transport, exit_code=-signal.SIGKILL) as server:
        client = Client(server.address)
        client.infer("simple", pair(1), timeout_s=AMPLE_S)
        server.signal(signal.SIGKILL)
        server.ended()
    with client, pytest.raises(inferd_client.Unavailable):
        client.infer("simple", pair(1), timeout_s=0.5)

    with (
        serving(second, *ONLY_SIMPLE, transport=transport, port=server.port) as again,
        Client(server.address) as client,
    ):
        assert again.port == server.port
        assert client.infer("simple", pair(3), timeout_s=AMPLE_S)["OUTPUT0"].max() == 6


@pytest.mark.parametrize("closed", ["nobody reads", "no standard streams"])
def test_nobody_needs_to_listen(tmp_path: Path, transport: Transport, closed: str) -> None:
    port, log = free_port(), tmp_path / "stderr.log"
    arguments = [*INFERD, "serve", "--repository", str(REPOSITORY), *ONLY_SIMPLE]
    arguments += ["--port", str(port), "--http-port", "0"]
    if closed == "no standard streams":
        arguments = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *arguments]
    with log.open("w") as stderr:
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr,
            cwd=ROOT, env=server_environment(transport),
        )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    try:
        with Client(f"127.0.0.1:{port}", retry=ONCE) as client:
            eventually(lambda: is_up(client))
            answer = client.infer("simple", pair(2), timeout_s=AMPLE_S)
            process.send_signal(signal.SIGTERM)
            code = process.wait(AMPLE_S)
    finally:
        process.kill()
        process.wait()

    assert answer["OUTPUT0"].max() == 4
    assert code == 0, log.read_text()
    assert "Traceback" not in log.read_text()
    assert "Exception ignored" not in log.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="pipes have other sizes")
def test_a_log_that_nobody_reads_holds_nothing_up(tmp_path: Path, transport: Transport) -> None:
    port = free_port()
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    arguments = [*INFERD, "serve", "--repository", str(REPOSITORY), *ONLY_SIMPLE]
    process = subprocess.Popen(
        [*arguments, "--port", str(port), "--http-port", "0"],
        stdout=subprocess.DEVNULL,
        stderr=writer,
        cwd=ROOT,
        env=server_environment(transport),
    )
    os.close(writer)
    try:
        with Client(f"127.0.0.1:{port}", retry=ONCE) as client:
            eventually(lambda: is_up(client))
            for _ in range(60):  # each leaves a line of more than 200 characters
                with pytest.raises(inferd_client.NotFound):
                    client.infer("nosuch", pair(1), timeout_s=AMPLE_S)
            answer = client.infer("simple", pair(2), timeout_s=AMPLE_S)
            process.send_signal(signal.SIGTERM)
            code = process.wait(AMPLE_S)
        logged = os.read(reader, 1 << 20)
    finally:
        process.kill()
        process.wait()
        os.close(reader)

    assert answer["OUTPUT0"].max() == 4
    assert code == 0
    assert b"stopped" not in logged, "the pipe was not full"


OPENING = """
import logging


async def close():
    logging.getLogger("inferd.opening").warning("closed")


def services(host):
    host.closing.push_async_callback(close)
    return []
"""


def test_what_a_service_has_opened_is_closed_when_the_server_has_drained(
    tmp_path: Path, transport: Transport
) -> None:
    (tmp_path / "opening.py").write_text(OPENING)
    environment = {"PYTHONPATH": str(tmp_path), "INFERD__SERVER__SERVICES": "[opening:services]"}

    with serving(tmp_path, *ONLY_SIMPLE, transport=transport, environment=environment) as server:
        assert "inferd.opening" not in server.logged()

    said = server.logged()
    assert said.index("draining") < said.index("inferd.opening") < said.index("stopped")
