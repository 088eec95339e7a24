"""When each attempt at a call is sent, and when the call is over. Time is a number we pass in."""

import math
from typing import Any

import pytest
from grpc import StatusCode
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.oip import grpc_service_pb2 as pb
from inferd_client import HedgePolicy, InferRequest, RetryPolicy, _calls
from inferd_client._attempts import MOST_KINDS, Attempts, Tactics
from inferd_client._errors import DeadlineExceeded, InferdError, error_of
from inferd_client._hedge import ENOUGH, Latency
from inferd_client._retry import RetryBudget

POLICY = RetryPolicy(max_attempts=3, initial_backoff_s=0.1, multiplier=2.0, jitter=0.2)
HEDGE = HedgePolicy(after_s=0.1)
UNREACHABLE = error_of(StatusCode.UNAVAILABLE, "failed to connect to all addresses; ...", {})
DROPPED = error_of(StatusCode.UNAVAILABLE, "Stream removed (Socket closed)", {})
LATE = error_of(StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", {})


def shed(pushback_ms: object, code: StatusCode = StatusCode.UNAVAILABLE) -> InferdError:
    return error_of(code, "shed", {"grpc-retry-pushback-ms": str(pushback_ms)})


def the_attempts(
    *,
    timeout_s: float = 10.0,
    budget: RetryBudget | None = None,
    policy: RetryPolicy = POLICY,
    hedge: HedgePolicy | None = None,
    latency: Latency | None = None,
) -> Attempts:
    return Attempts(
        policy,
        budget or RetryBudget(policy),
        now=100.0,
        timeout_s=timeout_s,
        random=lambda: 0.5,
        hedge=hedge,
        latency=latency,
    )


def two_under_way(**arguments: Any) -> Attempts:
    attempts = the_attempts(hedge=HEDGE, **arguments)
    assert attempts.begin(100.0)
    assert attempts.begin(100.1)
    return attempts


def waits_s(attempts: Attempts, *failures: InferdError) -> list[float | None]:
    """Fail one attempt after another, in no time; return the waits between. None: given up."""
    waits: list[float | None] = []
    for failure in failures:
        attempts.begin(100.0)
        try:
            attempts.failed(failure, 100.0)
        except InferdError:
            waits.append(None)
        else:
            waits.append(attempts.wait_s(100.0))
    return waits


def test_waits_from_one_attempt_to_the_next_until_it_gives_up() -> None:
    waits = waits_s(the_attempts(), shed(120), shed(50), shed(50))

    assert waits == [pytest.approx(0.120), pytest.approx(0.050), None]


def test_all_attempts_share_one_deadline() -> None:
    attempts = the_attempts(timeout_s=1.0)

    attempts.begin(100.0)
    attempts.failed(shed(100), now=100.3)

    assert attempts.remaining_s(now=100.4) == pytest.approx(0.6)


def test_an_attempt_that_would_come_too_late_is_the_last_ones_failure() -> None:
    attempts = the_attempts(timeout_s=1.0)

    attempts.begin(100.0)
    attempts.failed(shed(100), now=100.3)

    with pytest.raises(InferdError, match="shed"):
        attempts.begin(now=100.9995)


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, 0.0009])
def test_a_timeout_that_is_too_short_fails_before_anything_is_sent(timeout_s: float) -> None:
    with pytest.raises(DeadlineExceeded, match="nothing was sent"):
        the_attempts(timeout_s=timeout_s)


def test_a_call_that_is_held_up_before_its_first_attempt_is_not_sent_late() -> None:
    attempts = the_attempts(timeout_s=0.5, hedge=HEDGE)

    with pytest.raises(DeadlineExceeded, match="nothing was sent"):
        attempts.begin(now=100.4995)


@pytest.mark.parametrize("timeout_s", [math.nan, math.inf])
def test_a_timeout_is_a_number_of_seconds(timeout_s: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        the_attempts(timeout_s=timeout_s)


def test_a_client_whose_calls_keep_failing_stops_retrying_any() -> None:
    budget = RetryBudget(POLICY)

    waits = [waits_s(the_attempts(budget=budget), shed(0))[0] for _ in range(6)]

    assert waits == [0.0, 0.0, 0.0, 0.0, None, None], "half of ten tokens are gone by the fifth"


def test_errors_of_the_caller_take_no_token() -> None:
    budget = RetryBudget(POLICY)

    waits_s(the_attempts(budget=budget), error_of(StatusCode.INVALID_ARGUMENT, "shape", {}))

    assert repr(budget) == "<RetryBudget 10/10>"


def test_without_a_policy_nothing_is_hedged() -> None:
    attempts = the_attempts()

    attempts.begin(100.0)

    assert attempts.wait_s(100.0) is None
    assert not attempts.may_overlap


def test_a_hedge_is_due_when_no_answer_has_come() -> None:
    attempts = the_attempts(hedge=HEDGE)

    assert attempts.may_overlap
    assert attempts.begin(100.0)
    assert attempts.wait_s(100.03) == pytest.approx(0.07)
    assert attempts.begin(100.1)
    assert attempts.made == 2
    assert attempts.wait_s(100.1) is None, "two are all there may be"


def test_more_hedges_follow_at_the_same_distance() -> None:
    attempts = the_attempts(hedge=HedgePolicy(after_s=0.1, max_attempts=3))

    attempts.begin(100.0)
    attempts.begin(100.1)

    assert attempts.wait_s(100.1) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("timeout_s", "hedge"), [(0.1005, HEDGE), (10.0, HedgePolicy(after_s=0.1, max_attempts=1))]
)
def test_knows_when_there_can_be_no_hedge(timeout_s: float, hedge: HedgePolicy) -> None:
    attempts = the_attempts(timeout_s=timeout_s, hedge=hedge)

    assert not attempts.may_overlap


