"""Whether a failed attempt is made again, and when. Time is a number we pass in."""

import math

import pytest
from grpc import StatusCode
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd_client._errors import DeadlineExceeded, InferdError, error_of
from inferd_client._retry import Attempts, RetryBudget, RetryPolicy

POLICY = RetryPolicy(max_attempts=3, initial_backoff_s=0.1, multiplier=2.0, jitter=0.2)
UNREACHABLE = error_of(StatusCode.UNAVAILABLE, "failed to connect to all addresses; ...", {})
DROPPED = error_of(StatusCode.UNAVAILABLE, "Stream removed (Socket closed)", {})


def shed(pushback_ms: object, code: StatusCode = StatusCode.UNAVAILABLE) -> InferdError:
    return error_of(code, "shed", {"grpc-retry-pushback-ms": str(pushback_ms)})


def the_attempts(*, timeout_s: float = 10.0, budget: RetryBudget | None = None) -> Attempts:
    return Attempts(
        POLICY,
        budget or RetryBudget(POLICY),
        now=100.0,
        timeout_s=timeout_s,
        random=lambda: 0.5,
    )


@pytest.mark.parametrize("code", [StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED])
def test_waits_exactly_as_long_as_the_server_asks(code: StatusCode) -> None:
    assert the_attempts().failed(shed(120, code), now=100.0) == 0.120


def test_retries_at_once_when_asked_to() -> None:
    assert the_attempts().failed(shed(0), now=100.0) == 0.0


@pytest.mark.parametrize("pushback", [-1, -(2**63), "soon", ""])
def test_never_retries_what_the_server_does_not_want_back(pushback: object) -> None:
    assert the_attempts().failed(shed(pushback), now=100.0) is None


@pytest.mark.parametrize(
    "code",
    [StatusCode.DEADLINE_EXCEEDED, StatusCode.INTERNAL, StatusCode.INVALID_ARGUMENT],
)
def test_an_invitation_counts_only_on_the_codes_that_say_nothing_was_done(
    code: StatusCode,
) -> None:
    assert the_attempts().failed(shed(0, code), now=100.0) is None


def test_does_not_repeat_a_call_that_may_have_run() -> None:
    assert the_attempts().failed(DROPPED, now=100.0) is None


def test_backs_off_longer_each_time_while_nobody_can_be_reached() -> None:
    attempts = the_attempts()

    waits = [attempts.failed(UNREACHABLE, now=100.0) for _ in range(3)]

    assert waits == [pytest.approx(0.1), pytest.approx(0.2), None]


@pytest.mark.parametrize(("random", "expected"), [(0.0, 0.08), (0.5, 0.1), (1.0, 0.12)])
def test_spreads_the_back_off_to_both_sides(random: float, expected: float) -> None:
    assert POLICY.backoff_s(1, random) == pytest.approx(expected)


def test_the_back_off_stops_growing() -> None:
    assert POLICY.backoff_s(20, random=0.5) == pytest.approx(POLICY.max_backoff_s)


def test_makes_no_more_attempts_than_allowed() -> None:
    attempts = the_attempts()

    waits = [attempts.failed(shed(1), now=100.0) for _ in range(3)]

    assert waits == [0.001, 0.001, None]


@pytest.mark.parametrize(("now", "wait_s"), [(100.8, 0.100), (100.898, 0.100), (100.9, None)])
def test_makes_no_attempt_that_would_start_too_late(now: float, wait_s: float | None) -> None:
    attempts = the_attempts(timeout_s=1.0)

    assert attempts.failed(shed(100), now=now) == wait_s


def test_all_attempts_share_one_deadline() -> None:
    attempts = the_attempts(timeout_s=1.0)

    attempts.failed(shed(100), now=100.3)

    assert attempts.remaining_s(now=100.4) == pytest.approx(0.6)


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
def test_a_timeout_that_is_over_fails_before_anything_is_sent(timeout_s: float) -> None:
    with pytest.raises(DeadlineExceeded, match="nothing was sent"):
        the_attempts(timeout_s=timeout_s)


@pytest.mark.parametrize("timeout_s", [math.nan, math.inf])
def test_a_timeout_is_a_number_of_seconds(timeout_s: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        the_attempts(timeout_s=timeout_s)


def test_a_client_whose_calls_keep_failing_stops_retrying_any() -> None:
    budget = RetryBudget(POLICY)

    waits = [the_attempts(budget=budget).failed(shed(0), now=100.0) for _ in range(6)]

    assert waits == [0.0, 0.0, 0.0, 0.0, None, None], "half of ten tokens are gone by the fifth"


def test_ten_answers_pay_for_one_failure() -> None:
    budget = RetryBudget(POLICY)
    for _ in range(5):
        budget.failed()

    allowed = []
    for _ in range(11):
        budget.succeeded()
        allowed.append(budget.allows)

    assert allowed == [True] * 11
    assert repr(budget) == "<RetryBudget 6.1/10>"


def test_errors_of_the_caller_take_no_token() -> None:
    budget = RetryBudget(POLICY)
    bad = error_of(StatusCode.INVALID_ARGUMENT, "unexpected shape", {})

    the_attempts(budget=budget).failed(bad, now=100.0)

    assert repr(budget) == "<RetryBudget 10/10>"


def test_tokens_have_a_floor_and_a_ceiling() -> None:
    budget = RetryBudget(POLICY)

    budget.succeeded()
    assert repr(budget) == "<RetryBudget 10/10>"
    for _ in range(20):
        budget.failed()
    assert repr(budget) == "<RetryBudget 0/10>"


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_attempts": 0},
        {"initial_backoff_s": 0.0},
        {"multiplier": 0.5},
        {"max_backoff_s": 0.0},
        {"jitter": 1.5},
        {"least_attempt_s": -1.0},
        {"max_tokens": 0},
        {"token_ratio": 0.0},
    ],
)
def test_a_policy_that_makes_no_sense_names_the_key(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RetryPolicy(**wrong)  # type: ignore[arg-type]


FAILURES = st.one_of(
    st.just(UNREACHABLE),
    st.just(DROPPED),
    st.integers(-5, 3000).map(shed),
)


@settings(max_examples=60, deadline=None)
@given(
    failures=st.lists(st.tuples(FAILURES, st.floats(0.0, 0.5)), max_size=8),
    timeout_s=st.floats(0.001, 5.0),
)
def test_whatever_happens_attempts_are_few_and_start_in_time(
    failures: list[tuple[InferdError, float]], timeout_s: float
) -> None:
    attempts = the_attempts(timeout_s=timeout_s)
    now = 100.0
    started = [now]

    for error, took_s in failures:
        now += took_s
        wait_s = attempts.failed(error, now)
        if wait_s is None:
            break
        now += wait_s
        started.append(now)

    assert len(started) <= POLICY.max_attempts
    assert all(at <= 100.0 + timeout_s for at in started)
