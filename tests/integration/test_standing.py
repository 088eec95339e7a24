"""What callers say of themselves, and what they are told, by a real server on both transports."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import inferd_client
from inferd_client import Client, RetryPolicy
from support.server import Server, eventually, serving
from support.transports import Transport

AMPLE_S = 30.0
ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with Client(server.address, retry=ONCE) as client:
        yield client


def numbers(rows: int) -> dict[str, NDArray[Any]]:
    return {"INPUT0": np.ones((rows, 1), np.float32)}


def ask(client: Client, model: str = "identity_fp32", *, rows: int = 1, **options: Any) -> Any:
    return client.infer(model, numbers(rows), timeout_s=AMPLE_S, **options)


@pytest.mark.parametrize("said", ["CRITICAL_PLUS", "critical", "Sheddable_Plus", "SHEDDABLE"])
def test_a_criticality_changes_nothing_while_there_is_enough_for_all(
    client: Client, said: str
) -> None:
    answer = ask(client, criticality=said, metadata={"client-id": "tests"})

    assert answer["OUTPUT0"].tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("key", "said", "what"),
    [
        ("x-criticality", "URGENT", "must be one of CRITICAL_PLUS, CRITICAL, SHEDDABLE_PLUS, SHED"),
        ("client-id", "x" * 129, "must have at most 128 characters, got 129"),
    ],
)
def test_what_no_caller_can_say_is_told_by_its_key(
    client: Client, key: str, said: str, what: str
) -> None:
    with pytest.raises(inferd_client.InvalidRequest) as refused:
        ask(client, metadata={key: said})

    assert str(refused.value).startswith(f"{key} {what}")
    assert [each.field for each in refused.value.violations] == [f"metadata[{key}]"]
    assert refused.value.trailing["x-reason"] == "INVALID_REQUEST"


def test_who_asks_is_told_of_the_queue_and_the_batch(client: Client) -> None:
    trailing = ask(client, rows=3, explain=True).trailing

    assert trailing["x-batch"] == "3"
    assert 0 <= float(trailing["x-queue-ms"]) < AMPLE_S * 1000


def test_who_does_not_ask_is_not_told(client: Client) -> None:
    trailing = ask(client).trailing

    assert not {"x-batch", "x-queue-ms", "x-reason"} & set(trailing)


def test_a_refusal_says_why_in_so_many_letters(client: Client) -> None:
    with pytest.raises(inferd_client.DeadlineExceeded) as refused:
        ask(client, "slow", parameters={"timeout": 1000})

    assert refused.value.trailing["x-reason"] == refused.value.reason == "INFEASIBLE"
    assert "x-queue-ms" not in refused.value.trailing, "it was never let in"


@pytest.fixture(scope="module")
def touchy(transport: Transport, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve with a limit to the event loop's lateness that every turn of it exceeds."""
    touchy = {
        "INFERD__SERVER__SHED_LAG_MS": "0.0001",
        "INFERD__SERVER__ENVOY__SHED_ABOVE_BUSY": "1",
    }
    arguments = ("--control-mode", "explicit", "--load-model", "identity_fp32")
    directory = tmp_path_factory.mktemp("touchy")
    with serving(directory, *arguments, transport=transport, environment=touchy) as server:
        yield server


def test_where_the_loop_is_late_who_can_be_spared_is_refused_and_others_are_not(
    touchy: Server,
) -> None:
    told: dict[str, Any] = {}

    def refused(client: Client) -> bool:
        try:
            ask(client, metadata={"x-criticality": "sheddable"})
        except inferd_client.Unavailable as error:
            told.update(reason=error.reason, **error.trailing)
        return bool(told)

    with Client(touchy.address, retry=ONCE) as client:
        eventually(lambda: refused(client))
        assert ask(client, metadata={"x-criticality": "critical"})["OUTPUT0"].tolist() == [[1.0]]
        assert ask(client)["OUTPUT0"].tolist() == [[1.0]]

    assert told["reason"] == told["x-reason"] == "SHED"
    assert int(told["grpc-retry-pushback-ms"]) > 0
    page = touchy.get("/metrics")
    method = 'method="inference.GRPCInferenceService/ModelInfer"'
    assert f"inferd_lag_shed_total{{{method}}} 1" in page
