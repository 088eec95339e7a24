"""A server that is told to break things, and one that is not."""

import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inferd_client
from inferd_client import Client, RetryPolicy
from support.server import Server, eventually, serving
from support.transports import Transport

AMPLE_S = 30.0
ONCE = RetryPolicy(max_attempts=1)
MODEL = "identity_fp32"
ONLY_IDENTITY = ("--control-mode", "explicit", "--load-model", MODEL)
ENABLED = "faults: {enabled: true, "


def configured(directory: Path, text: str) -> tuple[str, ...]:
    path = directory / "inferd.yaml"
    path.write_text(text)
    return (*ONLY_IDENTITY, "--config", str(path))


def ask(client: Client, *, timeout_s: float = AMPLE_S, **options: Any) -> list[Any]:
    inputs = {"INPUT0": np.ones((1, 1), np.float32)}
    answer: list[Any] = client.infer(MODEL, inputs, timeout_s=timeout_s, **options)[
        "OUTPUT0"
    ].tolist()
    return answer


def answers(client: Client) -> bool:
    try:
        return ask(client) == [[1.0]]
    except inferd_client.InferdError:
        return False


def test_a_schedule_breaks_a_model_and_its_end_repairs_it(
    tmp_path: Path, transport: Transport
) -> None:
    (tmp_path / "faults.yaml").write_text(
        f"- {{at_s: 0, point: model.{MODEL}, kind: error, reason: MODEL_FAILED, for_s: 2}}"
    )
    arguments = configured(tmp_path, ENABLED + "schedule: faults.yaml}")
    with (
        serving(tmp_path, *arguments, transport=transport) as server,
        Client(server.address, retry=ONCE) as client,
    ):
        eventually(lambda: "ended: fault 1" in server.logged() or not answers(client))
        eventually(lambda: answers(client))

        assert f"injected: fault 1 at model.{MODEL}: error" in server.logged()
        assert "ended: fault 1" in server.logged()


def test_a_server_whose_model_hangs_still_answers_in_time_and_goes_when_told(
    tmp_path: Path, transport: Transport
) -> None:
    schedule = f"schedule: [{{at_s: 0, point: model.{MODEL}, kind: hang}}]"
    arguments = configured(tmp_path, f"{ENABLED}{schedule}}}\nserver: {{drain_s: 1}}")
    with (
        serving(tmp_path, *arguments, transport=transport) as server,
        Client(server.address, retry=ONCE) as client,
    ):
        with pytest.raises((inferd_client.DeadlineExceeded, inferd_client.Unavailable)):
            ask(client, timeout_s=0.5)

        server.signal(signal.SIGTERM)
        assert server.ended() == 0


@pytest.fixture(scope="module")
def breakable(transport: Transport, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("breakable")
    arguments = configured(directory, ENABLED + "by_metadata: true}")
    with serving(directory, *arguments, transport=transport) as server:
        yield server


@pytest.mark.parametrize(
    ("brings", "message"),
    [
        ("redis=latency:soon", "latency takes milliseconds"),
        ("nobody=error", "called nobody"),
    ],
)
def test_a_call_that_brings_nonsense_is_told_so(
    breakable: Server, brings: str, message: str
) -> None:
    with (
        Client(breakable.address, retry=ONCE) as client,
        pytest.raises(inferd_client.InvalidRequest, match=message) as refused,
    ):
        ask(client, metadata={"x-fault": brings})

    assert [each.field for each in refused.value.violations] == ["metadata[x-fault]"]


def test_a_call_that_brings_nothing_is_answered(breakable: Server) -> None:
    with Client(breakable.address, retry=ONCE) as client:
        assert ask(client) == [[1.0]]


def test_a_server_that_breaks_nothing_has_no_eyes_for_what_calls_bring(server: Server) -> None:
    with Client(server.address, retry=ONCE) as client:
        assert ask(client, metadata={"x-fault": "redis=latency:soon"}) == [[1.0]]


class Upstream:
    """Greets whoever connects."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self._listener.getsockname())
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            # A proxy that is told to be down resets whoever it has connected.
            with connection, suppress(ConnectionError):
                connection.sendall(b"hello")
                if connection.recv(4) == b"stop":
                    break

    def close(self) -> None:
        host, port = self.address.split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"stop")
            self._thread.join()
        self._listener.close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    greets = Upstream()
    yield greets
    greets.close()


def greeting(address: tuple[str, int]) -> bytes | None:
    """Return what a proxy has to say; None if nobody is there."""
    try:
        with socket.create_connection(address) as connection:
            return connection.recv(10)
    except ConnectionError:
        return None


def test_proxies_run_beside_the_server_and_break_by_schedule(
    tmp_path: Path, upstream: Upstream
) -> None:
    text = f"""
    faults:
      enabled: true
      proxies:
        fine: {{upstream: '{upstream.address}'}}
        shut: {{upstream: '{upstream.address}'}}
      schedule: [{{at_s: 0.1, point: proxy.shut, kind: down}}]
    """
    with serving(tmp_path, *configured(tmp_path, text)) as server:
        told = re.findall(r"proxy (\w+): ([\d.]+):(\d+) to", server.logged())
        places = {name: (host, int(port)) for name, host, port in told}

        eventually(lambda: greeting(places["shut"]) is None)
        assert greeting(places["fine"]) == b"hello"
