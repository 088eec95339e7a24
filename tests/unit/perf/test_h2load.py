"""h2load's command line and the reading of what it prints."""

from pathlib import Path

import pytest

from inferd_perf.h2load import Result, command, latencies, parse, split

REPORT = """\
starting benchmark...
Main benchmark duration is over for thread #0. Stopping all clients.
Stopped all clients for thread #0

finished in 2.00s, 2975.50 req/s, 301.58KB/s
requests: 5951 total, 6015 started, 5951 done, 5940 succeeded, 7 failed, 3 errored, 1 timeout
status codes: 5940 2xx, 0 3xx, 7 4xx, 0 5xx
traffic: 603.17KB (617642) total, \
17.73KB (18153) headers (space savings 96.23%), 261.52KB (267795) data
                     min         max         mean         sd        +/- sd
time for request:     2.23ms     36.80ms     21.37ms      2.46ms    92.52%
"""


def test_a_report_is_read() -> None:
    assert parse(REPORT) == Result(
        elapsed_s=2.0, done=5951, succeeded=5940, failed=11, data_bytes=267795
    )


def test_a_short_run_is_reported_in_milliseconds() -> None:
    assert parse(REPORT.replace("2.00s", "707.93ms")).elapsed_s == pytest.approx(0.70793)


def test_what_is_no_report_is_refused() -> None:
    with pytest.raises(ValueError, match="not a report"):
        parse("h2load: option requires an argument")


def test_answers_without_a_body_were_grpc_errors() -> None:
    result = Result(elapsed_s=1.0, done=100, succeeded=100, failed=0, data_bytes=45 * 60)

    assert result.real_answers(45) == 60


def test_a_body_cut_off_by_the_end_is_not_an_answer() -> None:
    result = Result(elapsed_s=1.0, done=100, succeeded=100, failed=0, data_bytes=45 * 103)

    assert result.real_answers(45) == 100


@pytest.mark.parametrize(
    ("concurrency", "expected"), [(1, (1, 1)), (3, (3, 1)), (64, (4, 16)), (7, (1, 7)), (6, (3, 2))]
)
def test_streams_multiply_to_exactly_the_concurrency(
    concurrency: int, expected: tuple[int, int]
) -> None:
    assert split(concurrency, channels=4) == expected


def test_the_command_posts_a_grpc_call_with_a_deadline() -> None:
    words = command(
        "127.0.0.1:1",
        Path("b"),
        Path("l"),
        concurrency=64,
        channels=4,
        duration_s=0.5,
        deadline_s=0.05,
    )

    assert words[0] == "h2load"
    assert words[-1] == "http://127.0.0.1:1/inference.GRPCInferenceService/ModelInfer"
    assert {
        "--clients=4",
        "--max-concurrent-streams=16",
        "--duration=500ms",
        "--header=content-type: application/grpc",
        "--header=te: trailers",
        "--header=grpc-timeout: 50m",
        "--data=b",
    } <= set(words)


def test_the_log_gives_the_latencies_of_what_was_answered() -> None:
    log = ["1795335297534730\t200\t2000\n", "1795335297534731\t200\t4000\n", "1\t-1\t9000000\n"]

    summary = latencies(log).summary()

    assert summary is not None
    assert summary.count == 2
    assert summary.max_ms == pytest.approx(4, rel=0.002)
