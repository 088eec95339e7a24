"""What is kept of many events instead of them: partial aggregates that can be put together.

The state of a partial is a plain value, so that it is stored as it is. None stands for a partial of
nothing, and does not come here; neither does a value that is None, NaN or infinite. Several
aggregates may be read from one partial: the sum and the mean, all quantiles of one field.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

from inferd.features.windows import distinct, quantiles

Number = float | int
Scalar = float | int | str | bytes


class Reducer(Protocol):
    """One kind of partial."""

    #: Reducers of the same name can share a state.
    name: str
    #: The type of its states, as msgspec checks it.
    state: Any

    def gather(self, times: Sequence[int], values: Sequence[Any]) -> Any:
        """Return the state of events, of at least one."""

    def add(self, state: Any, event_us: int, value: Any) -> Any:
        """Return the state with one event more. `state` may be changed, and is used up."""

    def fold(self, states: Sequence[Any]) -> Any:
        """Return the state of all events of `states`, at least one, of which none is changed."""


class _Count:
    """How many."""

    name = "count"
    state: Any = int

    def gather(self, times: Sequence[int], values: Sequence[Scalar]) -> int:
        return len(values)

    def add(self, state: int, event_us: int, value: Scalar) -> int:
        return state + 1

    def fold(self, states: Sequence[int]) -> int:
        return sum(states)


class _Total:
    """How many, and their sum. The sum is a float: of integers it is exact up to 2**53."""

    name = "total"
    state: Any = tuple[int, float]

    def gather(self, times: Sequence[int], values: Sequence[Number]) -> tuple[int, float]:
        return len(values), float(sum(values))

    def add(self, state: tuple[int, float], event_us: int, value: Number) -> tuple[int, float]:
        count, total = state
        return count + 1, total + value

    def fold(self, states: Sequence[tuple[int, float]]) -> tuple[int, float]:
        return sum(count for count, _ in states), sum(total for _, total in states)


Moments = tuple[int, float, float]
"""How many, their mean, and the sum of the squares of what each is away from it."""


class _Spread:
    """`Moments` by Welford's method, put together by Chan's (1979): no cancellation."""

    name = "moments"
    state: Any = Moments

    def gather(self, times: Sequence[int], values: Sequence[Number]) -> Moments:
        mean = sum(values) / len(values)
        return len(values), mean, float(sum((each - mean) * (each - mean) for each in values))

    def add(self, state: Moments, event_us: int, value: Number) -> Moments:
        count, mean, squares = state
        count += 1
        away = value - mean
        mean += away / count
        return count, mean, squares + away * (value - mean)

    def fold(self, states: Sequence[Moments]) -> Moments:
        count, mean, squares = 0, 0.0, 0.0
        for more, other, other_squares in states:
            away = other - mean
            count += more
            mean += away * (more / count)
            squares += other_squares + away * away * (more * (count - more) / count)
        return count, mean, squares


class _Least:
    """The smallest."""

    name = "least"
    state: Any = int | float

    def gather(self, times: Sequence[int], values: Sequence[Number]) -> Number:
        # A bool becomes an integer.
        return +min(values)

    def add(self, state: Number, event_us: int, value: Number) -> Number:
        return +value if value < state else state

    def fold(self, states: Sequence[Number]) -> Number:
        return min(states)


class _Most:
    """The largest."""

    name = "most"
    state: Any = int | float

    def gather(self, times: Sequence[int], values: Sequence[Number]) -> Number:
        return +max(values)

    def add(self, state: Number, event_us: int, value: Number) -> Number:
        return +value if value > state else state

    def fold(self, states: Sequence[Number]) -> Number:
        return max(states)


Dated = tuple[int, Scalar]


class _Last:
    """The last by event time; of several at the same time the largest, in whichever order."""

    name = "last"
    # Not by the value's type: msgspec cannot tell texts from bytes in a union.
    state: Any = tuple[int, Any]

    def gather(self, times: Sequence[int], values: Sequence[Any]) -> Dated:
        dated: Dated = max(zip(times, values, strict=True))
        return dated

    def add(self, state: tuple[int, Any], event_us: int, value: Any) -> Dated:
        return max(state, (event_us, value))

    def fold(self, states: Sequence[tuple[int, Any]]) -> Dated:
        return max(states)


class _Distinct:
    """Different values (`distinct`)."""

    name = "distinct"
    state: Any = set[int] | bytearray

    def gather(self, times: Sequence[int], values: Sequence[Scalar]) -> distinct.Distinct:
        return distinct.gather(map(distinct.hash_of, values))

    def add(self, state: distinct.Distinct, event_us: int, value: Scalar) -> distinct.Distinct:
        return distinct.add(state, distinct.hash_of(value))

    def fold(self, states: Sequence[distinct.Distinct]) -> distinct.Distinct:
        return distinct.fold(states)


class _Quantiles:
    """All quantiles (`quantiles`)."""

    name = "quantiles"
    state: Any = quantiles.Bins

    def gather(self, times: Sequence[int], values: Sequence[Number]) -> quantiles.Bins:
        return quantiles.gather(values)

    def add(self, state: quantiles.Bins, event_us: int, value: Number) -> quantiles.Bins:
        quantiles.add(state, value)
        return state

    def fold(self, states: Sequence[quantiles.Bins]) -> quantiles.Bins:
        return quantiles.fold(states)


Weighed = tuple[int, float, float]
"""A time, the weights of the events as of it, and the weighted sum of their values."""


class _Decayed:
    """A mean in which the weight of an event halves with every half-life that it is older.

    What time it is does not matter: the weights of all events halve together. So a state is as of
    its last event, and an event that comes late is weighed by how much older it is.
    """

    state: Any = Weighed

    def __init__(self, half_life_us: int) -> None:
        self.name = f"decayed:{half_life_us}"
        self._half_life_us = half_life_us

    def gather(self, times: Sequence[int], values: Sequence[Number]) -> Weighed:
        state = (times[0], 1.0, float(values[0]))
        for event_us, value in zip(times[1:], values[1:], strict=True):
            state = self.add(state, event_us, value)
        return state

    def add(self, state: Weighed, event_us: int, value: Number) -> Weighed:
        as_of_us, weight, total = state
        if event_us < as_of_us:
            share = 0.5 ** ((as_of_us - event_us) / self._half_life_us)
            return as_of_us, weight + share, total + share * value
        share = 0.5 ** ((event_us - as_of_us) / self._half_life_us)
        return event_us, weight * share + 1.0, total * share + value

    def fold(self, states: Sequence[Weighed]) -> Weighed:
        as_of_us = max(state[0] for state in states)
        weight = total = 0.0
        for then_us, its_weight, its_total in states:
            share = 0.5 ** ((as_of_us - then_us) / self._half_life_us)
            weight += share * its_weight
            total += share * its_total
        return as_of_us, weight, total


COUNT: Reducer = _Count()
TOTAL: Reducer = _Total()
MOMENTS: Reducer = _Spread()
LEAST: Reducer = _Least()
MOST: Reducer = _Most()
LAST: Reducer = _Last()
DISTINCT: Reducer = _Distinct()
QUANTILES: Reducer = _Quantiles()


@cache
def decayed(half_life_us: int) -> Reducer:
    """Return the reducer of a mean that forgets."""
    return _Decayed(half_life_us)
