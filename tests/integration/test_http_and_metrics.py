"""What scrapers and probes see, after traffic that is known to the last request."""

import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client.openmetrics.parser import text_string_to_metric_families as families
from prometheus_client.parser import text_string_to_metric_families as plain_families

import inferd_client
from inferd_client import Client, RetryPolicy
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
MODELS = ("simple", "poison", "slow", "nan_maker")
INFER = "inference.GRPCInferenceService/ModelInfer"

#: Read by hand: the names on the page are what scripts look for, and parsers change them.
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def get(url: str, *, accept: str = "", method: str = "GET") -> tuple[int, str, str]:
    """Return the status, the content type and the body of a page."""
    request = urllib.request.Request(url, headers={"Accept": accept}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=AMPLE_S) as response:
            return response.status, response.headers["Content-Type"] or "", response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"] or "", error.read().decode()


def pair(rows: int) -> dict[str, NDArray[Any]]:
    return {name: np.ones((rows, 16), np.int32) for name in ("INPUT0", "INPUT1")}


def traffic(client: Client) -> None:
    """Make calls of every kind.

    simple: 3 answered in 4 batches of 12 rows together, 2 invalid. poison: 1 of 2 failed.
    slow: 1 refused, 1 answered. And one call to a model that there is not.
    """
    for rows in (1, 1, 10):
        client.infer("simple", pair(rows), timeout_s=AMPLE_S)
    for _ in range(2):
        with pytest.raises(inferd_client.InvalidRequest):
            client.infer("simple", {"INPUT0": np.ones((1, 16), np.int32)}, timeout_s=AMPLE_S)
    client.infer("poison", {"INDEX": np.array([[1]], np.int64)}, timeout_s=AMPLE_S)
    with pytest.raises(inferd_client.ServerError):
        client.infer("poison", {"INDEX": np.array([[99]], np.int64)}, timeout_s=AMPLE_S)
    one = {"INPUT0": np.ones((1, 1), np.float32)}
    client.infer("slow", one, timeout_s=AMPLE_S)
    with pytest.raises(inferd_client.DeadlineExceeded):
        client.infer("slow", one, timeout_s=AMPLE_S, parameters={"timeout": 1000})
    with pytest.raises(inferd_client.NotFound):
        client.infer("nosuch", one, timeout_s=AMPLE_S)


@pytest.fixture(scope="module")
def served(transport: Transport, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve four models, one of which does not load, to `traffic` and nobody else."""
    load = [argument for name in MODELS for argument in ("--load-model", name)]
    directory = tmp_path_factory.mktemp("metrics")
    with (
        serving(directory, "--control-mode", "explicit", *load, transport=transport) as server,
        Client(server.address, retry=RetryPolicy(max_attempts=1)) as client,
    ):
        traffic(client)
        yield server


@pytest.fixture(scope="module")
def samples(served: Server) -> Samples:
    """Return every sample by name and labels."""
    _, _, text = get(f"{served.http}/metrics")
    return {
        (name, frozenset(LABEL.findall(labels or ""))): float(number)
        for name, labels, number in SAMPLE.findall(text)
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return the one sample with these labels."""
    found = [
        number
        for (named, given), number in samples.items()
        if named == name and labels.items() <= given
    ]
    assert len(found) == 1, f"{name}{labels}: {found}"
    return found[0]


# -- metrics ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nv_inference_request_success", {"simple": 3, "poison": 1, "slow": 1}),
        ("nv_inference_count", {"simple": 12, "poison": 1, "slow": 1}),
        ("nv_inference_exec_count", {"simple": 4, "poison": 2, "slow": 1}),
        ("nv_inference_pending_request_count", {"simple": 0, "poison": 0, "slow": 0}),
        ("inferd_queue_depth", {"simple": 0, "poison": 0, "slow": 0}),
        ("inferd_batch_size_count", {"simple": 4, "poison": 2, "slow": 1}),
        ("inferd_batch_size_sum", {"simple": 12, "poison": 2, "slow": 1}),
        ("inferd_deadline_slack_seconds_count", {"simple": 3, "poison": 1, "slow": 1}),
        ("inferd_instances", {"simple": 1, "poison": 1, "slow": 1}),
        ("inferd_evicted_total", {"simple": 0, "poison": 0, "slow": 0}),
        ("inferd_wasted_seconds_total", {"simple": 0, "poison": 0, "slow": 0}),
    ],
)
def test_models_are_counted(samples: Samples, name: str, expected: dict[str, int]) -> None:
    assert {model: value(samples, name, model=model, version="1") for model in expected} == expected


