"""Makes the plan of a surface out of what is declared, without what is stopped."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from inferd.experiments.declared import INTERLEAVED, Arm, Experiment, State
from inferd.experiments.definitions import Definitions
from inferd.experiments.hashing import PLACES, Range, Salt, bucket_ranges
from inferd.experiments.plan import Assigned, Choice, Decrees, Drawing, Line, Plan, Tally

_GROWTHBOOK: Mapping[str, int] = {"growthbook_1": 1, "growthbook_2": 2}
_ALL = 0.0, 1.0


class Planning:
    """Makes plans, all of one set of experiments."""

    def __init__(
        self,
        definitions: Definitions,
        stopped: Collection[tuple[str, int, str]],
        tallies: dict[tuple[str, str], Tally],
    ) -> None:
        """Leave out what is stopped, by experiment, revision and arm; "": all arms.

        What has no tally yet gets one.
        """
        self._definitions = definitions
        self._stopped = stopped
        self._tallies = tallies

    def plan(self, surface: str) -> Plan:
        """Return the plan of a surface."""
        experiments = [
            each
            for each in self._definitions.declared.experiments
            if each.surface == surface and not self._is_stopped(each)
        ]
        choices = [*self._choices(each for each in experiments if each.state is State.RUNNING)]
        held = self._definitions.declared.holdouts
        holdouts = [
            (each.unit, (*Salt.of(f"holdout:{each.seed or each.name}"), round(each.share * PLACES)))
            for each in held
        ]
        units = dict.fromkeys(unit for unit, _ in (*holdouts, *choices))
        return Plan(
            tuple(
                (
                    key,
                    tuple(holdout for unit, holdout in holdouts if unit == key),
                    tuple(choice for unit, choice in choices if unit == key),
                )
                for key in units
            ),
            self._decrees(experiments),
        )

    def _choices(self, running: Iterable[Experiment]) -> Iterator[tuple[str, Choice]]:
        """Yield what units are in by chance, with whose it is, in the order of the file."""
        groups = dict[str, list[Experiment]]()
        for each in running:
            groups.setdefault(_group(each), []).append(each)
        for group, experiments in groups.items():
            layer = self._definitions.layer(experiments[0])
            held, until = Salt(0, 0), 0
            if layer is None:
                salt, line = self._alone(experiments[0])
            else:
                seed = layer.seed or layer.name
                bands = [(each.range or _ALL, self._drawing(each)) for each in experiments]
                salt, line = Salt.of(f"layer:{seed}"), _line_of(bands, PLACES)
                held, until = Salt.of(f"layer-holdout:{seed}"), round(layer.holdout * PLACES)
            yield self._definitions.unit(experiments[0]), (group, *salt, *line, *held, until)

    def _alone(self, it: Experiment) -> tuple[Salt, Line]:
        """Return how an experiment without a layer is found: at once, if our own hash is enough."""
        if it.hash == "blake2b" and it.name not in self._definitions.whens:
            return _salt(it), self._line(it)
        return _salt(it), _line_of([(_ALL, self._drawing(it))], PLACES)

    def _drawing(self, it: Experiment) -> Drawing:
        return Drawing(
            _salt(it),
            self._line(it),
            self._definitions.whens.get(it.name),
            seed=it.salt,
            growthbook=_GROWTHBOOK.get(it.hash),
        )

    def _line(self, it: Experiment) -> Line:
        arms = _shown(it)
        ranges = zip(bucket_ranges(len(arms), it.coverage, it.weights), arms, strict=True)
        there = [
            (range, self._assigned(it, arm, forced=False))
            for range, arm in ranges
            if not self._is_stopped(it, arm.name)
        ]
        return _line_of(there, PLACES if it.hash == "blake2b" else 1)

    def _decrees(self, experiments: Iterable[Experiment]) -> Decrees:
        on_request = dict[str, tuple[str, Mapping[str, Assigned]]]()
        by_unit = dict[tuple[str, str], list[tuple[str, Assigned]]]()
        for it in experiments:
            arms = {
                each.name: self._assigned(it, each, forced=True)
                for each in _shown(it)
                if not self._is_stopped(it, each.name)
            }
            on_request[it.name] = _group(it), arms
            for value, name in it.forced.items():
                if name in arms:
                    key = self._definitions.unit(it), value
                    by_unit.setdefault(key, []).append((_group(it), arms[name]))
        return Decrees(by_unit=by_unit, on_request=on_request)

    def _assigned(self, it: Experiment, arm: Arm, *, forced: bool) -> Assigned:
        return Assigned(
            experiment=it.name,
            arm=arm.name,
            forced=forced,
            unit=self._definitions.unit(it),
            revision=it.revision,
            parameters=arm.parameters,
            teams={each.name: each.parameters for each in it.arms} if it.interleaved else {},
            tally=self._tallies.setdefault((it.name, arm.name), Tally()),
        )

    def _is_stopped(self, it: Experiment, arm: str = "") -> bool:
        return it.state is State.STOPPED or (it.name, it.revision, arm) in self._stopped


def _shown(it: Experiment) -> tuple[Arm, ...]:
    """Return the arms that units are in: of interleaved rankings all see both."""
    return (Arm(name=INTERLEAVED),) if it.interleaved else it.arms


def _line_of(ranges: Iterable[tuple[Range, Assigned | Drawing]], scale: int) -> Line:
    """Return ranges that do not overlap, from 0 to `scale`; edges are whole unless that is 1."""
    edges, slots = list[float](), list[Assigned | Drawing | None]([None])
    for (begin, end), it in sorted(ranges, key=lambda each: each[0]):
        edges += (begin, end) if scale == 1 else (round(begin * scale), round(end * scale))
        slots += it, None
    return tuple(edges), tuple(slots)


def _group(it: Experiment) -> str:
    return f"layer:{it.layer}" if it.layer else f"experiment:{it.name}"


def _salt(it: Experiment) -> Salt:
    return Salt.of(f"experiment:{it.salt}")
