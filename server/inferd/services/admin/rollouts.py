"""Rollouts as messages: looked at, and decided by hand."""

import logging

from inferd.call import Call
from inferd.errors import InvalidRequest, NotFound
from inferd.inference.rollout import Rollout, Side, Stage
from inferd.inference.rollouts import Rollouts
from inferd.v1 import admin_pb2 as pb

MOST_WHY = 512

log = logging.getLogger(__name__)

_STAGES = {
    pb.Rollout.RUNNING: Stage.RUNNING,
    pb.Rollout.ROLLED_BACK: Stage.ROLLED_BACK,
    pb.Rollout.PROMOTED: Stage.PROMOTED,
}


class RolloutCalls:
    """Answers what is asked of rollouts."""

    def __init__(self, rollouts: Rollouts | None) -> None:
        """`rollouts`: None: there are none."""
        self._rollouts = rollouts

    def listed(self) -> pb.ListRolloutsResponse:
        """Return all rollouts."""
        there = {} if self._rollouts is None else self._rollouts.rollouts
        return pb.ListRolloutsResponse(rollouts=[_rollout(there[name]) for name in sorted(there)])

    async def decide(
        self, request: pb.DecideRolloutRequest, call: Call
    ) -> pb.DecideRolloutResponse:
        """Do what somebody decided."""
        stage = _STAGES.get(request.stage)
        if stage is None:
            raise InvalidRequest("stage must be RUNNING, ROLLED_BACK or PROMOTED", field="stage")
        if not 1 <= len(request.why) <= MOST_WHY:
            text = f"why must be said, in at most {MOST_WHY} characters"
            raise InvalidRequest(text, field="why")
        if self._rollouts is None:
            raise NotFound("no model is rolled out: rollouts.models is empty")
        kept = await self._rollouts.decide(request.model, stage, request.why)
        log.warning("model %s: it was %s who decided so", request.model, call.peer)
        return pb.DecideRolloutResponse(kept=kept)


def _rollout(it: Rollout) -> pb.Rollout:
    decision = it.decision
    return pb.Rollout(
        model=it.model,
        stage=it.stage.value,
        stable=_side(it.settings.stable, it.stable),
        canary=_side(it.settings.canary, it.canary),
        percent=it.settings.percent,
        why="" if decision is None else decision.why,
        time_us=0 if decision is None else decision.at_us,
        problem=it.problem,
    )


def _side(version: int, side: Side) -> pb.Rollout.Side:
    return pb.Rollout.Side(version=version, calls=side.calls, failed=side.failed)