def test_failures_are_counted_by_tritons_reasons(samples: Samples) -> None:
    failures = {
        (model, reason): value(samples, "nv_inference_request_failure", model=model, reason=reason)
        for model in ("simple", "poison", "slow")
        for reason in ("REJECTED", "CANCELED", "BACKEND", "OTHER")
    }

    assert {key: count for key, count in failures.items() if count} == {
        ("simple", "OTHER"): 2,
        ("poison", "BACKEND"): 1,
        ("slow", "REJECTED"): 1,
    }


def test_what_was_dropped_is_counted_by_the_reason_that_was_told(samples: Samples) -> None:
    assert value(samples, "inferd_dropped_total", model="slow", reason="INFEASIBLE") == 1
    assert len([name for name, _ in samples if name == "inferd_dropped_total"]) == 1


@pytest.mark.parametrize(
    "step", ["request", "queue", "compute_input", "compute_infer", "compute_output"]
)
def test_times_are_in_microseconds_and_whole(samples: Samples, step: str) -> None:
    name = f"nv_inference_{step}_duration_us"
    times = {model: value(samples, name, model=model) for model in ("simple", "slow")}

    assert all(each == int(each) for each in times.values())
    if step in {"request", "compute_infer"}:
        assert times["slow"] > times["simple"] > 0, "slow takes at least some milliseconds"


def test_instances_are_busy_for_as_long_as_they_run(samples: Samples) -> None:
    busy_s = value(samples, "inferd_instance_busy_seconds_total", model="slow")
    computed_us = value(samples, "nv_inference_compute_infer_duration_us", model="slow")

    assert busy_s >= computed_us / 1e6 > 0, "one request, in a batch of its own"


def test_predictions_are_compared_with_what_came_of_them(samples: Samples) -> None:
    name, labels = "inferd_prediction_ratio", {"model": "slow", "version": "1"}

    assert value(samples, f"{name}_count", **labels) == 1
    assert value(samples, f"{name}_bucket", **labels, le="+Inf") == 1
    assert value(samples, f"{name}_sum", **labels) > 0


@pytest.mark.parametrize("stage", ["queue", "batch_wait", "compute", "total"])
def test_stages_are_histograms(samples: Samples, stage: str) -> None:
    name = "inferd_stage_duration_seconds"
    labels = {"model": "simple", "version": "1", "stage": stage}

    assert value(samples, f"{name}_count", **labels) == 3
    assert value(samples, f"{name}_bucket", **labels, le="+Inf") == 3
    assert value(samples, f"{name}_sum", **labels) >= 0


def test_calls_are_counted_by_how_they_ended(samples: Samples) -> None:
    ended = {
        dict(labels)["code"]: number
        for (name, labels), number in samples.items()
        if name == "inferd_rpc_total" and dict(labels)["method"] == INFER and number
    }

    assert ended == {
        "OK": 5,
        "INVALID_ARGUMENT": 2,
        "INTERNAL": 1,
        "DEADLINE_EXCEEDED": 1,
        "NOT_FOUND": 1,
    }
    assert value(samples, "inferd_rpc_in_flight", method=INFER) == 0


def test_a_version_is_in_exactly_one_state(samples: Samples) -> None:
    states = {
        (dict(labels)["model"], dict(labels)["state"])
        for (name, labels), number in samples.items()
        if name == "inferd_model_state" and number
    }

    assert {("simple", "READY"), ("poison", "READY"), ("slow", "READY")} <= states
    assert len(states) == len({model for model, _ in states})


