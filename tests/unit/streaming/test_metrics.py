"""What a stream counts, as a scrape sees it."""

from typing import Any

from prometheus_client import CollectorRegistry

from inferd.telemetry.streaming import StreamMetrics, StreamStatistics
from support.streams import ROUTE, Streaming, body, settings


def scraped(statistics: StreamStatistics) -> Any:
    registry = CollectorRegistry()
    registry.register(StreamMetrics(statistics))
    return registry.get_sample_value


async def test_one_event_is_seen_in_all_of_them() -> None:
    it = Streaming(
        settings(routes={"buy": ROUTE | {"bounds": [0.5, 1.5]}}), body("e1", amount=1), b"{"
    )
    await it.run()

    value = scraped(it.statistics)

    assert value("inferd_pipeline_latency_seconds_count") == 1
    assert value("inferd_event_time_lag_seconds_count") == 1
    labels = {"model": "m", "version": "3"}
    assert value("inferd_stream_prediction_bucket", {**labels, "le": "0.5"}) == 0
    assert value("inferd_stream_prediction_bucket", {**labels, "le": "1.5"}) == 1
    assert value("inferd_stream_results_total", {"event_type": "buy", "status": "ok"}) == 1
    about = {"stage": "decode", "reason": "INVALID_REQUEST"}
    assert value("inferd_stream_letters_total", about) == 1
    assert value("inferd_stream_in_hand") == 0
    assert value("inferd_stream_paused") == 0
    assert value("inferd_stream_lag_events") == 0


def test_where_nobody_knows_how_many_wait_nothing_is_said() -> None:
    assert scraped(StreamStatistics([1.0]))("inferd_stream_lag_events") is None


def test_a_prediction_that_is_no_number_is_not_counted() -> None:
    it = StreamStatistics([1.0])

    it.predicted("m", "1", "fraud", [0.5])

    assert it.predictions == {}
