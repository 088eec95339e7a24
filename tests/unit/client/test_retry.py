"""Which failures are worth another attempt, and after how long."""

import pytest
from grpc import StatusCode

from inferd_client._errors import InferdError, error_of
from inferd_client._retry import RetryBudget, RetryPolicy

POLICY = RetryPolicy(max_attempts=3, initial_backoff_s=0.1, multiplier=2.0, jitter=0.2)
UNREACHABLE = error_of(StatusCode.UNAVAILABLE, "failed to connect to all addresses; ...", {})
DROPPED = error_of(StatusCode.UNAVAILABLE, "Stream removed (Socket closed)", {})


def shed(pushback_ms: object, code: StatusCode = StatusCode.UNAVAILABLE) -> InferdError:
    return error_of(code, "shed", {"grpc-retry-pushback-ms": str(pushback_ms)})


def wait_s(error: InferdError, *, made: int = 1, remaining_s: float = 10.0) -> float | None:
    return POLICY.wait_s(error, made=made, remaining_s=remaining_s, random=0.5)


@pytest.mark.parametrize("code", [StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED])
def test_waits_exactly_as_long_as_the_server_asks(code: StatusCode) -> None:
    assert wait_s(shed(120, code)) == 0.120


def test_retries_at_once_when_asked_to() -> None:
    assert wait_s(shed(0)) == 0.0


@pytest.mark.parametrize("pushback", [-1, -(2**63), "soon", ""])
def test_never_retries_what_the_server_does_not_want_back(pushback: object) -> None:
    assert wait_s(shed(pushback)) is None


@pytest.mark.parametrize(
    "code",
    [StatusCode.DEADLINE_EXCEEDED, StatusCode.INTERNAL, StatusCode.INVALID_ARGUMENT],
)
def test_an_invitation_counts_only_on_the_codes_that_say_nothing_was_done(
    code: StatusCode,
) -> None:
    assert wait_s(shed(0, code)) is None


def test_does_not_repeat_a_call_that_may_have_run() -> None:
    assert wait_s(DROPPED) is None


def test_backs_off_longer_each_time_while_nobody_can_be_reached() -> None:
    waits = [wait_s(UNREACHABLE, made=made) for made in (1, 2, 3)]

    assert waits == [pytest.approx(0.1), pytest.approx(0.2), None]


@pytest.mark.parametrize(("random", "expected"), [(0.0, 0.08), (0.5, 0.1), (1.0, 0.12)])
def test_spreads_the_back_off_to_both_sides(random: float, expected: float) -> None:
    assert POLICY.backoff_s(1, random) == pytest.approx(expected)


def test_the_back_off_stops_growing() -> None:
    assert POLICY.backoff_s(20, random=0.5) == pytest.approx(POLICY.max_backoff_s)


def test_makes_no_more_attempts_than_allowed() -> None:
    assert [wait_s(shed(1), made=made) for made in (1, 2, 3)] == [0.001, 0.001, None]


@pytest.mark.parametrize(("remaining_s", "expected"), [(0.2, 0.1), (0.102, 0.1), (0.1, None)])
def test_makes_no_attempt_that_would_start_too_late(
    remaining_s: float, expected: float | None
) -> None:
    assert wait_s(shed(100), remaining_s=remaining_s) == expected


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


def test_a_hedge_pays_as_it_is_sent_and_only_from_the_upper_half() -> None:
    budget = RetryBudget(POLICY)

    hedged = [budget.hedged() for _ in range(7)]

    assert hedged == [True] * 5 + [False] * 2
    assert repr(budget) == "<RetryBudget 5/10>"


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
