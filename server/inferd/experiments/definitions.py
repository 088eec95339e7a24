"""The experiments of a file, checked against what asks for them: all right, or refused."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from inferd.config import reading
from inferd.config.reading import Refused
from inferd.experiments.declared import Declared, Experiment, Layer, State, Value

Attributes = Mapping[str, Value | None]
"""What targeting sees, by name. What is not there is not known."""

When = Callable[[Attributes], bool]
"""Returns whether somebody is meant."""

Compile = Callable[[str, Mapping[str, str]], When]
"""Makes a text what it says, for attributes of given types. Raises `ValueError`, saying why not."""

_TYPES = {bool: "bool", int: "int64", float: "float64", str: "string"}


@dataclass(frozen=True, slots=True)
class Asking:
    """What asks for arms, and what it can say and be told. Types: those of features."""

    name: str
    units: Sequence[str]
    attributes: Mapping[str, str]
    #: What it understands, with its type. None: it passes on whatever arms say.
    parameters: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Definitions:
    """Experiments that make sense. They never change."""

    version: str
    declared: Declared
    whens: Mapping[str, When]
    """By experiment; not of those that are for everybody."""

    @classmethod
    def read(cls, text: str, asking: Mapping[str, Asking], compile: Compile) -> "Definitions":
        """Return the experiments of a text in YAML. Raises `Refused` with all that is wrong."""
        declared = reading.read(text, Declared)
        problems = [*_contradictions(declared), *_strangers(declared, asking)]
        whens = dict[str, When]()
        for each in declared.experiments:
            if not each.when or each.surface not in asking:
                continue
            try:
                whens[each.name] = compile(each.when, asking[each.surface].attributes)
            except ValueError as error:
                problems.append(f"experiments.{each.name}.when: {error}")
        if problems:
            raise Refused(problems)
        return cls(reading.version(text), declared, whens)

    def layer(self, experiment: Experiment) -> Layer | None:
        """Return the layer of an experiment."""
        return next((each for each in self.declared.layers if each.name == experiment.layer), None)

    def unit(self, experiment: Experiment) -> str:
        """Return who keeps an arm."""
        layer = self.layer(experiment)
        unit = experiment.unit if layer is None else layer.unit
        assert unit is not None, "one of them has it"
        return unit


def moved(before: Declared, after: Declared) -> Iterator[str]:
    """Yield what gives units another arm than they had, or none, in experiments that go on."""
    now = {each.name: each for each in after.experiments if each.state is State.RUNNING}
    layers = {each.name: each for each in before.layers}, {each.name: each for each in after.layers}
    for was in before.experiments:
        it = now.get(was.name)
        if it is None or was.state is not State.RUNNING or it.revision > was.revision:
            continue
        if (it.unit, it.layer, it.hash, it.salt) != (was.unit, was.layer, was.hash, was.salt):
            yield f"experiments.{it.name}: its unit, layer, hash or seed is another"
        if [each.name for each in it.arms] != [each.name for each in was.arms]:
            yield f"experiments.{it.name}.arms: there are others, or in another order"
        elif it.weights != was.weights:
            yield f"experiments.{it.name}.arms: the weights are others"
        if it.coverage < was.coverage:
            yield f"experiments.{it.name}.coverage: it was {was.coverage:g}"
        (low, high), (was_low, was_high) = it.range or (0, 1), was.range or (0, 1)
        if low > was_low or high < was_high:
            yield f"experiments.{it.name}.range: some of what it had is not in it"
        if it.layer and layers[0].get(it.layer) != layers[1].get(it.layer):
            yield f"layers.{it.layer}: it was another, with experiments in it"


def _contradictions(declared: Declared) -> Iterator[str]:
    """Yield what cannot be, whoever asks."""
    for key, names in (
        ("holdouts", [each.name for each in declared.holdouts]),
        ("layers", [each.name for each in declared.layers]),
        ("experiments", [each.name for each in declared.experiments]),
    ):
        for name, times in Counter(names).items():
            if times > 1:
                yield f"{key}.{name}: declared {times} times"
    layers = {each.name for each in declared.layers}
    for it in declared.experiments:
        if it.layer is not None and it.layer not in layers:
            yield f"experiments.{it.name}.layer: there is no layer {it.layer}; {_known(layers)}"
    going_on = [each for each in declared.experiments if each.state is not State.STOPPED]
    for one, other in combinations(going_on, 2):
        yield from _collisions(one, other)


def _collisions(one: Experiment, other: Experiment) -> Iterator[str]:
    """Yield what two experiments cannot have both."""
    if one.layer is not None and one.layer == other.layer:
        (low, high), (other_low, other_high) = one.range or (0, 1), other.range or (0, 1)
        if low < other_high and other_low < high:
            yield (
                f"experiments.{other.name}.range: {other_low:g} to {other_high:g} of layer"
                f" {one.layer} overlaps with {one.name}, which has {low:g} to {high:g}"
            )
    elif one.surface == other.surface:
        for name in sorted(one.parameters & other.parameters):
            yield (
                f"experiments.{other.name}.arms: {one.name} sets {name}, too, and both may have"
                " the same unit; put them into one layer"
            )


def _strangers(declared: Declared, asking: Mapping[str, Asking]) -> Iterator[str]:
    """Yield names and types that those who ask do not know."""
    units = {unit for each in asking.values() for unit in each.units}
    said = {f"holdouts.{each.name}": each.unit for each in declared.holdouts}
    said |= {f"layers.{each.name}": each.unit for each in declared.layers}
    for key, unit in said.items():
        if unit not in units:
            yield f"{key}.unit: nobody says {unit}; {_known(units)}"
    layers = {each.name: each for each in declared.layers}
    for it in declared.experiments:
        path = f"experiments.{it.name}"
        surface = asking.get(it.surface)
        if surface is None:
            yield f"{path}.surface: there is no {it.surface}; {_known(asking)}"
            continue
        layer = layers.get(it.layer or "")
        unit = (it.unit or "") if layer is None else layer.unit
        if unit and unit not in surface.units:
            yield f"{path}.unit: {it.surface} does not say {unit}; {_known(surface.units)}"
        yield from _wrong_parameters(it, surface, path)


def _wrong_parameters(it: Experiment, surface: Asking, path: str) -> Iterator[str]:
    types = dict(surface.parameters or {})
    for arm in it.arms:
        for name, value in arm.parameters.items():
            key, got = f"{path}.arms.{arm.name}.parameters.{name}", _TYPES[type(value)]
            if surface.parameters is not None and name not in types:
                yield f"{key}: {it.surface} knows no such parameter; {_known(types)}"
            elif types.setdefault(name, got) != got:
                yield f"{key}: it is {types[name]}, not {got}"


def _known(names: Iterable[str]) -> str:
    return f"there are {', '.join(sorted(names)) or 'none'}"
