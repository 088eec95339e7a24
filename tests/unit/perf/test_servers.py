"""What servers say of themselves, read."""

from inferd_perf.servers import Metrics

TEXT = """\
# TYPE stage histogram
stage_bucket{model="a",stage="queue",le="+Inf"} 3
stage_sum{model="a",stage="queue"} 0.5
stage_sum{model="a",stage="batch_wait"} 0.25
stage_sum{model="b",stage="queue"} 2
"""


def test_samples_are_added_up_by_name_and_labels() -> None:
    metrics = Metrics(TEXT)

    assert metrics.total("stage_sum", model="a", stage="queue") == 0.5
    assert metrics.total("stage_sum", stage="queue") == 2.5
    assert metrics.total("stage_sum") == 2.75


def test_what_is_not_counted_is_nothing() -> None:
    assert Metrics(TEXT).total("stage_sum", model="c") == 0
