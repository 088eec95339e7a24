"""The Prometheus view of fraud decisions: what was decided and why, and what failed meanwhile."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from inferd.telemetry.metrics import family, histograms
from inferd.telemetry.statistics import Histogram


class Assessing(Protocol):
    """What decides."""

    @property
    def decided(self) -> Mapping[tuple[str, str], int]:
        """Decisions by action and first reason."""

    @property
    def model_failures(self) -> Mapping[tuple[str, str], int]:
        """Models that said nothing, by name and reason."""

    @property
    def stages(self) -> Mapping[str, Histogram]:
        """What stages took, in seconds."""


class Rulebook(Protocol):
    """Rules, and how often they matched."""

    @property
    def rules(self) -> Any:
        """Those in force."""

    @property
    def hits(self) -> Mapping[str, int]:
        """By rule."""

    @property
    def errors(self) -> Mapping[str, int]:
        """By rule."""


class Labels(Protocol):
    """What transactions turned out to be."""

    @property
    def taken(self) -> Mapping[tuple[str, str], int]:
        """By decision and label."""


class Happenings(Protocol):
    """What is recorded of transactions."""

    @property
    def recorded(self) -> int:
        """Transactions that were."""

    @property
    def unrecorded(self) -> int:
        """Those that could not be."""


class FraudMetrics(Collector):
    """All that is counted of decisions."""

    def __init__(
        self, assessing: Assessing, rulebook: Rulebook, labels: Labels, happenings: Happenings
    ) -> None:
        self._assessing = assessing
        self._rulebook = rulebook
        self._labels = labels
        self._happenings = happenings

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        it = self._assessing
        yield family(
            "inferd_fraud_assessments",
            "Decisions, by what was decided and the code of the first reason",
            "counter",
            [({"decision": what, "reason": why}, n) for (what, why), n in it.decided.items()],
        )
        yield family(
            "inferd_fraud_model_failures",
            "Models that were asked and said nothing, by reason",
            "counter",
            [({"model": name, "reason": why}, n) for (name, why), n in it.model_failures.items()],
        )
        yield histograms(
            "inferd_fraud_stage_seconds",
            "What the stages of a decision took",
            [({"stage": stage}, each) for stage, each in it.stages.items()],
        )
        yield from self._rules()
        yield family(
            "inferd_fraud_outcomes",
            "Transactions of which it was reported what they turned out to be",
            "counter",
            [
                ({"decision": decision, "label": label}, n)
                for (decision, label), n in self._labels.taken.items()
            ],
        )
        events = self._happenings
        yield family(
            "inferd_fraud_events",
            "Transactions that were to be recorded for features, by what became of it",
            "counter",
            [
                ({"became": "recorded"}, events.recorded),
                ({"became": "unrecorded"}, events.unrecorded),
            ],
        )

    def _rules(self) -> Iterator[Metric]:
        book = self._rulebook
        rules: Sequence[Any] = book.rules.rules
        modes = {each.declared.id: each.declared.mode.name.lower() for each in rules}
        for name, what, counts in (
            ("inferd_fraud_rule_hits", "Transactions that a rule matched", book.hits),
            (
                "inferd_fraud_rule_errors",
                "Transactions of which a rule could not tell",
                book.errors,
            ),
        ):
            yield family(
                name,
                what,
                "counter",
                [({"rule": each, "mode": mode}, counts[each]) for each, mode in modes.items()],
            )
