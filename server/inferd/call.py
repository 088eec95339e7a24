"""What the server knows of one call besides its request: the same on every transport.

A transport builds it, the pipeline and the services read it, and whoever has something
to say to the caller writes into `trailing`. It is not shared between calls.
"""

from collections.abc import Mapping
from enum import StrEnum

from inferd.deadline import NEVER, Deadline

EXPLAIN = "x-explain-latency"
"""Request metadata: with the value 1 the answer carries a waterfall of where time went."""

CRITICALITY = "x-criticality"
"""Request metadata: what an answer is worth to the caller, one of `Criticality`."""
CLIENT_ID = "client-id"
"""Request metadata: who asks. Where there is not enough for all, callers share."""
ATTEMPTS = "grpc-previous-rpc-attempts"
"""Request metadata of a retry, by gRPC's clients and ours: how often it was tried before."""

ONWARD = (CRITICALITY, CLIENT_ID, "traceparent", "tracestate")
"""Request metadata that hold for whatever is asked on a call's behalf, too."""

Value = str | bytes
"""A metadata value: text, or bytes for a key that ends in `-bin`."""


class Criticality(StrEnum):
    """What an answer is worth. Without a word from the caller: CRITICAL."""

    CRITICAL_PLUS = "CRITICAL_PLUS"
    CRITICAL = "CRITICAL"
    SHEDDABLE_PLUS = "SHEDDABLE_PLUS"
    SHEDDABLE = "SHEDDABLE"


_KNOWN = frozenset(each.value for each in Criticality)

SHEDDABLE = frozenset({Criticality.SHEDDABLE_PLUS, Criticality.SHEDDABLE})
"""Whose calls may be refused for the sake of others."""


class Call:
    """One call on its way through the server. Times are monotonic seconds."""

    __slots__ = (
        "arrived",
        "deadline",
        "initial",
        "metadata",
        "method",
        "peer",
        "span",
        "stages",
        "trailing",
    )

    def __init__(
        self,
        method: str,
        *,
        arrived: float,
        deadline: Deadline = NEVER,
        metadata: Mapping[str, Value] | None = None,
        peer: str = "",
    ) -> None:
        #: The full path, e.g. `/inference.GRPCInferenceService/ModelInfer`.
        self.method = method
        #: When the call reached the transport.
        self.arrived = arrived
        #: The caller's own deadline; `NEVER` when it named none.
        self.deadline = deadline
        #: Request metadata, keys in lower case. The last of repeated keys.
        self.metadata: Mapping[str, Value] = metadata or {}
        #: Where the call came from, in gRPC's notation (`ipv4:127.0.0.1:5000`).
        self.peer = peer
        #: The call's trace span, when it is traced; the batch that runs it links to it.
        self.span: object | None = None
        #: Metadata to send before the first answer; without effect once that is under way.
        self.initial: list[tuple[str, Value]] = []
        #: Metadata to send after the answer or the error.
        self.trailing: list[tuple[str, Value]] = []
        #: Where time went, in order: (stage, seconds). Filled when `explains`.
        self.stages: list[tuple[str, float]] = []

    @property
    def explains(self) -> bool:
        """Whether the caller asked where the time went."""
        return self.metadata.get(EXPLAIN) == "1"

    @property
    def onward(self) -> tuple[tuple[str, Value], ...]:
        """The metadata of calls to other servers that are made for this one."""
        return tuple((key, self.metadata[key]) for key in ONWARD if key in self.metadata)

    @property
    def criticality(self) -> str:
        """What its caller says that the answer is worth; CRITICAL, unless that is a known word."""
        said = str(self.metadata.get(CRITICALITY, "")).upper()
        return said if said in _KNOWN else Criticality.CRITICAL.value

    @property
    def sheddable(self) -> bool:
        """Whether its caller said that others go first."""
        return self.criticality in SHEDDABLE
