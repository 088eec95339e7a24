"""What keeps one slow or broken part from costing the whole answer.

Dependencies and endpoints are named by the services that have them; what is not configured here
has these defaults, or those that its service declares.
"""

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from inferd.config.section import NotNegative, Positive, Section

Share = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
Methods = Annotated[str, Field(pattern=r"^(\*|/[\w.]+/(\*|\w+))$")]
Identity = Annotated[str, Field(min_length=1, max_length=128)]


def _as_written(given: Any) -> Any:
    """YAML takes `on` and `off` for booleans; whoever wrote them meant the words."""
    return {True: "on", False: "off"}[given] if isinstance(given, bool) else given


Written = BeforeValidator(_as_written)


class Breaker(Section):
    """A circuit breaker: when a dependency is left alone, and how it is tried again."""

    mode: Annotated[Literal["on", "metrics_only", "off"], Written] = "on"
    """metrics_only: tell what it would do, and let all calls pass."""
    window: Literal["time", "count"] = "time"
    """What the rates are of: the calls of the last `window_s`, or the last `window_calls`."""
    window_s: Positive = 10.0
    window_calls: Count = 100
    minimum_calls: Count = 20
    """Fewer calls in the window say nothing, unless it is full."""
    failure_rate: Share = 0.5
    """The share of failed calls at which it opens."""
    consecutive_failures: Annotated[int, Field(ge=0)] = 20
    """So many failed calls in a row open it, too: who waits for each answer makes few calls while
    there are none, and the window is still full of good ones. 0: never."""
    slow_rate: Share = 0.8
    """The share of slow calls at which it opens."""
    slow_ms: NotNegative = 0.0
    """Slower than this is slow. 0: three times what 99 of 100 calls used to take."""
    open_s: Positive = 0.5
    """How long it stays open before probes may pass; longer each time that they fail."""
    open_factor: Annotated[float, Field(ge=1)] = 2.0
    open_max_s: Positive = 10.0
    open_jitter: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """By which share, either way, that is spread, so that servers do not return in step."""
    probes: Count = 3
    """Calls that may pass while it is half open; their outcomes decide."""
    probe_timeout_s: Positive = 2.0
    """Probes that are under way for so long without a verdict open it again."""

    @model_validator(mode="after")
    def _ordered(self) -> "Breaker":
        if self.open_s > self.open_max_s:
            raise ValueError("open_s must not be more than open_max_s")
        return self


class Limit(Section):
    """How many calls to a dependency may be under way at once."""

    mode: Annotated[Literal["adaptive", "fixed", "off"], Written] = "adaptive"
    """adaptive: as many as it takes without answering more slowly."""
    initial: Count = 20
    """Where it begins; where it stays, if it is fixed."""
    minimum: Count = 2
    maximum: Count = 1000

    @model_validator(mode="after")
    def _ordered(self) -> "Limit":
        in_order = self.minimum <= self.initial <= self.maximum
        if self.mode == "adaptive" and not in_order:
            raise ValueError(
                f"minimum ({self.minimum}), initial ({self.initial}) and maximum ({self.maximum})"
                " must be in this order"
            )
        return self


class Retry(Section):
    """Whether what failed is tried again. Only where the service says that it may be."""

    attempts: Count = 2
    """All attempts, the first included."""
    backoff_ms: NotNegative = 1.0
    """Before the first retry, on average; twice as long each time."""


class Hedge(Section):
    """Whether what takes long is asked for twice. Only where the service says that it may be."""

    enabled: bool = True
    quantile: Share = 0.95
    """Ask again when this share of calls would have been answered."""
    min_ms: NotNegative = 0.5
    """But never earlier than this."""


class Dependency(Section):
    """How calls to one thing that can be slow or broken are guarded."""

    timeout_ms: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1000.0
    """The longest that one call may take, whatever its caller's deadline."""
    breaker: Breaker = Breaker()
    limit: Limit = Limit()
    retry: Retry = Retry()
    hedge: Hedge = Hedge()
    extra_share: Share = 0.1
    """Retries and hedges together, per call."""
    extra_burst: Count = 3
    """Of them, those that may come at once."""


