"""Lists as messages: what was made, and of which call it is the answer."""

from collections.abc import Iterable

from inferd.resilience.degradation import Degradation
from inferd.services.degradations import messages
from inferd.services.recommendation.making import Detail, Entry, Listed, Made, Workings
from inferd.v1 import recommendation_pb2 as pb


def told(
    listed: Listed,
    *,
    request_id: str,
    made: Made,
    degradations: Iterable[Degradation],
    arms: Iterable[pb.ExperimentArm],
    seconds: float,
    time_us: int,
) -> pb.Recommendations:
    """Return an answer: all but the list is this call's own, also if the list was cached."""
    return pb.Recommendations(
        request_id=request_id,
        items=[_item(each) for each in listed.entries],
        source=pb.Recommendations.Source.Name(int(made)),
        degradations=messages(degradations),
        arms=arms,
        latency_ms=1000 * seconds,
        time_us=time_us,
        catalogue_epoch=listed.epoch,
        models=listed.models,
        debug=None if listed.workings is None else _debug(listed.workings),
    )


def detail(it: Detail) -> pb.ItemDebug:
    """Return why an item is where it is."""
    return pb.ItemDebug(
        sources=it.sources, features=it.features, scores=it.scores, ranking=it.ranking
    )


def _item(it: Entry) -> pb.RecommendedItem:
    return pb.RecommendedItem(
        item_id=it.item_id,
        score=it.score,
        reason=it.reason,
        debug=None if it.detail is None else detail(it.detail),
    )


def _debug(it: Workings) -> pb.RecommendationDebug:
    return pb.RecommendationDebug(
        timings=[
            pb.StageDuration(stage=stage, milliseconds=1000 * seconds)
            for stage, seconds in it.timings.items()
        ],
        candidates=it.candidates,
        left=it.left,
        interactions=it.interactions,
    )
