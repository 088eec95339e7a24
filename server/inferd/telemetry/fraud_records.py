"""The Prometheus view of what becomes of fraud decisions: records, repetitions and alerts."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from inferd.telemetry.metrics import family, histograms
from inferd.telemetry.statistics import Histogram


class JournalStatistics(Protocol):
    """What a journal counts."""

    @property
    def written(self) -> int:
        """Records that are safe."""

    @property
    def failed(self) -> int:
        """Those that could not be written."""

    @property
    def repeated(self) -> int:
        """Those that had been written before."""

    @property
    def sync_failures(self) -> int:
        """Failures to have the disk know what was acknowledged."""

    @property
    def bytes(self) -> int:
        """What was written."""

    @property
    def groups(self) -> Histogram:
        """Records written together."""

    @property
    def seconds(self) -> Histogram:
        """What that took."""


class Link(Protocol):
    """Where a chain has come to."""

    @property
    def seq(self) -> int:
        """The number of a record."""


class Journal(Protocol):
    """A journal."""

    @property
    def statistics(self) -> JournalStatistics:
        """What it counts."""

    @property
    def waiting(self) -> int:
        """Records that are not safe yet."""

    @property
    def head(self) -> Link:
        """The last that is."""


class Trail(Protocol):
    """An audit trail."""

    @property
    def unrecorded(self) -> int:
        """Decisions that were answered and are not known to be on record."""

    @property
    def refused(self) -> int:
        """Decisions that were not answered for that reason."""


class OnceStatistics(Protocol):
    """What is counted of transactions."""

    @property
    def decided(self) -> int:
        """Decisions that were made."""

    @property
    def repeated(self) -> int:
        """Answers that had been decided before."""

    @property
    def lost(self) -> int:
        """Decisions of which another server's was first."""

    @property
    def conflicts(self) -> int:
        """Different transactions under one id."""

    @property
    def recalled(self) -> int:
        """Decisions that only the audit trail knew."""

    @property
    def adopted(self) -> int:
        """Decisions that were recorded in another server's place."""

    @property
    def unread(self) -> int:
        """Failures to read."""

    @property
    def unwritten(self) -> int:
        """Failures to write."""

    @property
    def unmarked(self) -> int:
        """Failures to say that a decision is on record."""


class Once(Protocol):
    """What sees to it that a transaction is decided once."""

    @property
    def statistics(self) -> OnceStatistics:
        """What it counts."""


class AuditMetrics(Collector):
    """All that is counted of records, and of decisions made once."""

    def __init__(self, journal: Journal, trail: Trail, once: Once) -> None:
        self._journal = journal
        self._trail = trail
        self._once = once

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        yield from self._records()
        once = self._once.statistics
        decisions = {
            "decided": once.decided,
            "repeated": once.repeated,
            "lost": once.lost,
            "recalled": once.recalled,
            "adopted": once.adopted,
            "conflict": once.conflicts,
        }
        yield family(
            "inferd_fraud_decisions",
            "Transactions that were asked for, by what became of them",
            "counter",
            [({"became": name}, count) for name, count in decisions.items()],
        )
        failures = {"read": once.unread, "write": once.unwritten, "mark": once.unmarked}
        yield family(
            "inferd_fraud_assessment_store_failures",
            "Failures of the store that knows assessments by transaction",
            "counter",
            [({"of": name}, count) for name, count in failures.items()],
        )

    def _records(self) -> Iterator[Metric]:
        counts = self._journal.statistics
        records = {"written": counts.written, "failed": counts.failed, "repeated": counts.repeated}
        yield family(
            "inferd_audit_records",
            "Records of the audit trail, by what became of them",
            "counter",
            [({"became": name}, count) for name, count in records.items()],
        )
        yield family(
            "inferd_audit_unrecorded",
            "Decisions that are not known to be on record, by what their callers were told",
            "counter",
            [
                ({"told": "answer"}, self._trail.unrecorded),
                ({"told": "refusal"}, self._trail.refused),
            ],
        )
        yield family("inferd_audit_bytes", "Bytes of records", "counter", [({}, counts.bytes)])
        yield family(
            "inferd_audit_sync_failures",
            "Failures to have the disk know records that were acknowledged already",
            "counter",
            [({}, counts.sync_failures)],
        )
        yield family(
            "inferd_audit_waiting", "Records that wait", "gauge", [({}, self._journal.waiting)]
        )
        yield family(
            "inferd_audit_head",
            "The number of the last record of the chain",
            "gauge",
            [({}, self._journal.head.seq)],
        )
        yield histograms(
            "inferd_audit_group_records", "Records written together", [({}, counts.groups)]
        )
        yield histograms(
            "inferd_audit_group_seconds", "Writing a group of records", [({}, counts.seconds)]
        )


class Queue(Protocol):
    """Alerts that wait."""

    @property
    def dropped(self) -> int:
        """Those there was no room for."""

    def __len__(self) -> int:
        """Return how many wait."""


class Sending(Protocol):
    """What gives a sink its alerts."""

    @property
    def queue(self) -> Queue:
        """Those that wait."""

    @property
    def sent(self) -> int:
        """Those that the sink took."""

    @property
    def failures(self) -> int:
        """Attempts that failed."""


class Window(Protocol):
    """What tells first alerts from repetitions."""

    @property
    def repeated(self) -> int:
        """Alerts that were only counted."""


class Alerting(Protocol):
    """What sends alerts."""

    @property
    def raised(self) -> int:
        """All there were."""

    @property
    def window(self) -> Window:
        """What tells them apart."""

    @property
    def sendings(self) -> Mapping[str, Sending]:
        """By sink."""


class AlertMetrics(Collector):
    """All that is counted of alerts."""

    def __init__(self, alerting: Alerting) -> None:
        self._alerting = alerting

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        it = self._alerting
        yield family("inferd_alerts_raised", "Alerts there were", "counter", [({}, it.raised)])
        yield family(
            "inferd_alerts_repeated",
            "Alerts that were counted, and told together",
            "counter",
            [({}, it.window.repeated)],
        )
        sinks = it.sendings.items()
        yield family(
            "inferd_alerts_sent",
            "Alerts that a sink took",
            "counter",
            [({"sink": name}, each.sent) for name, each in sinks],
        )
        yield family(
            "inferd_alerts_dropped",
            "Alerts that a sink did not take in time, when there was no room for more",
            "counter",
            [({"sink": name}, each.queue.dropped) for name, each in sinks],
        )
        yield family(
            "inferd_alert_failures",
            "Attempts to send alerts that failed",
            "counter",
            [({"sink": name}, each.failures) for name, each in sinks],
        )
        yield family(
            "inferd_alerts_waiting",
            "Alerts that wait to be sent",
            "gauge",
            [({"sink": name}, len(each.queue)) for name, each in sinks],
        )
