"""Sliding windows: what is in them, and when it is forgotten."""

import pytest

from inferd.resilience.window import BUCKETS, Counts, CountWindow, TimeWindow

#: Ten buckets of an eighth of a second.
WINDOW_S = 1.25
BUCKET_S = WINDOW_S / BUCKETS
BEGAN = 1000.0
GOOD = (False, False)
FAILED = (True, False)
SLOW = (False, True)
BOTH = (True, True)


def test_calls_are_counted_by_what_became_of_them() -> None:
    window = TimeWindow(WINDOW_S)

    for call in (GOOD, GOOD, FAILED, SLOW, BOTH, GOOD):
        window.record(*call, BEGAN)

    assert window.counts(BEGAN) == Counts(calls=6, failures=2, slow=2)
    assert (window.calls, window.failures, window.slow) == (6, 2, 2)


@pytest.mark.parametrize(
    ("after_s", "left"),
    [
        pytest.param(0.0, Counts(1, 1, 1), id="at once"),
        pytest.param(BUCKET_S, Counts(1, 1, 1), id="when the next bucket begins"),
        pytest.param(9 * BUCKET_S, Counts(1, 1, 1), id="when its bucket is the oldest"),
        pytest.param(9.96875 * BUCKET_S, Counts(1, 1, 1), id="just before the end"),
        pytest.param(10 * BUCKET_S, Counts(), id="at the end"),
        pytest.param(11 * BUCKET_S, Counts(), id="a bucket later"),
        pytest.param(1e6, Counts(), id="days later"),
    ],
)
@pytest.mark.parametrize("looks_often", [False, True])
def test_a_call_is_forgotten_after_the_window(
    after_s: float, left: Counts, looks_often: bool
) -> None:
    window = TimeWindow(WINDOW_S)
    window.record(*BOTH, BEGAN)

    for look in range(1, 20):
        if looks_often and look * BUCKET_S < after_s:
            window.counts(BEGAN + look * BUCKET_S)

    assert window.counts(BEGAN + after_s) == left


def test_a_call_at_the_end_of_its_bucket_is_forgotten_with_the_bucket() -> None:
    window = TimeWindow(WINDOW_S)
    window.record(*FAILED, BEGAN + 0.875 * BUCKET_S)

    assert window.counts(BEGAN + 9.875 * BUCKET_S) == (1, 1, 0)
    assert window.counts(BEGAN + 10 * BUCKET_S) == (0, 0, 0)


def test_calls_are_forgotten_in_the_order_of_their_buckets() -> None:
    window = TimeWindow(WINDOW_S)
    for bucket in range(BUCKETS):
        for _ in range(bucket + 1):
            window.record(*SLOW, BEGAN + bucket * BUCKET_S)
    assert window.slow == 55

    left = [window.counts(BEGAN + bucket * BUCKET_S).slow for bucket in range(10, 21)]

    assert left == [54, 52, 49, 45, 40, 34, 27, 19, 10, 0, 0]


def test_a_record_forgets_what_is_too_old() -> None:
    window = TimeWindow(WINDOW_S)
    window.record(*FAILED, BEGAN)

    window.record(*GOOD, BEGAN + WINDOW_S)

    assert (window.calls, window.failures) == (1, 0)


def test_a_clock_may_begin_anywhere() -> None:
    for began in (0.0, 1e-9, 1e9):
        window = TimeWindow(WINDOW_S)
        assert window.counts(began) == (0, 0, 0)
        window.record(*FAILED, began)
        assert window.counts(began + 1.0) == (1, 1, 0)


def test_a_cleared_window_is_like_a_new_one() -> None:
    window = TimeWindow(WINDOW_S)
    for bucket in range(5):
        window.record(*BOTH, BEGAN + bucket * BUCKET_S)

    window.clear()

    now = BEGAN + 4 * BUCKET_S
    assert window.counts(now) == (0, 0, 0)
    window.record(*FAILED, now)
    assert window.counts(now + 9 * BUCKET_S) == (1, 1, 0)
    assert window.counts(now + 10 * BUCKET_S) == (0, 0, 0)


# -- of calls -------------------------------------------------------------------------


def test_the_last_calls_count_and_earlier_ones_do_not() -> None:
    window = CountWindow(3)

    seen = []
    for call in (FAILED, SLOW, BOTH, GOOD, GOOD, GOOD, SLOW):
        window.record(*call, BEGAN)
        seen.append(window.counts(BEGAN))

    assert seen == [
        (1, 1, 0),
        (2, 1, 1),
        (3, 2, 2),
        (3, 1, 2),
        (3, 1, 1),
        (3, 0, 0),
        (3, 0, 1),
    ]


def test_a_window_of_one_call_is_the_last_call() -> None:
    window = CountWindow(1)

    window.record(*FAILED, BEGAN)
    assert window.counts(BEGAN) == (1, 1, 0)
    window.record(*SLOW, BEGAN)
    assert window.counts(BEGAN) == (1, 0, 1)


def test_a_cleared_window_of_calls_is_like_a_new_one() -> None:
    window = CountWindow(3)
    for _ in range(4):
        window.record(*BOTH, BEGAN)

    window.clear()

    assert window.counts(BEGAN) == (0, 0, 0)
    for _ in range(4):
        window.record(*GOOD, BEGAN)
    assert window.counts(BEGAN) == (3, 0, 0)
