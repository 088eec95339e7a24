"""Aggregated views, made ready: which fields of an event they read, and what they keep of it."""

from collections.abc import Sequence

from msgspec import UNSET

from inferd.features.definitions import US, EntityId, View
from inferd.features.derivation import Aggregation
from inferd.features.rows import Cell
from inferd.features.windows import Aggregate, Function, Newest, Plan, State
from inferd.features.writing import REMEMBERED_US


class AggregatedView:
    """What becomes of the events of some kinds, by entity. Told apart by identity."""

    def __init__(self, view: View, *, ahead_us: int) -> None:
        """`ahead_us`: how far ahead of our clock an event may be."""
        assert view.kind == "aggregated", view
        aggregations = [each.aggregate for each in view.features if each.aggregate is not None]
        self.view = view
        #: The field that says of which entity an event is.
        self.by = view.declared.by or view.entity.name
        #: The fields that count, in the order in which a state takes their values.
        self.reads = tuple(sorted({each.of for each in aggregations if each.of is not None}))
        self.plan = Plan([_aggregate(each, self.reads) for each in aggregations], self.reads)
        #: The fields of which there are lists.
        self.lists = {each.of for each in aggregations if each.of and each.count is not None}
        #: For how long a state is kept after it was written. While any of its events is in a
        #: window it is, even if that event was ahead of us and clocks differ.
        self.keep_s = (self.plan.longest_us + ahead_us + REMEMBERED_US) / US

    def __repr__(self) -> str:
        return f"AggregatedView({self.view.name})"

    def takes(self, event: str) -> bool:
        """Return whether it is of events of that name."""
        return event in (self.view.declared.events or ())

    def key(self, entity_id: EntityId) -> str:
        """Return under which key the state of an entity is kept."""
        return f"{self.view.prefix}{entity_id}"

    def cells(self, state: State, at_us: int) -> tuple[Cell, ...]:
        """Return the features at a time, in their order."""
        values = state.read(at_us)
        return tuple([UNSET if each is None else each for each in values])


def _aggregate(declared: Aggregation, reads: Sequence[str]) -> Aggregate | Newest:
    of = None if declared.of is None else reads.index(declared.of)
    if declared.count is not None and of is not None:
        return Newest(of, declared.window, declared.count)
    return Aggregate(
        Function(declared.function),
        of=of,
        window_us=declared.window,
        quantile=0.5 if declared.q is None else declared.q,
        half_life_us=declared.half_life,
    )
