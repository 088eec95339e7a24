import pytest

from inferd.inference.packing.latency import PaddedLatency


def test_a_batch_takes_as_long_as_the_size_that_it_is_filled_up_to() -> None:
    latency = PaddedLatency((1, 4, 8))
    for rows, seconds in [(1, 0.001), (4, 0.004), (8, 0.006)]:
        latency.seed(rows, seconds)

    assert [latency.expect(rows) for rows in range(1, 9)] == pytest.approx(
        [0.001, 0.004, 0.004, 0.004, 0.006, 0.006, 0.006, 0.006]
    )
    assert latency.sizes == (1, 4, 8)


def test_a_run_teaches_the_size_that_was_run() -> None:
    latency = PaddedLatency((1, 4, 8))
    latency.seed(2, 0.004)

    for _ in range(100):
        latency.observe(2, 0.002)

    assert latency.expect(4) == pytest.approx(0.002)
    assert latency.expect(1) == 0.0
    assert latency.predict(2) == pytest.approx(latency.predict(4))
