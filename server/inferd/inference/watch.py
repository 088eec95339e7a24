"""What runs batches, and who watches over it: what a batcher knows of both."""

from collections.abc import Callable
from typing import Protocol

from inferd.errors import NotReady
from inferd.inference.batch import Batch, Stopper


class Instance(Protocol):
    """What runs batches, one at a time: a `Worker`, or a test's stand-in."""

    def stopper(self) -> Stopper:
        """Return what ends the next run."""

    def submit(self, batch: Batch, done: Callable[[], None]) -> None:
        """Run `batch` elsewhere, then call `done` on the event loop."""

    def run_here(self, batch: Batch) -> None:
        """Run `batch` now; returns when it has been run."""


class Watch(Protocol):
    """Whoever decides which instances serve. The batcher tells it how their runs went."""

    @property
    def broken(self) -> bool:
        """Whether something is wrong on purpose, so that no run may hold up the event loop."""

    @property
    def all_well(self) -> bool:
        """Whether it need not be told of good runs."""

    def limit_s(self, predicted_s: float) -> float:
        """Return how long a run may take that was predicted to take so long."""

    def overdue_s(self, predicted_s: float) -> float:
        """Return after how long a run that everybody has left counts as a failed one."""

    def passes(self, instance: Instance, *, good: bool) -> bool:
        """Note a run, not good if the model failed; whether the instance may have another."""

    def replace(self, instance: Instance, why: str) -> None:
        """Find a successor for an instance that has been taken out."""

    def absence(self) -> NotReady:
        """Return why nobody serves."""
