"""What can be made of the events of a window, from which partials, and how.

Of no events there is no value, except where noted. Neither is there one where a float is too small
for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any

from inferd.features.windows import distinct, quantiles, reducers
from inferd.features.windows.reducers import Reducer

SECOND_US = 1_000_000

Answer = float | int | str | bytes | tuple[str, ...] | None


class Function(StrEnum):
    """What is made of events."""

    #: How many; 0 of none. Of a field: how many have it.
    COUNT = "count"
    #: A float, exact for integers up to 2**53; 0 of none.
    SUM = "sum"
    MEAN = "mean"
    #: Of these events themselves (not as of a sample of more): 0 of a single one.
    VARIANCE = "variance"
    MIN = "min"
    MAX = "max"
    #: By event time; of several at the same time the largest.
    LAST = "last"
    #: How many different values (`distinct`); 0 of none.
    DISTINCT = "distinct"
    #: One quantile (`quantiles`).
    QUANTILE = "quantile"
    #: Events per second of the window; 0 of none.
    RATE = "rate"
    #: A mean in which the weight of an event halves with every half-life that it is older.
    EWMA = "ewma"


@dataclass(frozen=True)
class Aggregate:
    """One function of one field over one window. Raises `ValueError` naming what is wrong."""

    function: Function
    #: The field's place among those the view reads; None: the event itself (count and rate).
    of: int | None
    window_us: int
    #: For `QUANTILE`, from 0 to 1.
    quantile: float = 0.5
    #: For `EWMA`, in event time.
    half_life_us: int | None = None

    def __post_init__(self) -> None:
        if self.window_us < SECOND_US:
            raise ValueError(f"window_us: at least {SECOND_US}, not {self.window_us}")
        if not 0 <= self.quantile <= 1:
            raise ValueError(f"quantile: from 0 to 1, not {self.quantile}")
        if (self.half_life_us or 0) <= 0 and self.function is Function.EWMA:
            raise ValueError("half_life_us: an ewma needs one, above 0")
        if self.of is None and self.function not in {Function.COUNT, Function.RATE}:
            raise ValueError(f"of: a {self.function} is of a field")

    @property
    def reducer(self) -> Reducer:
        """What keeps the partials it is made of."""
        if self.half_life_us is not None and self.function is Function.EWMA:
            return reducers.decayed(self.half_life_us)
        return _REDUCERS[self.function]

    @property
    def answer(self) -> Callable[[Any], Answer]:
        """What makes the value of a state of the reducer; of None: of no events."""
        make = self._make()
        nothing = _OF_NOTHING.get(self.function)

        def answer(state: Any) -> Answer:
            if state is None:
                return nothing
            value = make(state)
            return None if isinstance(value, float) and not isfinite(value) else value

        return answer

    def _make(self) -> Callable[[Any], Answer]:
        if self.function is Function.RATE:
            seconds = self.window_us / SECOND_US
            return lambda count: count / seconds
        if self.function is Function.QUANTILE:
            return lambda bins: quantiles.at(bins, self.quantile)
        return _ANSWERS[self.function]


_OF_NOTHING: dict[Function, Answer] = {
    Function.COUNT: 0,
    Function.SUM: 0.0,
    Function.DISTINCT: 0,
    Function.RATE: 0.0,
}

_REDUCERS = {
    Function.COUNT: reducers.COUNT,
    Function.RATE: reducers.COUNT,
    Function.SUM: reducers.TOTAL,
    Function.MEAN: reducers.TOTAL,
    Function.VARIANCE: reducers.MOMENTS,
    Function.MIN: reducers.LEAST,
    Function.MAX: reducers.MOST,
    Function.LAST: reducers.LAST,
    Function.DISTINCT: reducers.DISTINCT,
    Function.QUANTILE: reducers.QUANTILES,
}

_ANSWERS: dict[Function, Callable[[Any], Answer]] = {
    Function.COUNT: lambda count: count,
    Function.SUM: lambda total: total[1],
    Function.MEAN: lambda total: total[1] / total[0],
    Function.VARIANCE: lambda moments: moments[2] / moments[0],
    Function.MIN: lambda least: least,
    Function.MAX: lambda most: most,
    Function.LAST: lambda last: last[1],
    Function.DISTINCT: distinct.estimate,
    Function.EWMA: lambda weighed: weighed[2] / weighed[1],
}
