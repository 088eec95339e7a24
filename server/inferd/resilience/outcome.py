"""What a call says about the health of what was called: three outcomes, not two.

A failed call need not be the dependency's fault. A request that nobody could answer, a caller who
left, or one who gave too little time say nothing about it, and a breaker or limit that counted
them would let one careless client shut everybody else out.
"""

from enum import Enum

from inferd import errors


class Outcome(Enum):
    """What a call says about the dependency."""

    SUCCESS = 1
    FAILURE = 2
    #: Nothing: the request was wrong, its caller left, or there was too little time.
    IGNORED = 3


_SAY_NOTHING = (
    errors.InvalidRequest,
    errors.NotFound,
    errors.Unimplemented,
    errors.TooLarge,
    errors.Exhausted,
    errors.Poison,
    # Those who refuse know what they do, and a refusal is no sign of ill health.
    errors.Draining,
    errors.Shed,
    errors.Infeasible,
    errors.Expired,
    errors.NoBudget,
    errors.CircuitOpen,
    errors.Saturated,
)


def outcome_of(error: BaseException) -> Outcome:
    """Return what an error says about whoever raised it.

    A `TimedOut` is a failure here; whether the time was enough is for the guard to know.
    """
    if not isinstance(error, Exception) or isinstance(error, _SAY_NOTHING):
        return Outcome.IGNORED  # a cancellation and its like are no `Exception`
    return Outcome.FAILURE
