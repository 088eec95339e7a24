"""What calls cost the one event loop that takes them in and answers them.

Time on it is a resource of its own: first come, first served, one thing at a time. Under
overload it can be the scarcer one.
"""

from dataclasses import dataclass

MICROSECOND_NS = 1_000
MILLISECOND_NS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Microseconds of the event loop, and the way to it."""

    name: str
    #: From the transport's hands to the question whether to admit.
    receive_us: float = 0.0
    #: To decode and queue a call that has been admitted.
    admit_us: float = 0.0
    #: To tell a caller that there is no answer, at whatever time.
    refuse_us: float = 0.0
    #: To encode and send one answer.
    answer_us: float = 0.0
    #: To put a batch together and hand it over.
    dispatch_us: float = 0.0
    #: From a caller to the server's door and back.
    round_trip_us: float = 0.0
    #: What the server keeps back from every deadline (`inference.guard_ms`).
    guard_ms: float = 0.0
    #: While the loop is busier than this, a share, Envoy turns some calls away. 1: never.
    shed_above_busy: float = 1.0

    def ns(self, us: float) -> int:
        """Return microseconds in nanoseconds."""
        return round(us * MICROSECOND_NS)

    @property
    def guard_ns(self) -> int:
        """The guard in nanoseconds."""
        return round(self.guard_ms * MILLISECOND_NS)


#: Nothing but the scheduling: to compare policies.
FREE = Front(name="free")
#: inferd behind Envoy, by `docs/performance.md`: 46 us of the loop a call that is answered, 17
#: of them for the answer; 11 for a refusal once the call is there; 15 for the transport's glue.
#: Round trip: client and Envoy's socket, both ways.
MEASURED = Front(
    name="measured",
    receive_us=15.0,
    admit_us=14.0,
    refuse_us=11.0,
    answer_us=17.0,
    dispatch_us=40.0,
    round_trip_us=90.0,
    guard_ms=0.5,
    shed_above_busy=0.3,
)

FRONTS = {front.name: front for front in (FREE, MEASURED)}
