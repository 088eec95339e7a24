"""Copies of calls for a version that is not trusted yet: nobody waits for them.

A copy goes when the original is answered, and only where it takes nothing from anybody: not while
calls wait for either version, and not beside too many others. What comes back is compared with what
the caller got.
"""

import asyncio
import logging
import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

import numpy as np

from inferd.call import CRITICALITY, Call, Criticality
from inferd.deadline import Clock, Deadline
from inferd.errors import CircuitOpen, InferdError, ModelFailed, TimedOut
from inferd.inference.request import Request, Tensors
from inferd.inference.rollout import Rollout
from inferd.inference.version import ModelVersion
from inferd.telemetry.rollouts import CopyStatistics

log = logging.getLogger(__name__)

COPY = "shadow"
"""The method of a call that nobody made: it is a copy."""
INCOMPARABLE = 1e9
"""The difference of answers that are no numbers, or not as many."""
BLAMED = (ModelFailed, CircuitOpen, TimedOut)
"""What a version is to blame for. Refusals, deadlines and callers' mistakes say nothing of it."""


class _Original(NamedTuple):
    """A call that was answered, to be made again."""

    inputs: Tensors
    rows: int
    outputs: tuple[str, ...]
    said: Tensors
    took_s: float


class Copies:
    """Those of one model's calls. Lives on the event loop."""

    def __init__(
        self, rollout: Rollout, statistics: CopyStatistics, *, clock: Clock, random: Random
    ) -> None:
        self._rollout = rollout
        self._statistics = statistics
        self._clock = clock
        self._random = random

    def send(
        self,
        tasks: asyncio.TaskGroup,
        versions: Sequence[ModelVersion | None],
        requests: Sequence[Request],
        said: Tensors,
        took_s: float,
    ) -> None:
        """Send a copy of a call to the canary, perhaps. `versions`: the stable one, the canary."""
        if not self._rollout.copies(self._random.random()):
            return
        first, canary = requests[0], versions[1]
        why = self._why_not(versions, requests)
        if why or canary is None:
            self._statistics.outcomes[why] += 1
            return
        # What it was asked may be in memory that others write to once they have their answer.
        inputs = {name: array.copy() for name, array in first.inputs.items()}
        original = _Original(inputs, first.rows, first.outputs, said, took_s)
        self._statistics.under_way += 1
        tasks.create_task(self._ask(canary, original), name=f"copy for {canary!r}")

    def _why_not(self, versions: Sequence[ModelVersion | None], requests: Sequence[Request]) -> str:
        """Return why no copy is made. Empty: one is."""
        settings = self._rollout.settings.shadow
        there = [each for each in versions if each is not None]
        if len(there) < len(versions):
            return "not_ready"
        if len(requests) > 1 or _bytes(requests[0].inputs) > settings.max_bytes:
            return "too_large"
        if self._statistics.under_way >= settings.most:
            return "busy"
        return "busy" if any(each.statistics.queue_depth() for each in there) else ""

    async def _ask(self, canary: ModelVersion, original: _Original) -> None:
        counted, side, began = self._statistics, self._rollout.canary, self._clock()
        timeout_s = self._rollout.settings.shadow.timeout_ms / 1000
        call = Call(
            COPY,
            arrived=began,
            deadline=Deadline.after(timeout_s, now=began),
            metadata={CRITICALITY: Criticality.SHEDDABLE.value},
        )
        try:
            other = await canary.infer(
                original.inputs, rows=original.rows, outputs=original.outputs, call=call
            )
        except BLAMED:
            counted.outcomes["failed"] += 1
            side.failed_at(self._clock())
        except InferdError as error:
            counted.outcomes[error.reason.lower()] += 1
        except Exception:  # nobody waits for it, and everybody else is to go on
            log.exception("a copy for %r", canary)
        else:
            done = self._clock()
            counted.outcomes["answered"] += 1
            counted.difference.observe(difference(original.said, other))
            counted.slower_s.observe(done - began - original.took_s)
            side.answered(None, number_in(other), done)
        finally:
            counted.under_way -= 1


def number_in(said: Tensors) -> float | None:
    """Return a number that stands for an answer: the first there is, fractions before others."""
    numbers = [each for each in said.values() if each.size and each.dtype.kind in "fiub"]
    numbers.sort(key=lambda each: each.dtype.kind != "f")
    if not numbers:
        return None
    value = float(numbers[0].flat[0])
    return value if math.isfinite(value) else None


def difference(said: Tensors, other: Tensors) -> float:
    """Return the largest difference of any number; of what is no number, 1 where it differs."""
    found = 0.0
    for name, array in said.items():
        there = other.get(name)
        if there is None or there.shape != array.shape:
            return INCOMPARABLE
        differs = np.asarray(array != there)
        if not differs.any():
            continue
        if array.dtype.kind in "fiub" and there.dtype.kind in "fiub":
            one, two = (each[differs].astype(np.float64) for each in (array, there))
            apart = float(np.abs(one - two).max())
            found = max(found, INCOMPARABLE if math.isnan(apart) else apart)
        else:
            found = max(found, 1.0)
    return min(found, INCOMPARABLE)


def _bytes(inputs: Mapping[str, np.ndarray]) -> int:
    return sum(each.nbytes for each in inputs.values())