class Rung(Section):
    """One way to get what a stage is for. The first is the full one; others are degraded."""

    name: Name
    cap_ms: Annotated[float, Field(gt=0)] = math.inf
    """The longest it may take."""
    seed_ms: NotNegative = 1.0
    """What it is expected to take before anybody has seen it."""
    up_to_load: Annotated[float, Field(gt=0)] = math.inf
    """Left out while the endpoint's load is above this. 1.0: as much as can be served in full."""


class Stage(Section):
    """One step of an endpoint, and the ladder of ways to take it."""

    name: Name
    ladder: Annotated[tuple[Rung, ...], Field(min_length=1)]
    """From best to cheapest. Where the last is no fallback but may fail, so may the stage."""
    beside_previous: bool = False
    """Runs at the same time as the stage before, and shares its budget."""
    optional: bool = False
    """Nothing is kept back for it, and the answer is given without it if need be."""


class Cascade(Section):
    """How one endpoint's deadline is split over its stages, and what it does without."""

    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    default_deadline_ms: Positive = 100.0
    """Of a call whose caller named none."""
    reserve_quantile: Share = 0.9
    """What is kept back for what must follow: this quantile of how long it took of late."""
    guard_ms: NotNegative = 1.0
    """Kept back from every deadline for the way home."""

    @model_validator(mode="after")
    def _distinct(self) -> "Cascade":
        for names in (
            [stage.name for stage in self.stages],
            *([rung.name for rung in stage.ladder] for stage in self.stages),
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"names must differ: {', '.join(names)}")
        return self


class RateLimit(Section):
    """So many calls per second, and those beyond get RESOURCE_EXHAUSTED and when to return."""

    per_s: Positive
    burst: Count = 1
    """Calls that may come at once, after a pause."""
    methods: Annotated[tuple[Methods, ...], Field(min_length=1)] = ("*",)
    """Full paths, `/package.Service/*`, or `*`. Counted together."""
    identities: tuple[Identity, ...] = ()
    """The callers (`client-id`) that it is for, each for itself. Empty: everybody."""
    together: bool = False
    """One allowance for all of them, instead of one each."""
    shared: bool = False
    """Counted in Redis, for all servers together. While that cannot be asked, each for itself."""


class Bulkhead(Section):
    """How many calls of one service may be under way, by criticality, so that others have room."""

    max_calls: Count
    critical_share: Share = 0.95
    """Of them, those that may be taken by CRITICAL calls and by those below; and so on."""
    sheddable_plus_share: Share = 0.8
    sheddable_share: Share = 0.6

    @model_validator(mode="after")
    def _ordered(self) -> "Bulkhead":
        if not self.sheddable_share <= self.sheddable_plus_share <= self.critical_share:
            raise ValueError(
                "sheddable_share, sheddable_plus_share and critical_share must be in this order"
            )
        return self


class Outliers(Section):
    """When an instance of a model is taken out of service, and built anew in the background."""

    enabled: bool = True
    consecutive_failures: Count = 5
    """Runs in a row without a single right answer, though not for what was asked."""
    hung_factor: Annotated[float, Field(gt=1)] = 20.0
    """A run that takes this many times as long as predicted hangs,"""
    hung_min_ms: Positive = 1000.0
    """if it has taken this long, too."""
    rebuild_s: Positive = 0.2
    """Between ejection and the first attempt to rebuild it; twice as long each time that fails,
    up to ten times what it takes to build it."""
    rebuild_max_s: Positive = 30.0
    """But never longer than this."""


class Resilience(Section):
    """Breakers, limits, budgets and ladders."""

    dependencies: dict[Name, Dependency] = Field(default_factory=dict)
    """How calls to dependencies are guarded, by name; `grpcurl` shows the names (AdminService)."""
    cascades: dict[str, Cascade] = Field(default_factory=dict)
    """Stages and ladders of endpoints, by full path, instead of their services' own."""
    model_breaker: Breaker = Breaker()
    """Of every model version."""
    outliers: Outliers = Outliers()
    rate_limits: tuple[RateLimit, ...] = ()
    """All that match a call must let it pass."""
    max_identities: Count = 1_000_000
    """Callers whose rates are known; those seen longest ago are forgotten, in their favour."""
    bulkheads: dict[str, Bulkhead] = Field(default_factory=dict)
    """By the service's full name, e.g. `{inference.GRPCInferenceService: {max_calls: 500}}`."""
