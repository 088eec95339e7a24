"""What an answer had to do without, as messages."""

from collections.abc import Iterable

from inferd.resilience.degradation import Degradation
from inferd.v1 import common_pb2 as pb


def messages(degradations: Iterable[Degradation]) -> list[pb.Degradation]:
    """Return what goes into an answer's `degradations`."""
    return [
        pb.Degradation(
            stage=each.stage,
            source=each.source,
            reason=each.reason,
            age_ms=None if each.age_s is None else round(each.age_s * 1000),
        )
        for each in degradations
    ]
