"""Who gets which arm: everything that can be worked out beforehand is, one plan per surface.

A unit is hashed once; every experiment and layer then takes a multiplication. Targeting is asked
last, of those only who would be in an arm. `planning.py` makes plans.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from inferd.errors import InvalidRequest
from inferd.experiments.declared import Value
from inferd.experiments.definitions import Attributes, When
from inferd.experiments.hashing import MASK, Salt, growthbook, hashed_unit

Parameters = Mapping[str, Value]
Unit = Mapping[str, str]
"""Who asks: `user_id`, `session_id` and so on. Empty: nobody knows."""


class Tally:
    """How often an arm was assigned, and how many of those uses are on record."""

    __slots__ = ("assigned", "exposed")

    def __init__(self) -> None:
        self.assigned = self.exposed = 0


@dataclass(frozen=True, slots=True, eq=False)
class Assigned:
    """An arm that somebody is in."""

    experiment: str
    arm: str
    #: It was asked for, and does not count.
    forced: bool
    #: Who keeps it, such as `user_id`.
    unit: str
    revision: int
    parameters: Parameters
    #: Where two rankings are shown as one: the parameters of each, by its arm. Else empty.
    teams: Mapping[str, Parameters]
    tally: Tally

    def __repr__(self) -> str:
        return f"{self.experiment}={self.arm}{' (forced)' if self.forced else ''}"


class Assignments(NamedTuple):
    """What somebody is part of."""

    arms: tuple[Assigned, ...]
    parameters: Parameters
    """Of all arms together. No two set the same."""


NOTHING = Assignments((), {})
_NOBODY: Mapping[str, str] = {}
_NONE_FORCED: Mapping[str, Assigned] = {}
MOST_COMBINATIONS = 4096
"""Of arms that somebody had, whose parameters are kept put together."""


class Drawing:
    """An experiment that is not decided by our own hash of a unit alone."""

    __slots__ = ("_growthbook", "_line", "_salt", "_seed", "_when")

    def __init__(
        self, salt: Salt, line: "Line", when: When | None, *, seed: str, growthbook: int | None
    ) -> None:
        """`growthbook`: the version of its hash; None: our own, and `seed` does not matter."""
        self._salt = salt
        self._line = line
        self._when = when
        self._seed = seed
        self._growthbook = growthbook

    def arm(self, hashed: int, value: str, attributes: Attributes) -> Assigned | None:
        """Return the arm of a unit."""
        place: float | None = self._salt.place(hashed)
        if self._growthbook is not None:
            place = growthbook(self._seed, value, self._growthbook)
        edges, slots = self._line
        assert place is not None
        arm = slots[bisect_right(edges, place)]
        if arm is None or (self._when is not None and not self._when(attributes)):
            return None
        assert isinstance(arm, Assigned)
        return arm


# Those that follow are plain tuples because Python takes them apart in half the time.

Line: TypeAlias = tuple[tuple[float, ...], tuple[Assigned | Drawing | None, ...]]
"""Ranges: their edges, and what is before the first, between them, and behind the last."""

Choice: TypeAlias = tuple[
    str, int, int, tuple[float, ...], tuple[Assigned | Drawing | None, ...], int, int, int
]
"""A group, which is a layer, or an experiment without one: a unit has one arm of it at most. Its
name, its salt, its line; the salt of its holdout, and where that ends."""

Holdout: TypeAlias = tuple[int, int, int]
"""A salt, and where it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decrees:
    """Arms that somebody is in because it was said so. All are `forced`."""

    #: By unit and its value: groups and arms, in the order of the file.
    by_unit: Mapping[tuple[str, str], Sequence[tuple[str, Assigned]]]
    #: What requests may ask for: by experiment, its group and its arms by name.
    on_request: Mapping[str, tuple[str, Mapping[str, Assigned]]]

    def on(self, unit: Unit, asked: Mapping[str, str]) -> Mapping[str, Assigned]:
        """Return the arms of somebody, by group; what a request asks for goes first.

        Raises `InvalidRequest` for arms that it cannot have.
        """
        taken = dict[str, Assigned]()
        for name, arm in asked.items():
            group, arms = self.on_request.get(name, ("", {}))
            if not group:
                raise _refused(f"experiment {name!r:.80}: there is none that goes on")
            if group in taken:
                raise _refused(f"experiment {name} excludes another that is asked for")
            if arm not in arms:
                names = ", ".join(arms) or "none"
                raise _refused(f"experiment {name} has no arm {arm!r:.80}; there are {names}")
            taken[group] = arms[arm]
        for key, value in unit.items():
            for group, assigned in self.by_unit.get((key, value), ()):
                taken.setdefault(group, assigned)
        return taken


class Plan:
    """The experiments of one surface. It never changes, but for what it counts."""

    def __init__(
        self,
        by_unit: Sequence[tuple[str, Sequence[Holdout], Sequence[Choice]]],
        decrees: Decrees,
    ) -> None:
        """Take holdouts and choices by unit, such as `user_id`."""
        self._by_unit = by_unit
        self._decrees = decrees
        self._any_decree = bool(decrees.by_unit)
        self._combinations: dict[tuple[Assigned, ...], Assignments] = {(): NOTHING}

    def assign(
        self, unit: Unit, attributes: Attributes, forced: Mapping[str, str] = _NOBODY
    ) -> Assignments:
        """Return the arms of whoever asks, those included that are `forced` by this request.

        Raises `InvalidRequest` for forced arms that there are not.
        """
        taken = _NONE_FORCED
        if forced or self._any_decree:
            taken = self._decrees.on(unit, forced)
        arms = [*taken.values()]
        for key, holdouts, choices in self._by_unit:
            value = unit.get(key)
            if not value:
                continue
            x = hashed_unit(value)
            for a, b, until in holdouts:
                if (a * x + b) & MASK < until:
                    return self._together(tuple(taken.values()))
            for group, a, b, edges, slots, held_a, held_b, held_until in choices:
                it = slots[bisect_right(edges, (a * x + b) & MASK)]
                if it is None or (held_until and (held_a * x + held_b) & MASK < held_until):
                    continue
                arm = it if isinstance(it, Assigned) else it.arm(x, value, attributes)
                if arm is not None and group not in taken:
                    arms.append(arm)
        return self._together(tuple(arms))

    def _together(self, arms: tuple[Assigned, ...]) -> Assignments:
        """Return arms with the parameters of all, and count them."""
        found = self._combinations.get(arms)
        if found is None:
            parameters = dict[str, Value]()
            for each in arms:
                parameters.update(each.parameters)
            found = Assignments(arms, parameters)
            if len(self._combinations) < MOST_COMBINATIONS:
                self._combinations[arms] = found
        for each in arms:
            each.tally.assigned += 1
        return found


def _refused(text: str) -> InvalidRequest:
    return InvalidRequest(text, field="forced_arms")
