"""Aggregates over windows of event time: what one entity's events of the last hour come to.

Nothing here waits or reads a clock. A `Plan` is made once of the aggregates of a view; a `State`
holds what is kept of one entity, and is bytes between two events.

A window of length W, read at a time t, is of the events in `(t - W, t]`: an event at t counts, and
the one that came exactly W earlier does not any more, so that no event is in two windows of a row.
"""

from inferd.features.windows.aggregates import Aggregate, Answer, Function
from inferd.features.windows.newest import Newest
from inferd.features.windows.plan import RING_US, Plan
from inferd.features.windows.state import Added, State

__all__ = ["RING_US", "Added", "Aggregate", "Answer", "Function", "Newest", "Plan", "State"]
