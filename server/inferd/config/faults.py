"""What is broken on purpose, to see what happens: which faults there are, and where they come from.

A fault is of one kind and has that kind's parameters, wherever it is told: in a schedule, by
`AdminService`, or in a call's metadata.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, TypeAdapter, model_validator

from inferd.config.section import NotNegative, Positive, Section

Address = Annotated[str, Field(pattern=r"^([^:\s]+:\d+|unix:\S+)$")]
Direction = Literal["upstream", "downstream"]
Reason = Literal[
    "FAULT_INJECTED", "DEPENDENCY_FAILED", "UNAVAILABLE", "NOT_READY", "MODEL_FAILED", "NOT_FOUND",
    "INVALID_REQUEST", "TIMED_OUT", "INTERNAL",
]  # fmt: skip


class _AnyFault(Section):
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of those who pass that it strikes; of connections, at a proxy."""
    for_s: Positive | None = None
    """How long it lasts. Absent: until it is cleared."""
    flap_s: Positive | None = None
    """It comes and goes: so long it is there, so long it is not."""


class _Toxic(_AnyFault):
    direction: Direction = "downstream"
    """At a proxy, whose bytes it is about: downstream, those to the client."""


class Latency(_Toxic):
    """Everything takes longer. The only kind that both parts of the server and proxies know."""

    kind: Literal["latency"] = "latency"
    ms: Positive
    jitter_ms: NotNegative = 0.0
    """By how much more or less, at random."""


class Error(_AnyFault):
    """It fails at once."""

    kind: Literal["error"] = "error"
    reason: Reason = "FAULT_INJECTED"


class Drop(_AnyFault):
    """There is never an answer."""

    kind: Literal["drop"] = "drop"


class Hang(_AnyFault):
    """Nothing moves until the fault ends; then it goes on."""

    kind: Literal["hang"] = "hang"


class Corrupt(_AnyFault):
    """The answer is wrong: numbers are NaN, the bits of bytes are flipped."""

    kind: Literal["corrupt"] = "corrupt"


class CpuStall(_AnyFault):
    """The thread works on something else, be it the event loop."""

    kind: Literal["cpu_stall"] = "cpu_stall"
    ms: Annotated[float, Field(gt=0, le=1000)]


class MemoryPressure(_AnyFault):
    """Whoever passes leaves some MiB behind, until there are so many; freed when it ends."""

    kind: Literal["memory_pressure"] = "memory_pressure"
    mib: Annotated[int, Field(ge=1)]


class Bandwidth(_Toxic):
    """So many kilobytes per second."""

    kind: Literal["bandwidth"] = "bandwidth"
    rate_kb_s: Positive


class SlowClose(_Toxic):
    """The end of a connection is passed on late."""

    kind: Literal["slow_close"] = "slow_close"
    delay_ms: NotNegative


class Timeout(_Toxic):
    """Bytes get lost, and the connection is closed after a while. 0: only when the fault ends."""

    kind: Literal["timeout"] = "timeout"
    timeout_ms: NotNegative


class ResetPeer(_Toxic):
    """The connection is reset (TCP's RST), at once or after a while."""

    kind: Literal["reset_peer"] = "reset_peer"
    timeout_ms: NotNegative = 0.0


class Slicer(_Toxic):
    """Bytes arrive in small pieces."""

    kind: Literal["slicer"] = "slicer"
    average_bytes: Annotated[int, Field(ge=1)]
    variation_bytes: Annotated[int, Field(ge=0)] = 0
    """Pieces are so much larger or smaller, at random."""
    delay_us: NotNegative = 0.0
    """Between pieces."""

    @model_validator(mode="after")
    def _positive(self) -> "Slicer":
        if self.variation_bytes >= self.average_bytes:
            raise ValueError("variation_bytes must be smaller than average_bytes")
        return self


class LimitData(_Toxic):
    """The connection is closed after so many bytes."""

    kind: Literal["limit_data"] = "limit_data"
    bytes: Annotated[int, Field(ge=0)]


class Down(_AnyFault):
    """Nobody listens, and those who were connected are not any more."""

    kind: Literal["down"] = "down"


Toxic: TypeAlias = Latency | Bandwidth | SlowClose | Timeout | ResetPeer | Slicer | LimitData | Down
"""What can be wrong with a proxy's connections: toxiproxy's toxics."""
Fault: TypeAlias = Toxic | Error | Drop | Hang | Corrupt | CpuStall | MemoryPressure
"""All kinds. `latency` and those that are no toxics can be wrong with a part of the server."""

_FAULT: TypeAdapter[Fault] = TypeAdapter(Annotated[Fault, Field(discriminator="kind")])


def fault(parameters: Mapping[str, Any]) -> Fault:
    """Return the fault of that `kind`. Raises pydantic's `ValidationError`."""
    return _FAULT.validate_python(dict(parameters))


class Scheduled(Section):
    """A fault, where, and when it begins: `{at_s: 5, point: redis, kind: latency, ms: 200}`."""

    at_s: NotNegative
    point: Annotated[str, Field(min_length=1)]
    fault: Annotated[Fault, Field(discriminator="kind")]

    @model_validator(mode="before")
    @classmethod
    def _nested(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or "fault" in given:
            return given
        own = {key: given[key] for key in ("at_s", "point") if key in given}
        return own | {"fault": {key: given[key] for key in given if key not in own}}


class Proxy(Section):
    """A TCP proxy on loopback whose connections can be made slow, short or dead."""

    listen: Annotated[str, Field(pattern=r"^(127\.\d+\.\d+\.\d+:\d+|unix:\S+)$")] = "127.0.0.1:0"
    """Where clients connect: `127.0.0.1:port`, or `unix:/path`. Port 0: any free one; the log
    says which."""
    upstream: Address
    """What it stands in front of: `host:port`, or `unix:/path`."""
    max_connections: Annotated[int, Field(ge=1)] = 256
    """At once; those beyond are closed as soon as they are made."""


class Faults(Section):
    """Fault injection. Nothing of it can be used unless it is enabled."""

    enabled: bool = False
    by_metadata: bool = False
    """Let callers break things for their own calls (`x-fault: redis=latency:200ms`)."""
    schedule: tuple[Scheduled, ...] = ()
    """Faults, when they begin, from the server's start, and how long they last; or the name of a
    YAML file with such a list. `[{at_s: 5, point: redis, kind: latency, ms: 200, for_s: 10}]`"""
    seed: int = 0
    """Of the dice that say whom a fault with a `share` strikes."""
    max_memory_mib: Annotated[int, Field(ge=0)] = 256
    """What all faults of the kind memory_pressure may take, together."""
    proxies: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")], Proxy] = Field(
        default_factory=dict
    )
    """By name, e.g. `{redis: {listen: 127.0.0.1:7000, upstream: 127.0.0.1:6379}}`."""
