"""From events of a request to events that can be recorded, and what is said of the others."""

from collections.abc import Sequence

from inferd.features.aggregates.aggregator import Aggregator
from inferd.features.aggregates.backlog import Recorded
from inferd.features.aggregates.events import CheckedEvent, EventWrite
from inferd.features.definitions import Definitions
from inferd.services.features.batch import Batch, checked, described
from inferd.services.features.values import plain
from inferd.v1 import features_pb2 as pb

_RESULTS = {
    Recorded.ADDED: pb.EventResult.ADDED,
    Recorded.DUPLICATE: pb.EventResult.DUPLICATE,
    Recorded.TOO_OLD: pb.EventResult.TOO_OLD,
}


async def batch(
    request: pb.RecordEventsRequest,
    definitions: Definitions,
    aggregator: Aggregator,
    *,
    max_events: int,
) -> Batch[CheckedEvent]:
    """Return a request's events. Raises `InvalidRequest` where there are none, or too many."""

    def check(event: pb.FeatureEvent, field: str) -> CheckedEvent:
        declared = definitions.event(event.event, field=f"{field}.event")
        said = {name: plain(value) for name, value in event.fields.items()}
        write = EventWrite(declared, event.event_id, event.event_time_us, said)
        return aggregator.checked(write, field=field)

    return await checked(request.events, check, field="events", most=max_events)


def results(batch: Batch[CheckedEvent], recorded: Sequence[Recorded]) -> pb.RecordEventsResponse:
    """Return what became of every event, given what became of those that could be recorded."""
    left = iter(recorded)
    return pb.RecordEventsResponse(
        results=[
            pb.EventResult(status=_RESULTS[next(left)])
            if problem is None
            else pb.EventResult(status=pb.EventResult.REJECTED, problems=described(problem))
            for problem in batch.problems
        ]
    )
