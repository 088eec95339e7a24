"""Answers of before, for when there are none of now: what the `stale` rung of a ladder returns."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

Value = TypeVar("Value")


class Stale(NamedTuple, Generic[Value]):
    """A value of before. A rung that returns it has its age told to the caller."""

    value: Value
    age_s: float


class LastAnswers(Generic[Value]):
    """The last answer to each of the questions asked most recently. Pure.

    An answer is not to be changed by whoever gets it: it is the one that others get, too.
    """

    def __init__(self, *, max_entries: int, max_age_s: float) -> None:
        self._max_entries = max_entries
        self._max_age_s = max_age_s
        self._answers: OrderedDict[Hashable, tuple[float, Value]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def put(self, key: Hashable, value: Value, now: float) -> None:
        """Remember what was answered; the question asked longest ago makes room."""
        self._answers[key] = (now, value)
        self._answers.move_to_end(key)
        if len(self._answers) > self._max_entries:
            self._answers.popitem(last=False)

    def get(self, key: Hashable, now: float) -> Stale[Value] | None:
        """Return what was answered last and how long ago, if that is not too long."""
        found = self._answers.get(key)
        if found is None:
            return None
        age_s = now - found[0]
        if age_s > self._max_age_s:
            del self._answers[key]
            return None
        return Stale(found[1], age_s)