def test_a_hedge_that_comes_too_late_is_not_sent_and_the_first_attempt_goes_on() -> None:
    attempts = the_attempts(timeout_s=0.2, hedge=HEDGE)

    attempts.begin(100.0)

    assert attempts.begin(100.1995) is False
    assert attempts.wait_s(100.1995) is None
    attempts.answered(100.1999)


def test_hedges_stop_at_half_the_tokens_and_the_calls_go_on() -> None:
    budget = RetryBudget(POLICY)
    hedged = []

    for _ in range(7):
        attempts = the_attempts(budget=budget, hedge=HEDGE)
        attempts.begin(100.0)
        hedged.append(attempts.begin(100.1))

    assert hedged == [True] * 5 + [False] * 2


def test_retries_and_hedges_pay_from_the_same_bucket() -> None:
    budget = RetryBudget(POLICY)
    for _ in range(5):
        two_under_way(budget=budget)

    assert waits_s(the_attempts(budget=budget), shed(0)) == [None]


@pytest.mark.parametrize("failure", [UNREACHABLE, DROPPED, LATE, shed(-1), shed(60_000)])
def test_a_failure_of_one_attempt_is_outlived_by_the_other(failure: InferdError) -> None:
    attempts = two_under_way(policy=RetryPolicy(max_attempts=2))

    attempts.failed(failure, 100.15)
    assert attempts.wait_s(100.15) is None

    with pytest.raises(InferdError, match="Socket closed"):
        attempts.failed(DROPPED, 100.2)


@pytest.mark.parametrize(
    "code", [StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND, StatusCode.INTERNAL]
)
def test_a_failure_that_all_would_meet_ends_the_call(code: StatusCode) -> None:
    attempts = two_under_way()

    with pytest.raises(InferdError, match="no"):
        attempts.failed(error_of(code, "no", {}), 100.15)


def test_a_pushback_of_never_stops_the_hedges_too() -> None:
    attempts = two_under_way(policy=RetryPolicy(max_attempts=5))

    attempts.failed(shed(-1), 100.15)

    assert attempts.wait_s(100.15) is None


def test_a_pushback_delays_what_would_have_come_earlier() -> None:
    attempts = the_attempts(hedge=HedgePolicy(after_s=0.1, max_attempts=3))
    attempts.begin(100.0)
    attempts.begin(100.1)

    attempts.failed(shed(500), 100.15)

    assert attempts.wait_s(100.15) == pytest.approx(0.5), "and not the 0.05 of the next hedge"
    assert attempts.begin(100.65)


def test_a_retry_takes_the_turn_of_a_hedge() -> None:
    attempts = the_attempts(hedge=HEDGE)
    attempts.begin(100.0)

    attempts.failed(shed(20), 100.05)

    assert attempts.begin(100.07)
    assert attempts.wait_s(100.07) is None


def test_the_moment_is_learnt_and_before_that_there_is_none() -> None:
    latency, budget = Latency(), RetryBudget(POLICY)
    overlap = []

    for _ in range(ENOUGH + 1):
        attempts = the_attempts(hedge=HedgePolicy(), latency=latency, budget=budget)
        overlap.append(attempts.may_overlap)
        attempts.begin(100.0)
        attempts.answered(100.02)

    assert overlap == [False] * ENOUGH + [True]
    latest = the_attempts(hedge=HedgePolicy(), latency=latency)
    latest.begin(100.0)
    assert latest.wait_s(100.0) == pytest.approx(0.02)


def test_calls_that_run_out_of_time_make_the_moment_later() -> None:
    latency = Latency()
    for _ in range(ENOUGH):
        latency.answered(0.01)

    for _ in range(ENOUGH):
        attempts = the_attempts(timeout_s=0.5, hedge=HedgePolicy(), latency=latency)
        attempts.begin(100.0)
        with pytest.raises(DeadlineExceeded):
            attempts.failed(LATE, 100.5)

    assert latency.p95_s == pytest.approx(0.5)


