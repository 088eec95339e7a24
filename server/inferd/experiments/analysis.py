"""What an experiment came to: each arm against the control, and whether that can be trusted.

The control is the first arm that is declared. The first question is not what the arms differ by but
whether they have the sizes that were declared: where they have not, something loses units of one
arm (a crash, a redirect, a log), those who are left are not alike, and no figure means anything.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from inferd.experiments import statistics
from inferd.experiments.analysis_records import Exposed, Score, Sums
from inferd.experiments.statistics import Comparison, Sample, Values

SAMPLE_RATIO_P = 0.001
"""Arms less probable than this do not have the sizes that were declared."""

Both = tuple[Sums, Sums]
"""What one unit did before it was in an arm, and since."""


class Wanted(NamedTuple):
    """What a report is to say."""

    alpha: float = 0.05
    ratios: Sequence[tuple[str, str]] = ()
    """Metrics over metrics, such as clicks for each impression."""


class Declared(NamedTuple):
    """What is known of an experiment besides its records."""

    weights: Mapping[str, float]
    """By arm, in the order of the file. Empty: not known, and sizes cannot be checked."""
    stopped_us: int | None = None
    """When the first of its arms was stopped by itself: from then on, sizes are no longer
    those declared."""


class ArmSize(NamedTuple):
    """One arm."""

    name: str
    units: int
    weight: float | None
    """The share that was declared. None: not known."""


class Metric(NamedTuple):
    """One thing that was measured."""

    name: str
    kind: str
    """`conversion` (units with any), `mean` (for each unit), `adjusted` (the same, by what was
    before), or `ratio`."""
    samples: Sequence[Sample]
    """By arm."""
    against: Sequence[Comparison | None]
    """By arm, but for the control."""


class Result(NamedTuple):
    """An experiment, in one revision."""

    experiment: str
    revision: int
    alpha: float
    arms: Sequence[ArmSize]
    moved: int
    """Units that were in two arms, and count in none."""
    sample_ratio_p: float | None
    """None: there is nothing to compare the sizes with."""
    metrics: Sequence[Metric]
    score: Score | None
    """Of interleaved rankings."""
    score_p: float | None

    @property
    def invalid(self) -> bool:
        """Whether the arms do not have the sizes that were declared."""
        return self.sample_ratio_p is not None and self.sample_ratio_p < SAMPLE_RATIO_P


def analysed(
    trial: Exposed,
    sums: Mapping[tuple[str, str], Both],
    declared: Declared,
    wanted: Wanted,
    *,
    score: Score | None = None,
) -> Result:
    """Return what an experiment came to; `sums` are those of its units."""
    seen = dict.fromkeys(use.arm for use in trial.counted.values())
    arms = list(declared.weights) + sorted(seen.keys() - declared.weights.keys())
    by_arm = _by_arm(trial, sums, arms)
    weights = [declared.weights.get(arm) for arm in arms]
    return Result(
        trial.experiment,
        trial.revision,
        wanted.alpha,
        [ArmSize(*each) for each in zip(arms, map(len, by_arm), weights, strict=True)],
        len(trial.moved),
        _sample_ratio(trial, declared),
        [
            Metric(name, kind, samples, _against(samples, wanted.alpha))
            for name, kind, samples in _measured(by_arm, wanted.ratios)
        ],
        score,
        None if score is None else _score_p(score),
    )


def _by_arm(
    trial: Exposed, sums: Mapping[tuple[str, str], Both], arms: Sequence[str]
) -> list[list[Both]]:
    found: dict[str, list[Both]] = {arm: [] for arm in arms}
    for who, use in trial.counted.items():
        found[use.arm].append(sums[who])
    return list(found.values())


def _measured(
    by_arm: Sequence[Sequence[Both]], ratios: Sequence[tuple[str, str]]
) -> list[tuple[str, str, list[Sample]]]:
    found = list[tuple[str, str, list[Sample]]]()
    units = [unit for arm in by_arm for unit in arm]
    before = {name for unit in units for name in unit[0]}
    names = sorted({name for unit in units for name in unit[1]})
    for name in names:
        after = [_values(arm, name) for arm in by_arm]
        happened = [np.array([name in unit[1] for unit in arm], float) for arm in by_arm]
        found.append((name, "conversion", [*map(statistics.mean, happened)]))
        found.append((name, "mean", [*map(statistics.mean, after)]))
        if name in before:
            earlier = [_values(arm, name, since=False) for arm in by_arm]
            found.append((name, "adjusted", statistics.adjusted(after, earlier)))
    for above, below in ratios:
        samples = [statistics.ratio(_values(arm, above), _values(arm, below)) for arm in by_arm]
        found.append((f"{above}/{below}", "ratio", samples))
    return found


def _values(arm: Sequence[Both], name: str, *, since: bool = True) -> Values:
    return np.array([unit[since].get(name, 0.0) for unit in arm], float)


def _against(samples: Sequence[Sample], alpha: float) -> list[Comparison | None]:
    return [statistics.compared(samples[0], each, alpha) for each in samples[1:]]


def _sample_ratio(trial: Exposed, declared: Declared) -> float | None:
    """Return how probable the sizes of the arms are, as long as all of them ran."""
    if len(declared.weights) < 2:
        return None
    units = dict.fromkeys(declared.weights, 0)
    for use in trial.counted.values():
        if use.arm in units and (declared.stopped_us is None or use.since_us < declared.stopped_us):
            units[use.arm] += 1
    return statistics.sample_ratio_p([*units.values()], [*declared.weights.values()])


def _score_p(score: Score) -> float:
    wins = sorted(score.wins.values(), reverse=True)
    return statistics.sign_p(wins[0], sum(wins[1:])) if wins else 1.0
