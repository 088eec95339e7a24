"""Who gets which arm: everything that can be worked out beforehand is, one plan per surface.

A unit is hashed once; every experiment and layer then takes a multiplication. Targeting is asked
last, of those only who would be in an arm.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from inferd.errors import InvalidRequest
from inferd.experiments.declared import INTERLEAVED, Arm, Experiment, Holdout, State, Value
from inferd.experiments.definitions import Attributes, Definitions, When
from inferd.experiments.hashing import (
    MASK,
    PLACES,
    Range,
    Salt,
    bucket_ranges,
    growthbook,
    hashed_unit,
)

Parameters = Mapping[str, Value]
Unit = Mapping[str, str]
"""Who asks: `user_id`, `session_id` and so on. Empty: nobody knows."""

_GROWTHBOOK = {"growthbook_1": 1, "growthbook_2": 2}


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
_ALL = 0.0, 1.0
MOST_COMBINATIONS = 4096
"""Of arms that somebody had, whose parameters are kept put together."""


_Edges: TypeAlias = tuple[float, ...]
_Slots: TypeAlias = "tuple[Assigned | _Experiment | None, ...]"
_Line: TypeAlias = tuple[_Edges, _Slots]
"""Ranges: their edges, and what is before the first, between them, and behind the last."""


class _Experiment:
    """One that is not found by our own hash of a unit alone."""

    __slots__ = ("_growthbook", "_line", "_salt", "_seed", "_when")

    def __init__(self, it: Experiment, salt: Salt, line: _Line, when: When | None) -> None:
        self._salt = salt
        self._seed = it.salt
        self._growthbook = _GROWTHBOOK.get(it.hash)
        self._line = line
        self._when = when

    def choose(self, hashed: int, value: str, attributes: Attributes) -> Assigned | None:
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


_Choice: TypeAlias = tuple[str, int, int, _Edges, _Slots, int, int, int]
"""A layer, or an experiment without one, of which a unit has one arm at most: what that is called,
the salt, the line; the salt of its holdout, and where that ends."""

_Holdout: TypeAlias = tuple[int, int, int]
"""A salt, and where it ends."""

# Both are plain tuples because Python takes those apart in half the time.


class Plan:
    """The experiments of one surface. It never changes."""

    def __init__(
        self,
        definitions: Definitions,
        surface: str,
        *,
        stopped: Collection[tuple[str, int, str]],
        tallies: dict[tuple[str, str], Tally],
    ) -> None:
        """Leave out what is stopped, by experiment, revision and arm; "": all arms."""
        self._definitions = definitions
        self._stopped = stopped
        self._tallies = tallies
        self._experiments = {
            each.name: each
            for each in definitions.declared.experiments
            if each.surface == surface and not self._is_stopped(each)
        }
        choices = [*self._made()]
        held = definitions.declared.holdouts
        units = dict.fromkeys([each.unit for each in held] + [unit for unit, _ in choices])
        #: By unit. Who is held out is so whichever unit an experiment is about.
        self._by_unit = tuple(
            (
                key,
                tuple(_held_out(each) for each in held if each.unit == key),
                tuple(choice for unit, choice in choices if unit == key),
            )
            for key in units
        )
        self._combinations: dict[tuple[Assigned, ...], tuple[Assignments, tuple[Tally, ...]]] = {
            (): (NOTHING, ())
        }
        #: By unit and its value: groups and arms, in the order of the file.
        self._forced: dict[tuple[str, str], list[tuple[str, Assigned]]] = {}
        for each in self._experiments.values():
            for value, arm in each.forced.items():
                if not self._is_stopped(each, arm):
                    forced = _group(each), self._assigned(each, _arm(each, arm), forced=True)
                    self._forced.setdefault((forced[1].unit, value), []).append(forced)

    def assign(
        self, unit: Unit, attributes: Attributes, forced: Mapping[str, str] = _NOBODY
    ) -> Assignments:
        """Return the arms of whoever asks, those included that are `forced` by this request.

        Raises `InvalidRequest` for forced arms that there are not.
        """
        taken = self._forced_on(unit, forced) if forced or self._forced else _NONE_FORCED
        arms = [*taken.values()]
        by_decree = len(arms)
        for key, holdouts, choices in self._by_unit:
            value = unit.get(key)
            if not value:
                continue
            x = hashed_unit(value)
            for a, b, until in holdouts:
                if (a * x + b) & MASK < until:
                    return self._together(arms[:by_decree], keep=not by_decree)
            for group, a, b, edges, slots, held_a, held_b, held_until in choices:
                it = slots[bisect_right(edges, (a * x + b) & MASK)]
                if it is None or (held_until and (held_a * x + held_b) & MASK < held_until):
                    continue
                arm = it if isinstance(it, Assigned) else it.choose(x, value, attributes)
                if arm is not None and group not in taken:
                    arms.append(arm)
        return self._together(arms, keep=not by_decree)

    def _together(self, arms: Sequence[Assigned], *, keep: bool) -> Assignments:
        """Return arms with the parameters of all; `keep` what that is for whoever has the same."""
        key = tuple(arms)
        found = self._combinations.get(key)
        if found is None:
            parameters = dict[str, Value]()
            for each in key:
                parameters.update(each.parameters)
            found = Assignments(key, parameters), tuple(each.tally for each in key)
            if keep and len(self._combinations) < MOST_COMBINATIONS:
                self._combinations[key] = found
        assignments, tallies = found
        for tally in tallies:
            tally.assigned += 1
        return assignments

    def _made(self) -> Iterator[tuple[str, _Choice]]:
        """Yield what units are in by chance, with whose it is, in the order of the file."""
        layers = dict[str, list[Experiment]]()
        for each in self._experiments.values():
            if each.state is State.RUNNING:
                layers.setdefault(_group(each), []).append(each)
        for group, experiments in layers.items():
            layer = self._definitions.layer(experiments[0])
            bands = [(each.range or _ALL, self._planned(each)) for each in experiments]
            held, until = Salt(0, 0), 0
            if layer is None:
                salt, line = self._alone(experiments[0])
            else:
                seed = layer.seed or layer.name
                salt, line = Salt.of(f"layer:{seed}"), _line_of(bands, PLACES)
                held, until = Salt.of(f"layer-holdout:{seed}"), round(layer.holdout * PLACES)
            yield self._definitions.unit(experiments[0]), (group, *salt, *line, *held, until)

    def _alone(self, it: Experiment) -> tuple[Salt, _Line]:
        """Return how an experiment without a layer is found: at once, if our own hash is enough."""
        if it.hash == "blake2b" and it.name not in self._definitions.whens:
            return _salt(it), self._line(it)
        return _salt(it), _line_of([(_ALL, self._planned(it))], PLACES)

    def _planned(self, it: Experiment) -> _Experiment:
        return _Experiment(it, _salt(it), self._line(it), self._definitions.whens.get(it.name))

    def _line(self, it: Experiment) -> _Line:
        arms = [Arm(name=INTERLEAVED)] if it.interleaved else it.arms
        ranges = zip(bucket_ranges(len(arms), it.coverage, it.weights), arms, strict=True)
        there = [
            (range, self._assigned(it, arm, forced=False))
            for range, arm in ranges
            if not self._is_stopped(it, arm.name)
        ]
        return _line_of(there, PLACES if it.hash == "blake2b" else 1)

    def _assigned(self, it: Experiment, arm: Arm, *, forced: bool) -> Assigned:
        both = arm.name == INTERLEAVED and it.interleaved
        return Assigned(
            experiment=it.name,
            arm=arm.name,
            forced=forced,
            unit=self._definitions.unit(it),
            revision=it.revision,
            parameters=arm.parameters,
            teams={each.name: each.parameters for each in it.arms} if both else {},
            tally=self._tallies.setdefault((it.name, arm.name), Tally()),
        )

    def _is_stopped(self, it: Experiment, arm: str = "") -> bool:
        return it.state is State.STOPPED or (it.name, it.revision, arm) in self._stopped

    def _forced_on(self, unit: Unit, forced: Mapping[str, str]) -> Mapping[str, Assigned]:
        """Return the arms that somebody is in by decree, by group; the request's go first."""
        taken = dict[str, Assigned]()
        for name, arm in forced.items():
            it = self._experiments.get(name)
            group = _group(it) if it is not None else ""
            if it is None or group in taken:
                why = "excludes another that is forced" if it else "there is none that goes on"
                raise InvalidRequest(f"experiment {name!r:.80}: {why}", field="forced_arms")
            taken[group] = self._assigned(it, self._forceable(it, arm), forced=True)
        for key, value in unit.items():
            for group, assigned in self._forced.get((key, value), ()):
                taken.setdefault(group, assigned)
        return taken

    def _forceable(self, it: Experiment, name: str) -> Arm:
        if it.interleaved:
            there: Sequence[Arm] = [Arm(name=INTERLEAVED)]
        else:
            there = [each for each in it.arms if not self._is_stopped(it, each.name)]
        for each in there:
            if each.name == name:
                return each
        names = ", ".join(each.name for each in there) or "none"
        text = f"experiment {it.name} has no arm {name!r:.80}; there are {names}"
        raise InvalidRequest(text, field="forced_arms")


def _line_of(ranges: Iterable[tuple[Range, Assigned | _Experiment]], scale: int) -> _Line:
    """Return ranges that do not overlap, from 0 to `scale`; edges are whole unless that is 1."""
    edges, slots = list[float](), list[Assigned | _Experiment | None]([None])
    for (begin, end), it in sorted(ranges, key=lambda each: each[0]):
        edges += (begin, end) if scale == 1 else (round(begin * scale), round(end * scale))
        slots += it, None
    return tuple(edges), tuple(slots)


def _group(it: Experiment) -> str:
    return f"layer:{it.layer}" if it.layer else f"experiment:{it.name}"


def _arm(it: Experiment, name: str) -> Arm:
    return next(each for each in it.arms if each.name == name)


def _salt(it: Experiment) -> Salt:
    return Salt.of(f"experiment:{it.salt}")


def _held_out(it: Holdout) -> _Holdout:
    return *Salt.of(f"holdout:{it.seed or it.name}"), round(it.share * PLACES)
