"""The exposition, line by line: names, labels and numbers that scripts grep for."""

from collections.abc import Sequence

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic

from inferd.telemetry.event_loop import LoopLag
from inferd.telemetry.metrics import Metrics
from inferd.telemetry.rpc import RpcStatistics
from inferd.telemetry.statistics import LoadStatistics, ModelStatistics


def a_model(version: str = "1", **tags: str) -> ModelStatistics:
    return ModelStatistics(
        "m", version, latency_bounds_s=(0.001, 0.01), batch_bounds=(1, 4), tags=tags
    )


def a_busy_model() -> ModelStatistics:
    model = a_model()
    model.state = "READY"
    model.memory_bytes = 5_000_000
    model.queue_depth = lambda: 7
    for _ in range(3):
        model.answered(
            queue_s=0.0005,
            batch_wait_s=0.001,
            compute_s=0.004,
            total_s=0.5,
            slack_s=0.002,
            rows=2,
        )
    model.batch_done(size=3, rows=6, reason="FULL", input_s=0.001, infer_s=2.0, output_s=0.003)
    model.failed("MODEL_FAILED", 0.1)
    model.dropped("SHED", 0.0)
    model.dropped("SHED", 0.0)
    model.evicted()
    model.wasted(0.5)
    model.predicted(0.5, 0.75)
    model.instances = 2
    return model


def scraped(*models: ModelStatistics, loads: LoadStatistics | None = None) -> Sequence[str]:
    text, _ = Metrics(lambda: models, loads=loads or LoadStatistics(), process=False).exposition()
    return text.decode().splitlines()


@pytest.mark.parametrize(
    "line",
    [
        "# TYPE nv_inference_request_success counter",
        'nv_inference_request_success{model="m",version="1"} 3',
        "# TYPE nv_inference_request_failure counter",
        'nv_inference_request_failure{model="m",reason="BACKEND",version="1"} 1',
        'nv_inference_request_failure{model="m",reason="REJECTED",version="1"} 2',
        'nv_inference_request_failure{model="m",reason="CANCELED",version="1"} 0',
        'nv_inference_count{model="m",version="1"} 6',
        'nv_inference_exec_count{model="m",version="1"} 1',
        "# TYPE nv_inference_pending_request_count gauge",
        'nv_inference_pending_request_count{model="m",version="1"} 7',
        'nv_inference_request_duration_us{model="m",version="1"} 1500000',
        'nv_inference_queue_duration_us{model="m",version="1"} 4500',
        'nv_inference_compute_input_duration_us{model="m",version="1"} 3000',
        'nv_inference_compute_infer_duration_us{model="m",version="1"} 6000000',
        'nv_inference_compute_output_duration_us{model="m",version="1"} 9000',
        'inferd_queue_depth{model="m",version="1"} 7',
        'inferd_model_memory_bytes{model="m",version="1"} 5000000',
        "# TYPE inferd_dropped_total counter",
        'inferd_dropped_total{model="m",reason="SHED",version="1"} 2',
        'inferd_batch_closed_total{model="m",reason="FULL",version="1"} 1',
        'inferd_model_state{model="m",state="READY",version="1"} 1',
        'inferd_model_state{model="m",state="LOADING",version="1"} 0',
        "# TYPE inferd_stage_duration_seconds histogram",
        'inferd_stage_duration_seconds_bucket{le="0.001",model="m",stage="queue",version="1"} 3',
        'inferd_stage_duration_seconds_bucket{le="0.001",model="m",stage="compute",version="1"} 0',
        'inferd_stage_duration_seconds_bucket{le="0.01",model="m",stage="compute",version="1"} 3',
        'inferd_stage_duration_seconds_bucket{le="0.01",model="m",stage="total",version="1"} 0',
        'inferd_stage_duration_seconds_bucket{le="+Inf",model="m",stage="total",version="1"} 3',
        'inferd_stage_duration_seconds_count{model="m",stage="total",version="1"} 3',
        'inferd_stage_duration_seconds_sum{model="m",stage="total",version="1"} 1.5',
        'inferd_stage_duration_seconds_sum{model="m",stage="batch_wait",version="1"} 0.003',
        'inferd_deadline_slack_seconds_bucket{le="0.0",model="m",version="1"} 0',
        'inferd_deadline_slack_seconds_bucket{le="0.01",model="m",version="1"} 3',
        'inferd_batch_size_bucket{le="4.0",model="m",version="1"} 0',
        'inferd_batch_size_bucket{le="+Inf",model="m",version="1"} 1',
        'inferd_batch_size_sum{model="m",version="1"} 6',
        "# TYPE inferd_instances gauge",
        'inferd_instances{model="m",version="1"} 2',
        "# TYPE inferd_instance_busy_seconds_total counter",
        'inferd_instance_busy_seconds_total{model="m",version="1"} 2.004',
        "# TYPE inferd_wasted_seconds_total counter",
        'inferd_wasted_seconds_total{model="m",version="1"} 0.5',
        "# TYPE inferd_evicted_total counter",
        'inferd_evicted_total{model="m",version="1"} 1',
        'inferd_prediction_ratio_bucket{le="1.25",model="m",version="1"} 0',
        'inferd_prediction_ratio_bucket{le="1.5",model="m",version="1"} 1',
        'inferd_prediction_ratio_sum{model="m",version="1"} 1.5',
    ],
)
def test_a_line_is_exactly_this(line: str) -> None:
    assert line in scraped(a_busy_model())


