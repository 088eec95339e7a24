"""The experiments in force: replaced together or not at all, and stopped one by one."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from inferd.errors import InvalidRequest, NotFound
from inferd.experiments.declared import Experiment
from inferd.experiments.definitions import Asking, Attributes, Compile, Definitions, moved
from inferd.experiments.plan import Assignments, Plan, Tally, Unit
from inferd.experiments.planning import Planning

_NOBODY: Mapping[str, str] = {}


class Stop(NamedTuple):
    """An experiment, or an arm of it, that somebody or something stopped while it ran."""

    experiment: str
    revision: int
    """Of which it was stopped: a higher one runs again."""
    arm: str
    """Empty: all arms."""
    why: str
    at_us: int


class Reloaded(NamedTuple):
    """What reading experiments again came to."""

    version: str
    changed: bool
    moved: Sequence[str]
    """What gives units another arm than they had, or none, though its experiment goes on."""


class Surface:
    """Where one kind of caller asks for arms. It stays the same when experiments change."""

    def __init__(self, plan: Plan, *, allow_forced: bool) -> None:
        self.plan = plan
        self._allow_forced = allow_forced

    def assign(
        self, unit: Unit, attributes: Attributes, forced: Mapping[str, str] = _NOBODY
    ) -> Assignments:
        """Return the arms of whoever asks.

        `unit`: `user_id` and the like; `attributes`: what targeting sees; `forced`: arms that the
        request asks to be in, by experiment. What is not known is left out, or None.

        Raises `InvalidRequest` for forced arms that are not allowed or not there.
        """
        if forced and not self._allow_forced:
            text = "arms cannot be asked for: experiments.allow_forced is off"
            raise InvalidRequest(text, field="forced_arms")
        return self.plan.assign(unit, attributes, forced)


class Experiments:
    """What is in force, and how often each arm was assigned. Lives on the event loop."""

    def __init__(
        self,
        text: str,
        asking: Sequence[Asking],
        compile: Compile,
        *,
        allow_forced: bool = False,
        stops: Sequence[Stop] = (),
    ) -> None:
        """Take the experiments of a text, and who asks for arms. Raises `Refused`."""
        self._asking = {each.name: each for each in asking}
        self._compile = compile
        self._stops = {each[:3]: each for each in stops}
        #: By experiment and arm, since there are any; across reloads.
        self.tallies: dict[tuple[str, str], Tally] = {}
        self.definitions = self.checked(text)
        planning = self._planning()
        #: By name.
        self.surfaces = {
            name: Surface(planning.plan(name), allow_forced=allow_forced) for name in self._asking
        }

    @property
    def stops(self) -> Sequence[Stop]:
        """What was stopped, of experiments in their revisions."""
        return [*self._stops.values()]

    def stopped(self, experiment: Experiment, arm: str = "") -> Stop | None:
        """Return how an experiment, or an arm of it, was stopped while it ran; None: it was not."""
        return self._stops.get((experiment.name, experiment.revision, arm))

    def checked(self, text: str) -> Definitions:
        """Return what a text says, and leave in force what is. Raises `Refused`."""
        return Definitions.read(text, self._asking, self._compile)

    def compared(self, definitions: Definitions) -> Reloaded:
        """Return what would come of it if others were in force."""
        before = self.definitions
        changes = tuple(moved(before.declared, definitions.declared))
        return Reloaded(definitions.version, before.version != definitions.version, changes)

    def replace(self, definitions: Definitions) -> Reloaded:
        """Put others in force."""
        reloaded = self.compared(definitions)
        self.definitions = definitions
        self._plan_anew()
        return reloaded

    def stop(self, name: str, arm: str, why: str, at_us: int) -> Stop:
        """Stop an experiment, or an arm of it: nobody is in it from now on.

        Whoever was in an arm that is stopped is in no other instead. What was stopped is stopped
        for the reason that was given first. Raises `NotFound`.
        """
        there = {each.name: each for each in self.definitions.declared.experiments}
        it = there.get(name)
        if it is None:
            names = ", ".join(there) or "none"
            raise NotFound(f"no experiment is called {name!r:.80}; there are {names}")
        arms = [] if it.interleaved else [each.name for each in it.arms]
        if arm and arm not in arms:
            names = ", ".join(arms) or "none that can be stopped by itself"
            raise NotFound(f"experiment {name} has no arm {arm!r:.80}; there are {names}")
        stop = Stop(name, it.revision, arm, why, at_us)
        kept = self._stops.setdefault(stop[:3], stop)
        self._plan_anew()
        return kept

    def _plan_anew(self) -> None:
        planning = self._planning()
        for name, surface in self.surfaces.items():
            surface.plan = planning.plan(name)

    def _planning(self) -> Planning:
        return Planning(self.definitions, self._stops.keys(), self.tallies)
