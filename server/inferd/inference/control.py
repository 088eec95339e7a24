"""A request that a model is known to answer: run when nobody in a batch got a right answer.

If it is answered, what the others sent is to blame, and nothing else: neither the instance nor the
model. Whoever sends poison must not be able to take them from everybody else. An answer counts for
a while, so that a flood of poison does not cost twice as much.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from inferd.deadline import Clock
from inferd.inference.batch import Runner, Stopper
from inferd.inference.finite import FiniteOutputs
from inferd.inference.packing import ROWS, Packing
from inferd.inference.request import Tensors
from inferd.inference.warmup import Sample

#: How long ago an instance may have done well. Shorter than anybody takes to act upon failures.
COUNTS_FOR_S = 0.1


class _Known(NamedTuple):
    """The request, as a member of a batch."""

    inputs: Tensors
    rows: int
    outputs: tuple[str, ...]


class Control:
    """The control of one instance. Belongs on the thread that runs it."""

    def __init__(
        self,
        sample: Sample,
        outputs: Sequence[str],
        *,
        packing: Packing = ROWS,
        finite: FiniteOutputs | None = None,
        clock: Clock,
    ) -> None:
        """Expect all these outputs of `sample`; with `finite`, they must be."""
        self._members = (_Known(sample.inputs, sample.rows, tuple(outputs)),)
        self._outputs = tuple(outputs)
        self._packing = packing
        self._finite = finite
        self._clock = clock
        self._passed_at = -math.inf

    def passes(self, runner: Runner, stop: Stopper) -> bool:
        """Whether the model answers. Blocks, until `stop` at the latest."""
        if self._clock() - self._passed_at < COUNTS_FOR_S:
            return True
        try:
            inputs, _ = self._packing.pack(self._members)
            arrays = runner.run(inputs, self._outputs, stop)
            outputs = dict(zip(self._outputs, arrays, strict=True))
            self._packing.unpack(self._members, outputs)
        except Exception:  # a bug of ours, too: whatever it is, the thread has to go on
            return False
        if self._finite is not None and not self._finite.all_in(outputs):
            return False
        self._passed_at = self._clock()
        return True
