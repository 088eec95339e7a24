"""Which version of a model a call gets while a new one is rolled out, and when that ends.

One object for each model that has a stable version and a canary. Who gets the canary is decided
by a place on a line from 0 to 1, the same for the same key: who is below the share gets it, so a
larger share moves nobody back. The canary's calls are compared with those that the stable version
has at the same time, and when it does harm it gets no more. Pure: `now` comes in, in monotonic
seconds.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from inferd.config.rollouts import Guardrail
from inferd.config.rollouts import Rollout as Settings
from inferd.resilience.comparison import Limit, Moments, Recently, RecentValues, harm, shift

Place = Callable[[str], float]
"""Where a key is, from 0 up to 1: evenly spread, and always in the same place."""


class Stage(StrEnum):
    """How far a rollout has come."""

    RUNNING = "RUNNING"
    """The canary gets its share."""
    ROLLED_BACK = "ROLLED_BACK"
    """It gets nothing, and no copies."""
    PROMOTED = "PROMOTED"
    """It gets all calls that name no version."""


class Decision(NamedTuple):
    """What somebody or something decided while the server ran."""

    model: str
    canary: int
    revision: int
    """Of which it holds: a higher one begins anew."""
    stage: Stage
    why: str
    at_us: int


class Side:
    """What is known of one of the two, of late."""

    def __init__(self, window_s: float) -> None:
        self._errors, self._latency = Recently(window_s), Recently(window_s)
        self._said = RecentValues(window_s)
        #: Calls, and of them the failed, since the server started.
        self.calls = self.failed = 0

    def answered(self, took_s: float | None, said: float | None, now: float) -> None:
        """Count an answer; `said`: a number out of it, if there is one.

        `took_s`: None: it is a copy's, and nobody hurried.
        """
        self.calls += 1
        self._errors.add(0.0, now)
        if took_s is not None:
            self._latency.add(took_s, now)
        if said is not None:
            self._said.add(said, now)

    def failed_at(self, now: float) -> None:
        """Count a call that failed because of the model."""
        self.calls += 1
        self.failed += 1
        self._errors.add(1.0, now)

    def errors(self, now: float) -> Moments:
        """Return failures of late, as 0 and 1."""
        return self._errors.moments(now)

    def latency(self, now: float) -> Moments:
        """Return what answers took of late, in seconds."""
        return self._latency.moments(now)

    def said(self, now: float) -> list[float]:
        """Return numbers out of answers of late."""
        return list(self._said.values(now))


class Rollout:
    """The rollout of one model."""

    def __init__(
        self, model: str, settings: Settings, place: Place, decided: Decision | None = None
    ) -> None:
        self.model = model
        self.settings = settings
        self.decision = decided
        self.stable, self.canary = (Side(settings.guardrail.window_s) for _ in range(2))
        #: Why the canary cannot be asked at all. Empty: it can.
        self.problem = ""
        self._place = place
        self._share = settings.percent / 100

    @property
    def stage(self) -> Stage:
        """How far it has come."""
        return Stage.RUNNING if self.decision is None else self.decision.stage

    @property
    def default(self) -> int:
        """The version that calls get which name none, but for the canary's share."""
        it = self.settings
        return it.canary if self.stage is Stage.PROMOTED else it.stable

    @property
    def steers(self) -> bool:
        """Whether any call gets another version than the default."""
        return self._share > 0 and self.stage is Stage.RUNNING and not self.problem

    def gets_canary(self, key: str) -> bool:
        """Whether calls with this key get the canary, for its share."""
        return self.steers and self._place(key) < self._share

    def copies(self, chance: float) -> bool:
        """Whether a call is copied to the canary; `chance` is from 0 up to 1."""
        running = self.stage is Stage.RUNNING and not self.problem
        return running and chance < self.settings.shadow.share

    def harm(self, now: float) -> str:
        """Return what harm the canary does; empty: none that is known of."""
        it = self.settings.guardrail
        if not it.enabled or self.stage is not Stage.RUNNING:
            return ""
        for what, found in (
            ("errors", harm(self.stable.errors(now), self.canary.errors(now), _errors(it))),
            (
                "seconds of latency",
                harm(self.stable.latency(now), self.canary.latency(now), _latency(it)),
            ),
            ("what it says", shift(self.stable.said(now), self.canary.said(now), _shift(it))),
        ):
            if found:
                return f"{what}: {found}"
        return ""

    def decide(self, stage: Stage, why: str, at_us: int) -> Decision:
        """Go back, go on, or go all the way. Who goes on begins anew: what was, was."""
        it = self.settings
        if stage is Stage.RUNNING:
            self.stable, self.canary = (Side(it.guardrail.window_s) for _ in range(2))
        self.decision = Decision(self.model, it.canary, it.revision, stage, why, at_us)
        return self.decision

    def holds(self, decision: Decision) -> bool:
        """Whether a decision of before is about this."""
        it = self.settings
        return decision[:3] == (self.model, it.canary, it.revision)

    def note(self, number: int) -> str:
        """Return what the index says of a version."""
        if number != self.settings.canary:
            return ""
        if self.decision is not None and self.stage is not Stage.RUNNING:
            word = "rolled back" if self.stage is Stage.ROLLED_BACK else "promoted"
            return f"{word}: {self.decision.why}"
        if self.problem:
            return f"canary, not used: {self.problem}"
        shadow = self.settings.shadow.share
        copies = f", and copies of {100 * shadow:g} %" if shadow else ""
        return f"canary: {self.settings.percent:g} % of calls{copies}"


def _errors(it: Guardrail) -> Limit:
    return Limit(it.errors_times, it.errors_slack, minimum=it.minimum, alpha=it.alpha)


def _latency(it: Guardrail) -> Limit:
    slack_s = it.latency_slack_ms / 1000
    return Limit(it.latency_times, slack_s, minimum=it.minimum, alpha=it.alpha)


def _shift(it: Guardrail) -> Limit:
    return Limit(slack=it.shift, minimum=it.minimum, alpha=it.alpha)
