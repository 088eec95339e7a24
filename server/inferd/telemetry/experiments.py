"""The Prometheus view of experiments: who is in which arm, and whether that is on record."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from inferd.telemetry.metrics import family


class Tally(Protocol):
    """What is counted of an arm."""

    @property
    def assigned(self) -> int:
        """Requests that were in it."""

    @property
    def exposed(self) -> int:
        """Uses on record: one for each unit and window."""


class Experiments(Protocol):
    """What is in force."""

    @property
    def tallies(self) -> Mapping[tuple[str, str], Tally]:
        """By experiment and arm."""

    @property
    def stops(self) -> Sequence[tuple[str, int, str, str, int]]:
        """What was stopped while it ran: experiment, revision, arm, why and when."""


class Log(Protocol):
    """What is on record."""

    @property
    def written(self) -> Mapping[str, int]:
        """By kind."""

    @property
    def dropped(self) -> Mapping[tuple[str, str], int]:
        """By kind and reason."""


class Keeper(Protocol):
    """What reads the file of experiments."""

    @property
    def refused(self) -> Sequence[str]:
        """Why it is not in force as it is now."""


class Guardrails(Protocol):
    """What stops arms that do harm."""

    @property
    def stopped(self) -> Mapping[tuple[str, str, str], int]:
        """How often, by experiment, arm and metric."""


class ExperimentMetrics(Collector):
    """All that is counted of experiments."""

    def __init__(
        self,
        experiments: Experiments,
        logs: Sequence[Log],
        keeper: Keeper,
        guardrails: Guardrails,
    ) -> None:
        self._experiments = experiments
        self._logs = logs
        self._keeper = keeper
        self._guardrails = guardrails

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        tallies = self._experiments.tallies.items()
        yield family(
            "inferd_experiment_assignments",
            "Requests that were in an arm",
            "counter",
            [({"experiment": name, "arm": arm}, each.assigned) for (name, arm), each in tallies],
        )
        yield family(
            "inferd_experiment_exposures",
            "Uses of an arm that are on record, one for each unit and window",
            "counter",
            [({"experiment": name, "arm": arm}, each.exposed) for (name, arm), each in tallies],
        )
        yield family(
            "inferd_experiment_records",
            "Records that are safe, by kind",
            "counter",
            [({"kind": kind}, n) for log in self._logs for kind, n in log.written.items()],
        )
        yield family(
            "inferd_experiment_records_dropped",
            "Records that could not be written, by kind and reason",
            "counter",
            [
                ({"kind": kind, "reason": reason}, n)
                for log in self._logs
                for (kind, reason), n in log.dropped.items()
            ],
        )
        yield family(
            "inferd_experiment_stopped",
            "What was stopped while it ran, and stays so in this revision; no arm: all of it",
            "gauge",
            [
                ({"experiment": name, "revision": str(revision), "arm": arm}, 1)
                for name, revision, arm, _, _ in self._experiments.stops
            ],
        )
        yield family(
            "inferd_experiment_guardrail_stops",
            "Arms that were stopped because they broke a guardrail",
            "counter",
            [
                ({"experiment": name, "arm": arm, "metric": metric}, times)
                for (name, arm, metric), times in self._guardrails.stopped.items()
            ],
        )
        yield family(
            "inferd_experiment_file_refused",
            "Whether the file of experiments is wrong as it is now, so that the last right one"
            " is in force",
            "gauge",
            [({}, bool(self._keeper.refused))],
        )
