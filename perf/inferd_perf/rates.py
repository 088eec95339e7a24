"""What servers did at the rates that they were offered: medians of the rounds. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from inferd_perf.openload import Report
from inferd_perf.rounds import known_median


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One side, offered one rate, in one round."""

    side: str
    round: int
    #: Calls per second that were asked for; the Poisson process gave about as many.
    rate: float
    report: Report
    #: Cores that the server's threads kept busy, by group, and those that others did.
    server_cores: Mapping[str, float]
    other_cores: float


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers with one status: medians over the rounds."""

    per_s: float
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One side at one rate, over all rounds: medians, except where it says sum."""

    side: str
    rate: float
    #: The capacity that was found for the side, calls per second; None: it was not asked for.
    capacity: float | None
    in_time_per_s: float
    #: In time over offered.
    share: float
    #: By status: how many per second, and how soon.
    answers: Mapping[str, Answers]
    #: OK answers after the deadline, by the caller's clock: the sum, and the worst of them.
    late: int
    latest_ms: float
    #: Calls without an answer of the server, whatever the reason: the sum.
    unanswered: int
    lag_p99_ms: float | None
    server_cores: Mapping[str, float]
    generator_cores: float
    other_cores: float

    @property
    def of_capacity(self) -> float | None:
        """Goodput over the side's capacity."""
        return self.in_time_per_s / self.capacity if self.capacity else None


def _with_status(reports: Sequence[Report], status: str) -> Answers:
    found = [report.answers.get(status) for report in reports]
    return Answers(
        per_s=median(
            answers.count / report.elapsed_s if answers else 0.0
            for answers, report in zip(found, reports, strict=True)
        ),
        p50_ms=known_median([answers.p50_ms if answers else None for answers in found]),
        p99_ms=known_median([answers.p99_ms if answers else None for answers in found]),
    )


def _answers(reports: Sequence[Report]) -> dict[str, Answers]:
    names = dict.fromkeys(name for report in reports for name in report.answers)
    return {name: _with_status(reports, name) for name in names}


def _unanswered(report: Report) -> int:
    return sum(each.count for name, each in report.answers.items() if name.startswith("client:"))


def _mean_cores(group: Sequence[Measurement]) -> dict[str, float]:
    names = dict.fromkeys(name for m in group for name in m.server_cores)
    return {name: sum(m.server_cores.get(name, 0.0) for m in group) / len(group) for name in names}


def _standing(group: Sequence[Measurement], found: float | None) -> Standing:
    reports = [m.report for m in group]
    late = [report.late_ok for report in reports if report.late_ok]
    return Standing(
        side=group[0].side,
        rate=group[0].rate,
        capacity=found,
        in_time_per_s=median(report.in_time_per_s for report in reports),
        share=median(report.share_in_time for report in reports),
        answers=_answers(reports),
        late=sum(each.count for each in late),
        latest_ms=max((each.max_ms for each in late), default=0.0),
        unanswered=sum(_unanswered(report) for report in reports),
        lag_p99_ms=known_median([report.send_lag.p99_ms for report in reports if report.send_lag]),
        server_cores=_mean_cores(group),
        generator_cores=median(report.generator_cores for report in reports),
        other_cores=median(m.other_cores for m in group),
    )


def standings(measurements: Sequence[Measurement], found: Mapping[str, float]) -> list[Standing]:
    """Return the medians of every side at every rate, in the order in which they were offered."""
    groups: dict[tuple[str, float], list[Measurement]] = {}
    for m in measurements:
        groups.setdefault((m.side, m.rate), []).append(m)
    return [_standing(group, found.get(side)) for (side, _rate), group in groups.items()]


def faults(measurements: Sequence[Measurement]) -> list[str]:
    """Return the faults of all measurements, each with its place."""
    return [
        f"{m.side}, round {m.round + 1}, {m.rate:.0f}/s: {fault}"
        for m in measurements
        for fault in m.report.faults
    ]
