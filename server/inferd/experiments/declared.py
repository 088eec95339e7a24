"""How experiments are written. docs/experiments.md explains what each key does."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from inferd.config.section import Section
from inferd.experiments.guardrails_declared import PREDICTION, Guardrail

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=64)]
Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seed = Annotated[str, Field(max_length=128)]
Value = StrictBool | StrictInt | StrictFloat | StrictStr
"""Of a parameter, or of what targeting sees."""

MOST = 1000
INTERLEAVED = "interleaved"
"""The arm of everybody whose rankings are interleaved."""
TOLERANCE = 1e-6


class State(StrEnum):
    """What becomes of an experiment."""

    DRAFT = "draft"
    """Only those are in it who are forced."""
    RUNNING = "running"
    STOPPED = "stopped"
    """Nobody is."""


class Arm(Section):
    """One way to do it."""

    name: Name
    weight: Share | None = None
    """Its share. Either all arms have one, and they add up to 1, or none has."""
    parameters: Mapping[Key, Value] = {}


class Experiment(Section):
    """Arms, and who is to be in one."""

    name: Name
    surface: Key
    """What asks for it, such as `recommendation`."""
    arms: Annotated[tuple[Arm, ...], Field(min_length=2, max_length=32)]
    state: State = State.DRAFT
    layer: Name | None = None
    range: tuple[Share, Share] | None = None
    """Its part of the layer. None: all of it."""
    unit: Key | None = None
    """Who keeps an arm. Within a layer it is the layer's."""
    hash: Literal["blake2b", "growthbook_1", "growthbook_2"] = "blake2b"
    seed: Seed = ""
    """Empty: the experiment's name."""
    coverage: Share = 1.0
    """How many of those who could be in an arm are."""
    when: Annotated[str, Field(max_length=4096)] = ""
    """In the Common Expression Language. Empty: everybody."""
    forced: Mapping[Annotated[str, Field(min_length=1, max_length=512)], Name] = {}
    """Arms by unit, for tests. They do not count."""
    interleaved: bool = False
    """The rankings of two arms are shown as one, and clicks tell which is better."""
    revision: Annotated[int, Field(ge=1)] = 1
    """A higher one is a new beginning: what was stopped by hand or a guardrail runs again."""
    guardrails: Annotated[tuple[Guardrail, ...], Field(max_length=16)] = ()
    """What stops an arm by itself."""
    description: Annotated[str, Field(max_length=512)] = ""

    @property
    def salt(self) -> str:
        """What the places of units depend on."""
        return self.seed or self.name

    @property
    def weights(self) -> list[float] | None:
        """One for each arm; None: all are alike."""
        given = [each.weight for each in self.arms if each.weight is not None]
        return given or None

    @property
    def parameters(self) -> frozenset[str]:
        """The names of those that some arm has."""
        return frozenset().union(*(each.parameters for each in self.arms))

    @model_validator(mode="after")
    def _of_one_mind(self) -> "Experiment":
        names = [each.name for each in self.arms]
        if len(set(names)) < len(names):
            raise ValueError(f"arms: their names must differ: {', '.join(names)}")
        weights = self.weights
        if weights is not None and len(weights) < len(names):
            raise ValueError("arms: either all have a weight, or none has")
        if weights is not None and abs(sum(weights) - 1) > TOLERANCE:
            raise ValueError(f"arms: weights must add up to 1, not {sum(weights):g}")
        for value, arm in self.forced.items():
            if arm not in names:
                raise ValueError(
                    f"forced.{value}: there is no arm {arm!r}; there are {', '.join(names)}"
                )
        if self.interleaved:
            self._check_interleaved()
        return self

    @model_validator(mode="after")
    def _guarded(self) -> "Experiment":
        for at, each in enumerate(self.guardrails):
            if each.metric == PREDICTION and each.slack > 1:
                raise ValueError(f"guardrails.{at}.slack: distributions are at most 1 apart")
        return self

    @model_validator(mode="after")
    def _of_one_place(self) -> "Experiment":
        if self.layer is None and self.range is not None:
            raise ValueError("range: it is a part of a layer, so there must be `layer`")
        if self.layer is not None and self.unit is not None:
            raise ValueError("unit: it is the layer's")
        if self.layer is None and self.unit is None:
            raise ValueError("unit: it is required without a layer")
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError("range: it must end behind its beginning")
        return self

    def _check_interleaved(self) -> None:
        if len(self.arms) != 2 or self.weights is not None:
            raise ValueError("interleaved: it takes two arms, without weights")
        if self.guardrails:
            raise ValueError("interleaved: guardrails compare arms, and all see both")
        if self.forced:
            raise ValueError("interleaved: nobody can be forced into an arm, all see both")


class Holdout(Section):
    """Units that are in no experiment at all, to compare with."""

    name: Name
    unit: Key
    share: Share
    seed: Seed = ""


class Layer(Section):
    """Experiments that exclude each other: a unit is in one of them at most."""

    name: Name
    unit: Key
    seed: Seed = ""
    holdout: Share = 0.0
    """The share of units that are in none of its experiments, whichever there are."""


class Declared(Section):
    """All that a file declares."""

    holdouts: Annotated[tuple[Holdout, ...], Field(max_length=16)] = ()
    layers: Annotated[tuple[Layer, ...], Field(max_length=MOST)] = ()
    experiments: Annotated[tuple[Experiment, ...], Field(max_length=MOST)] = ()