def test_what_came_after_a_failure_teaches_nothing() -> None:
    latency = Latency()

    for _ in range(ENOUGH):
        attempts = the_attempts(hedge=HedgePolicy(), latency=latency)
        attempts.begin(100.0)
        attempts.failed(shed(0), 100.0)
        attempts.begin(105.0)
        attempts.answered(105.1)

    assert latency.p95_s == math.inf


def infer(model: str, **parameters: Any) -> _calls.Ask[Any]:
    request = InferRequest(model=model, inputs={}, parameters=parameters)
    return _calls.infer(request, metadata=())


def learnt(tactics: Tactics, ask: _calls.Ask[Any]) -> bool:
    return tactics.attempts(now=0.0, timeout_s=1.0, ask=ask).may_overlap


def learn(tactics: Tactics, ask: _calls.Ask[Any]) -> None:
    for _ in range(ENOUGH):
        attempts = tactics.attempts(now=0.0, timeout_s=1.0, ask=ask)
        attempts.begin(0.0)
        attempts.answered(0.1)


def test_each_model_is_as_slow_as_it_is() -> None:
    tactics = Tactics(POLICY, HedgePolicy(), lambda: 0.5)

    learn(tactics, infer("digits"))

    assert learnt(tactics, infer("digits"))
    assert not learnt(tactics, infer("simple"))


def test_more_kinds_of_calls_than_it_can_remember_are_forgotten() -> None:
    tactics = Tactics(POLICY, HedgePolicy(), lambda: 0.5)
    learn(tactics, infer("digits"))

    for number in range(MOST_KINDS):
        learnt(tactics, infer(str(number)))

    assert not learnt(tactics, infer("digits"))


@pytest.mark.parametrize(
    ("ask", "hedged"),
    [
        (infer("digits"), True),
        (infer("digits", sequence_id=7), False),
        (_calls.server_ready(), True),
        (_calls.statistics("", ""), True),
        (_calls.load_model("digits", {}), False),
        (_calls.unload_model("digits", unload_dependents=False), False),
        *(
            (
                _calls.any_unary(
                    "/inferd.v1.Fraud/Assess",
                    pb.ServerLiveRequest(),
                    pb.ServerLiveResponse,
                    metadata=(),
                    criticality=None,
                    repeatable=repeatable,
                ),
                repeatable,
            )
            for repeatable in (True, False)
        ),
    ],
)
def test_only_what_may_be_done_twice_is_hedged(ask: _calls.Ask[Any], hedged: bool) -> None:
    never, always = HedgePolicy(max_attempts=1), HEDGE
    tactics = Tactics(POLICY, never, lambda: 0.5)

    attempts = tactics.attempts(now=0.0, timeout_s=1.0, ask=ask, hedge=always)

    assert attempts.may_overlap is hedged
    assert not tactics.attempts(now=0.0, timeout_s=1.0, ask=ask).may_overlap


FAILURES = st.one_of(
    st.just(UNREACHABLE),
    st.just(DROPPED),
    st.just(LATE),
    st.just(error_of(StatusCode.INTERNAL, "the model failed", {})),
    st.integers(-5, 3000).map(shed),
)
EVENTS = st.lists(st.tuples(st.none() | FAILURES, st.floats(0.0, 0.5)), max_size=12)


@settings(max_examples=100, deadline=None)
@given(events=EVENTS, timeout_s=st.floats(0.001, 5.0), most_hedged=st.integers(1, 4))
def test_whatever_happens_attempts_are_few_and_start_in_time(
    events: list[tuple[InferdError | None, float]], timeout_s: float, most_hedged: int
) -> None:
    hedge = HedgePolicy(after_s=0.1, max_attempts=most_hedged)
    budget = RetryBudget(POLICY)
    attempts = the_attempts(timeout_s=timeout_s, hedge=hedge, budget=budget)
    now, under_way = 100.0, 0
    started = []

    try:
        for failure, later_s in ((None, 0.0), *events):
            wait_s = attempts.wait_s(now)
            if failure is not None and under_way and (wait_s is None or later_s < wait_s):
                now += later_s
                under_way -= 1
                attempts.failed(failure, now)
            elif wait_s is not None:
                now += wait_s
                if attempts.begin(now):
                    under_way += 1
                    started.append(now)
            assert under_way or attempts.wait_s(now) is not None, "there is something to wait for"
    except InferdError:
        assert started, "nobody is refused before the first attempt"

    assert len(started) <= max(POLICY.max_attempts, most_hedged)
    assert all(at <= 100.0 + timeout_s for at in started)
