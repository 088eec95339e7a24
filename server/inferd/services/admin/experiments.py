"""Experiments as messages: looked at, read again, and stopped."""

import logging

from inferd.call import Call
from inferd.config.reading import Refused
from inferd.errors import InvalidRequest, Unavailable, Violation
from inferd.experiments.declared import INTERLEAVED, State
from inferd.experiments.declared import Experiment as Declared
from inferd.experiments.experiments import Experiments, Stop
from inferd.experiments.keeping import Keeper
from inferd.experiments.plan import Tally
from inferd.v1 import admin_pb2 as pb

MOST_WHY = 512

log = logging.getLogger(__name__)


class ExperimentCalls:
    """Answers what is asked of experiments."""

    def __init__(self, keeper: Keeper | None) -> None:
        """Without a keeper there are no experiments."""
        self._keeper = keeper

    def listed(self, request: pb.ListExperimentsRequest) -> pb.ListExperimentsResponse:
        """Return the experiments of a surface, or of all."""
        if self._keeper is None:
            return pb.ListExperimentsResponse()
        there = self._keeper.experiments
        return pb.ListExperimentsResponse(
            experiments=[
                _experiment(each, there)
                for each in there.definitions.declared.experiments
                if request.surface in ("", each.surface)
            ],
            version=there.definitions.version,
            refused=self._keeper.refused,
        )

    async def reload(self, request: pb.ReloadExperimentsRequest) -> pb.ReloadExperimentsResponse:
        """Read the file again."""
        try:
            reloaded = await self._kept().reload(check_only=request.check_only)
        except Refused as error:
            parts = [each.partition(": ") for each in error.problems]
            violations = [Violation(key, why) for key, _, why in parts]
            raise InvalidRequest("; ".join(error.problems), violations=violations) from error
        return pb.ReloadExperimentsResponse(
            version=reloaded.version, changed=reloaded.changed, moved=reloaded.moved
        )

    async def stop(
        self, request: pb.StopExperimentRequest, call: Call
    ) -> pb.StopExperimentResponse:
        """Stop an experiment, or an arm of it."""
        if not 1 <= len(request.why) <= MOST_WHY:
            text = f"why must be said, in at most {MOST_WHY} characters"
            raise InvalidRequest(text, field="why")
        kept = await self._kept().stop(request.experiment, request.arm, request.why)
        log.warning("experiment %s: it was %s who had it stopped", request.experiment, call.peer)
        return pb.StopExperimentResponse(kept=kept)

    def _kept(self) -> Keeper:
        if self._keeper is None:
            raise Unavailable(
                "there are no experiments: experiments.definitions is not set", retry_after_s=-1.0
            )
        return self._keeper


def _experiment(it: Declared, there: Experiments) -> pb.Experiment:
    stopped = there.stopped(it)
    state = State.STOPPED if stopped else it.state
    weights = it.weights or [1 / len(it.arms)] * len(it.arms)
    named = [(each.name, weight) for each, weight in zip(it.arms, weights, strict=True)]
    if it.interleaved:
        named.append((INTERLEAVED, 1.0))
    return pb.Experiment(
        name=it.name,
        surface=it.surface,
        state=state.name,
        layer=it.layer or "",
        unit=there.definitions.unit(it),
        coverage=it.coverage,
        revision=it.revision,
        arms=[_arm(it, name, weight, there) for name, weight in named],
        stopped=_stop(stopped),
    )


def _arm(it: Declared, name: str, weight: float, there: Experiments) -> pb.Experiment.Arm:
    tally = there.tallies.get((it.name, name), Tally())
    return pb.Experiment.Arm(
        name=name,
        weight=weight,
        assigned=tally.assigned,
        exposed=tally.exposed,
        stopped=_stop(there.stopped(it, name)),
    )


def _stop(stop: Stop | None) -> pb.Experiment.Stop | None:
    return None if stop is None else pb.Experiment.Stop(why=stop.why, time_us=stop.at_us)