def test_loading_and_the_machine_are_seen(samples: Samples) -> None:
    assert value(samples, "nv_model_load_duration_secs", model="slow") > 0
    assert value(samples, "inferd_model_load_failures_total", model="nan_maker") == 1
    assert value(samples, "inferd_model_memory_bytes", model="simple") > 0
    assert value(samples, "process_resident_memory_bytes") > 10e6
    assert value(samples, "nv_cpu_memory_total_bytes") > value(samples, "nv_cpu_memory_used_bytes")
    assert value(samples, "inferd_event_loop_lag_seconds_count") >= 0


def test_metrics_and_statistics_tell_the_same(served: Server, samples: Samples) -> None:
    with Client(served.address) as client:
        statistics = client.statistics(timeout_s=AMPLE_S)

    assert {each.name for each in statistics} == {"simple", "poison", "slow"}
    for each in statistics:
        about = {"model": each.name, "version": each.version}
        for name, number in (
            ("nv_inference_request_success", each.success.count),
            ("nv_inference_count", each.inference_count),
            ("nv_inference_exec_count", each.execution_count),
            ("nv_inference_request_duration_us", each.success.total_ns // 1000),
            ("nv_inference_compute_infer_duration_us", each.compute_infer.total_ns // 1000),
        ):
            assert value(samples, name, **about) == number


def test_both_formats_are_spoken(served: Server) -> None:
    _, plain_type, plain = get(f"{served.http}/metrics")
    _, open_type, text = get(f"{served.http}/metrics", accept="application/openmetrics-text")

    assert plain_type.startswith("text/plain; version=0.0.4")
    assert "# TYPE nv_inference_request_success counter\n" in plain
    assert open_type.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    parsed = [*families(text)]  # type: ignore[no-untyped-call]
    assert len(parsed) == plain.count("# TYPE ")


def test_the_page_can_be_parsed_and_no_name_comes_twice(served: Server) -> None:
    _, _, page = get(f"{served.http}/metrics")

    names = [each.name for each in plain_families(page)]
    assert len(names) == len({*names}) > 30


def test_the_transport_adds_its_own(served: Server, samples: Samples, transport: Transport) -> None:
    envoys = {name for name, _ in samples if name.startswith("envoy_")}

    assert bool(envoys) == (transport == "envoy")
    if envoys:
        assert value(samples, "envoy_http_downstream_rq_total") >= len(MODELS)


# -- health -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/health/live", 200),
        ("/v2/health/ready", 200),
        ("/v2/models/simple/ready", 200),
        ("/v2/models/simple/versions/1/ready", 200),
        ("/v2/models/simple/versions/7/ready", 400),
        ("/v2/models/nan_maker/ready", 400),
        ("/v2/models/nosuch/ready", 400),
        ("/v2/models/..%2F..%2Fetc/ready", 400),
        ("/nosuch", 404),
        ("/", 200),
    ],
)
def test_pages(served: Server, path: str, status: int) -> None:
    assert get(f"{served.http}{path}")[0] == status


def test_nothing_can_be_changed_over_http(served: Server) -> None:
    assert get(f"{served.http}/v2/models/simple/ready", method="POST")[0] == 405


def test_it_is_live_before_it_is_ready_and_ready_until_it_goes(
    tmp_path: Path, transport: Transport
) -> None:
    port, log = free_port(), tmp_path / "stderr.log"
    url = f"http://127.0.0.1:{port}/v2/health"
    command = [*INFERD, "serve", "--repository", str(REPOSITORY), "--port", "0"]
    environment = server_environment(transport) | {"INFERD__SERVER__DRAIN_PAUSE_S": "600"}
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*command, "--http-port", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            cwd=ROOT,
            env=environment,
        )

    def status(page: str) -> int:
        try:
            return get(f"{url}/{page}")[0]
        except urllib.error.URLError:
            return 0

    try:
        eventually(lambda: status("live") == 200)
        early = status("ready")
        assert early == 400 or "slow/1 is ready" in log.read_text()
        eventually(lambda: status("ready") == 200)
        process.send_signal(signal.SIGTERM)
        eventually(lambda: status("ready") == 400)
        assert status("live") == 200
    finally:
        process.kill()
        process.wait()
