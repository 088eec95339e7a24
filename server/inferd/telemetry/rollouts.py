"""What rollouts count, and the Prometheus view of it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from inferd.telemetry.metrics import family, histograms
from inferd.telemetry.statistics import Histogram

DIFFERENCES = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 100.0)
"""Bounds, for the largest difference of any number in two answers."""
SLOWER_S = (
    -1, -0.1, -0.03, -0.01, -0.003, -0.001, -0.0003, 0, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 1,
)  # fmt: skip
"""Bounds, for how much longer the canary takes."""
STAGES = ("RUNNING", "ROLLED_BACK", "PROMOTED")


class CopyStatistics:
    """The copies of one model's calls."""

    def __init__(self) -> None:
        self.under_way = 0
        #: Copies by what became of them: `answered`, `failed`, or why they were dropped.
        self.outcomes: Counter[str] = Counter()
        #: The largest difference of any number; infinite where one is no number.
        self.difference = Histogram(DIFFERENCES)
        #: How many seconds longer the canary took than the stable version.
        self.slower_s = Histogram(SLOWER_S)


class Side(Protocol):
    """What one version did for callers."""

    @property
    def calls(self) -> int:
        """Calls that say something about it."""

    @property
    def failed(self) -> int:
        """Those that failed because of it."""


class Settings(Protocol):
    """What is configured."""

    @property
    def stable(self) -> int:
        """A version."""

    @property
    def canary(self) -> int:
        """A version."""

    @property
    def percent(self) -> float:
        """The canary's share."""


class Rollout(Protocol):
    """The rollout of one model."""

    @property
    def settings(self) -> Settings:
        """What is configured."""

    @property
    def stage(self) -> str:
        """One of `STAGES`."""

    @property
    def stable(self) -> Side:
        """What the stable version did."""

    @property
    def canary(self) -> Side:
        """What the canary did."""


class RolloutMetrics(Collector):
    """All that is counted of rollouts."""

    def __init__(
        self, rollouts: Mapping[str, Rollout], copies: Mapping[str, CopyStatistics]
    ) -> None:
        """Both by model."""
        self._rollouts = rollouts
        self._copies = copies

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        there = self._rollouts
        yield family(
            "inferd_rollout_stage",
            "How far the rollout of a model has come: 1 for the stage it is in",
            "gauge",
            [
                (
                    {"model": model, "version": str(it.settings.canary), "stage": stage},
                    it.stage == stage,
                )
                for model, it in there.items()
                for stage in STAGES
            ],
        )
        yield family(
            "inferd_rollout_percent",
            "The share of calls that the canary gets now",
            "gauge",
            [({"model": model}, _percent(it)) for model, it in there.items()],
        )
        yield family(
            "inferd_rollout_calls",
            "Calls that say something about a version of a model that is rolled out",
            "counter",
            [(labels, side.calls) for labels, side in _sides(there)],
        )
        yield family(
            "inferd_rollout_failures",
            "Of these, the calls that failed because of the version",
            "counter",
            [(labels, side.failed) for labels, side in _sides(there)],
        )
        yield family(
            "inferd_shadow",
            "Copies of calls for a canary, by what became of them",
            "counter",
            [
                ({"model": model, "outcome": outcome}, count)
                for model, it in self._copies.items()
                for outcome, count in it.outcomes.items()
            ],
        )
        yield family(
            "inferd_shadow_under_way",
            "Copies that are being answered",
            "gauge",
            [({"model": model}, it.under_way) for model, it in self._copies.items()],
        )
        copies = [({"model": model}, it) for model, it in self._copies.items()]
        yield histograms(
            "inferd_shadow_output_difference",
            "The largest difference of any number in the answers of canary and stable version",
            [(labels, it.difference) for labels, it in copies],
        )
        yield histograms(
            "inferd_shadow_latency_difference_seconds",
            "How much longer the canary takes for a copy than the stable version took",
            [(labels, it.slower_s) for labels, it in copies],
        )


def _percent(it: Rollout) -> float:
    return {"RUNNING": it.settings.percent, "PROMOTED": 100.0}.get(it.stage, 0.0)


def _sides(there: Mapping[str, Rollout]) -> Sequence[tuple[dict[str, str], Side]]:
    return [
        ({"model": model, "version": str(number), "side": name}, side)
        for model, it in there.items()
        for number, name, side in (
            (it.settings.stable, "stable", it.stable),
            (it.settings.canary, "canary", it.canary),
        )
    ]
