import asyncio

import pytest

from inferd import errors
from inferd.resilience.outcome import Outcome, outcome_of

SAY_NOTHING = [
    asyncio.CancelledError(),
    GeneratorExit(),
    errors.InvalidRequest("no"),
    errors.NotFound("no"),
    errors.Unimplemented("no"),
    errors.TooLarge("no"),
    errors.Exhausted("no"),
    errors.RateLimited("no", retry_after_s=1),
    errors.Poison("no"),
    errors.Draining("no"),
    errors.Shed("no"),
    errors.Infeasible("no"),
    errors.Expired("no"),
    errors.NoBudget("no"),
    errors.CircuitOpen("no"),
    errors.Saturated("no"),
]
FAILURES = [
    TimeoutError(),
    ConnectionResetError(),
    ValueError("a bug"),
    errors.TimedOut("no"),
    errors.DependencyFailed("no"),
    errors.FaultInjected("no"),
    errors.ModelFailed("no"),
    errors.NotReady("no"),
    errors.Unavailable("no"),
    errors.Internal("no"),
]


@pytest.mark.parametrize("error", SAY_NOTHING, ids=lambda error: type(error).__name__)
def test_wrong_requests_refusals_and_callers_who_leave_say_nothing(error: BaseException) -> None:
    assert outcome_of(error) is Outcome.IGNORED


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_all_else_is_a_failure(error: BaseException) -> None:
    assert outcome_of(error) is Outcome.FAILURE
