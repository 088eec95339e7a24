"""Rollouts: a new version of a model gets a share of the calls, or a copy of some."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from inferd.config.section import NotNegative, Positive, Section

Number = Annotated[int, Field(ge=1)]
Part = Annotated[float, Field(ge=0, le=1)]
Times = Annotated[float, Field(ge=1)]


class Guardrail(Section):
    """When a canary goes back by itself. Canary and stable version are compared, side by side."""

    enabled: bool = True
    window_s: Positive = 300.0
    """What of late is compared."""
    minimum: Annotated[int, Field(ge=2)] = 100
    """Calls that each of them must have had in the window."""
    alpha: Annotated[float, Field(gt=0, le=0.1)] = 0.001
    """How often a canary that is as good goes back, at most, for errors or latency."""
    errors_times: Times = 1.25
    """How many times as often as the stable version it may fail."""
    errors_slack: Part = 0.0
    """And in so large a share of the calls on top of that."""
    latency_times: Times = 1.25
    """How many times as long as the stable version it may take, on average."""
    latency_slack_ms: NotNegative = 2.0
    """And so much longer on top of that."""
    shift: Part = 0.3
    """How far apart what they say may be: the largest difference of the shares below any value
    (Kolmogorov and Smirnov). 1: anything."""


class Shadow(Section):
    """Copies of calls that the stable version has answered."""

    share: Part = 0.0
    """Of the calls. Their callers do not notice."""
    most: Number = 4
    """Copies under way. Those beyond are dropped, and so are all while calls wait."""
    timeout_ms: Positive = 1000.0
    max_bytes: Number = 1024 * 1024
    """Larger inputs are not copied."""


class Rollout(Section):
    """A stable version, and one that is to follow it. Both are loaded, whatever else is."""

    stable: Number
    """The version that calls get which name none."""
    canary: Number
    percent: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Of those calls, so many get the canary. More of them moves nobody back."""
    by: Literal["x-unit", "client-id", "random"] = "x-unit"
    """Request metadata: calls with the same value get the same version. Without it, by chance."""
    shadow: Shadow = Shadow()
    guardrail: Guardrail = Guardrail()
    revision: Number = 1
    """A higher one is a new beginning: what was rolled back gets its share again."""

    @model_validator(mode="after")
    def _differ(self) -> "Rollout":
        if self.stable == self.canary:
            raise ValueError("canary must be another version than stable")
        return self


class Rollouts(Section):
    """New versions of models, step by step."""

    models: dict[str, Rollout] = Field(default_factory=dict)
    """By model, e.g. `{digits: {stable: 1, canary: 2, percent: 5}}`."""
    look_s: Positive = 1.0
    """How often it is looked whether a canary does harm."""
    decided: Path = Path("rollouts.json")
    """A file that knows what was rolled back or promoted while the server ran, so that it stays
    so after a restart."""
