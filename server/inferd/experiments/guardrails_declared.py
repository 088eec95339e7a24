"""How guardrails are written. docs/experiments.md explains what each key does."""

from typing import Annotated, Literal

from pydantic import Field

from inferd.config.section import NotNegative, Positive, Section

LATENCY, ERROR, DEGRADED, PREDICTION = "latency_ms", "error", "degraded", "prediction"
"""What is known of every answer. Whatever else a guardrail names is an outcome."""
SERVED = frozenset({LATENCY, ERROR, DEGRADED, PREDICTION})


class Guardrail(Section):
    """What an arm may not do, compared with the control, which is the first arm."""

    metric: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]*$", max_length=64)]
    worse: Literal["higher", "lower"] = "higher"
    times: NotNegative = 1.0
    """So many times as much as the control may be; where lower is worse, so many at least."""
    slack: NotNegative = 0.0
    """And so much more, or less, on top of it. Of `prediction`: how far apart distributions may be,
    from 0 to 1."""
    window_s: Positive = 3600.0
    minimum: Annotated[int, Field(ge=2)] = 200
    """Answers, or units, that each of the two must have in the window."""
    alpha: Annotated[float, Field(gt=0, le=0.1)] = 0.001
    """How often an arm that does no harm is stopped, at most."""
