"""What the server's own books say: breakers, failed attempts, and how late its event loop was."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from inferd.v1.admin_pb2 import Breaker
from support.chaos.world import MINIMUM_CALLS, World

CLEAR = 3
"""A breaker must have opened when so many times its minimum of calls have failed."""
ASKED = ("tastes", "trend", "ranker", "order", "model/trend/1", "model/ranker/2")
"""Who is asked for every whole answer. The breakers of others stay as they were until they are."""
FAILED = frozenset({"timed_out", "dependency_failed", "fault_injected", "model_failed"})
"""How attempts end that speak against a dependency. That there is no such model does not."""
LAGS_S = (0.01, 0.025, 0.05, 0.1)
"""The event loop may be late by the first of them; the others are for when the machine is late."""
_LAG = "inferd_event_loop_lag_seconds"


@dataclass(frozen=True, slots=True)
class Books:
    """The books at one time."""

    #: Of every breaker: how often it has opened, and its state.
    opened: Mapping[str, int]
    states: Mapping[str, str]
    #: Attempts that failed, by dependency.
    failed: Mapping[str, int]
    #: Instances that are out of service, and why.
    out: Mapping[str, str]
    #: How often the event loop was later than each bound, in seconds.
    late: Mapping[float, float]


def books(world: World) -> Books:
    """Read a server's books."""
    dependencies, breakers = world.dependencies(), world.breakers()
    found = world.samples(f"{_LAG}_count", f"{_LAG}_bucket")
    below = {bound: found[f'{_LAG}_bucket{{le="{bound}"}}'] for bound in LAGS_S}
    return Books(
        opened={name: each.opened for name, each in breakers.items()},
        states={name: Breaker.State.Name(each.state) for name, each in breakers.items()},
        failed={
            each.name: sum(each.outcomes[how] for how in FAILED & set(each.outcomes))
            for each in dependencies
        },
        out={
            f"{version.model}/{version.version}#{each.index}": each.why
            for version in world.versions()
            for each in version.instances
            if not each.in_service
        },
        late={bound: found[f"{_LAG}_count"] - count for bound, count in below.items()},
    )


def violations(
    before: Books, after: Books, dependency: str, *, slack_s: float, stalls: bool
) -> Iterator[str]:
    """Yield what may not have happened in between.

    The event loop may have been late where even an idle process was late by `slack_s`, and where
    it was held up on purpose (`stalls`).
    """
    failed = after.failed[dependency] - before.failed[dependency]
    opened = after.opened[dependency] - before.opened[dependency]
    if failed > CLEAR * MINIMUM_CALLS and not opened:
        yield f"{failed} calls to {dependency} failed, and its breaker did not open"
    for name, state in after.states.items():
        if name in ASKED and state != "CLOSED":
            yield f"the breaker of {name} is {state} at the end"
    for instance, why in after.out.items():
        yield f"{instance} is out of service at the end: {why}"
    bound = next((each for each in LAGS_S if each >= LAGS_S[0] + slack_s), None)
    if bound is not None and not stalls and (late := after.late[bound] - before.late[bound]):
        yield f"the event loop was more than {bound * 1e3:g} ms late, {late:g} times"
