"""What a feature store counts: values read and rows written, by view, and how old they were."""

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import UNSET

from inferd.cache.blobs import Written
from inferd.features.values import Found, Status
from inferd.features.writing import Checked
from inferd.telemetry.statistics import Histogram

# Looked up once: an enum's members take long to find.
_PRESENT, _NULL, _MISSING = Status.PRESENT, Status.NULL, Status.MISSING

AGES_S = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 21_600, 86_400, 604_800)
"""Bounds, from what was streamed in just now to last week's batch."""


class FeatureStatistics:
    """Counts since the start. Lives on the event loop."""

    def __init__(self, views: Iterable[str]) -> None:
        #: Values by view and status.
        self.reads: Counter[tuple[str, str]] = Counter()
        #: Rows by view and what became of them.
        self.writes: Counter[tuple[str, str]] = Counter()
        #: Seconds since the event of each row that was read, whether it was given or not.
        self.ages = {view: Histogram(AGES_S) for view in views}

    def read(self, found: Sequence[Found], now_us: int) -> None:
        """Count what was found."""
        for each in found:
            view, asked = each.lookup.view.name, len(each.lookup.places)
            if each.event_us is not None:
                self.ages[view].observe(max(0, now_us - each.event_us) / 1e6)
            if each.mixed:
                self.reads.update((view, value.status) for value in each.values)
                continue
            if each.status is _PRESENT:
                nulls, unset = each.cells.count(None), each.cells.count(UNSET)
                if nulls:
                    self.reads[view, _NULL] += nulls
                if unset:
                    self.reads[view, _MISSING] += unset
                asked -= nulls + unset
            self.reads[view, each.status] += asked

    def wrote(self, rows: Sequence[Checked], results: Sequence[Written]) -> None:
        """Count what became of rows."""
        for row, result in zip(rows, results, strict=True):
            self.writes[row.key.view.name, result.name] += 1