def test_loads_are_told_by_model() -> None:
    loads = LoadStatistics()
    loads.loaded("m", "1", 1.25)
    loads.load_failed("other", "no such file")

    lines = scraped(loads=loads)

    assert 'nv_model_load_duration_secs{model="m",version="1"} 1.25' in lines
    assert 'inferd_model_load_failures_total{model="other"} 1' in lines


def test_metric_tags_become_labels_as_tritons_do() -> None:
    lines = scraped(a_model(team="fraud", **{"cost centre": 'a"b\\c\nd'}))

    assert (
        'nv_inference_count{_cost_centre="a\\"b\\\\c\\nd",_team="fraud",model="m",version="1"} 0'
        in lines
    )


def test_of_a_version_that_is_being_replaced_the_newer_is_told() -> None:
    old, new = a_model(), a_model()
    old.inference_count, new.inference_count = 5, 1

    lines = scraped(old, new, a_model("2"))

    counts = [line for line in lines if line.startswith("nv_inference_count{")]
    assert counts == [
        'nv_inference_count{model="m",version="1"} 1',
        'nv_inference_count{model="m",version="2"} 0',
    ]


def test_rpcs_are_told_by_method_and_code() -> None:
    rpcs = RpcStatistics((0.001, 0.01))
    method = rpcs.method("/inference.GRPCInferenceService/ModelInfer")
    method.of("OK").observe(0.004)
    method.of("OK").observe(0.5)
    method.of("UNAVAILABLE").observe(0.0001)
    method.in_flight = 4
    method.lag_shed = 3
    rpcs.method("/inference.GRPCInferenceService/ServerLive")

    text, _ = Metrics(list, loads=LoadStatistics(), rpcs=rpcs, process=False).exposition()

    path = 'method="inference.GRPCInferenceService/ModelInfer"'
    lines = text.decode().splitlines()
    assert f'inferd_rpc_total{{code="OK",{path}}} 2' in lines
    assert f'inferd_rpc_total{{code="UNAVAILABLE",{path}}} 1' in lines
    assert f'inferd_rpc_duration_seconds_bucket{{code="OK",le="0.01",{path}}} 1' in lines
    assert f"inferd_rpc_in_flight{{{path}}} 4" in lines
    shed = [line for line in lines if line.startswith("inferd_lag_shed_total{")]
    assert shed == [f"inferd_lag_shed_total{{{path}}} 3"], "only where there is something to tell"


def everything() -> Metrics:
    lag = LoopLag()
    lag.histogram.observe(0.002)
    return Metrics(
        lambda: [a_busy_model()], loads=LoadStatistics(), rpcs=RpcStatistics((1,)), lag=lag
    )


def test_the_classic_text_can_be_parsed_and_has_the_process() -> None:
    text, content_type = everything().exposition("*/*")

    names = {family.name for family in classic(text.decode())}
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert {"inferd_event_loop_lag_seconds", "python_info", "python_gc_collections"} <= names


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text; version=1.0.0",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;q=0.5",
    ],
)
def test_openmetrics_is_there_for_the_asking_and_valid(accept: str) -> None:
    text, content_type = everything().exposition(accept)

    parsed = openmetrics(text.decode())  # type: ignore[no-untyped-call]
    families = {family.name: family for family in parsed}
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert families["nv_inference_request_success"].type == "unknown"
    assert families["nv_inference_request_success"].samples[0].value == 3
    assert families["inferd_dropped"].type == "counter"
    assert families["inferd_wasted_seconds"].type == "counter"


def test_a_number_that_is_not_finite_is_written_as_prometheus_does() -> None:
    model = a_model()
    model.memory_bytes = float("nan")  # type: ignore[assignment]
    model.queue_depth = lambda: float("inf")  # type: ignore[assignment,return-value]

    lines = scraped(model)

    assert 'inferd_model_memory_bytes{model="m",version="1"} NaN' in lines
    assert 'inferd_queue_depth{model="m",version="1"} +Inf' in lines
