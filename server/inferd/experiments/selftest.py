"""Whether what is said of experiments can be believed: many experiments in which nothing differs.

Each run assigns simulated users by the very code that assigns real ones, with a seed of its own,
has them do something that no arm changes, and analyses that as a report would. A share `alpha` of
runs then finds a difference where there is none, for one look; looking many times, far more would
find one by the same test, and at most `alpha` by the always valid one. Arms of wrong sizes would
be found in one of a thousand.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from inferd.experiments import analysis
from inferd.experiments.analysis import Declared, Result, Wanted
from inferd.experiments.analysis_records import Exposed, Sums
from inferd.experiments.definitions import Asking, When
from inferd.experiments.experiments import Experiments
from inferd.experiments.plan import Unit

LOOKS = 8
"""At so many sizes, evenly spaced, the last of which is all units."""
SURFACE, METRIC, UNIT = "selftest", "click", "user_id"
MEAN = 1.0
"""Clicks of a unit. They are spread as those of users are: many have none, and a few have many."""
ARMS = "control", "treatment"


class Verdict(NamedTuple):
    """How often something was found that is not there, of `runs`."""

    runs: int
    alpha: float
    one_look: int
    """By the last look: `alpha` of them are to be expected."""
    any_look: int
    """By the test for one look, at any of them: the mistake that the other one is for."""
    always_valid: int
    """By the test that may be looked at at any time: at most `alpha`."""
    sample_ratio: int
    """Whose arms were said to have wrong sizes: 1 in 1,000."""

    @property
    def good(self) -> bool:
        """Whether that is as it should be; in one of a million self-tests chance says no."""
        expected = self.runs * self.alpha
        reach = 4.9 * math.sqrt(expected * (1 - self.alpha))
        ratio = self.runs * analysis.SAMPLE_RATIO_P
        return (
            abs(self.one_look - expected) <= reach + 1
            and self.always_valid <= expected + reach + 1
            and self.sample_ratio <= ratio + 4.9 * math.sqrt(ratio) + 3
        )


def simulated(
    runs: int,
    *,
    units: int = 800,
    alpha: float = 0.05,
    seed: int = 1,
) -> Verdict:
    """Return what that many experiments without any difference came to."""
    draw = np.random.default_rng(seed)
    one_look = any_look = always = ratio = 0
    for run in range(runs):
        looks = _looks(f"{seed}:{run}", units, alpha, draw)
        ps = [_ps(each) for each in looks]
        one_look += ps[-1][0] < alpha
        any_look += any(p < alpha for p, _ in ps)
        always += any(p < alpha for _, p in ps)
        ratio += looks[-1].invalid
    return Verdict(runs, alpha, one_look, any_look, always, ratio)


def _looks(seed: str, units: int, alpha: float, draw: np.random.Generator) -> list[Result]:
    """Return what one experiment looks like, at every look."""
    assign = Experiments(_text(seed), [Asking(SURFACE, (UNIT,), {})], _no_targeting)
    plan = assign.surfaces[SURFACE]
    trial, sums = Exposed(SURFACE, 1), dict[tuple[str, str], tuple[Sums, Sums]]()
    clicks, found = draw.poisson(draw.gamma(0.5, 2 * MEAN, units)), list[Result]()
    for number, count in enumerate(clicks.tolist(), 1):
        who = UNIT, f"user-{number}"
        unit: Unit = {UNIT: who[1]}
        (arm,) = plan.assign(unit, {}).arms
        trial.add(who, arm.arm, number)
        sums[who] = {}, {METRIC: float(count)} if count else {}
        if number * LOOKS % units < LOOKS:
            declared = Declared(dict.fromkeys(ARMS, 0.5))
            found.append(analysis.analysed(trial, sums, declared, Wanted(alpha)))
    return found


def _ps(result: Result) -> tuple[float, float]:
    """Return the p of the mean for one look, and for any."""
    (against,) = next(each.against for each in result.metrics if each.kind == "mean")
    assert against is not None, "both arms have units"
    return against.p, against.always_p


def _text(seed: str) -> str:
    arms = ", ".join(f"{{name: {each}}}" for each in ARMS)
    return (
        f"experiments: [{{name: aa, surface: {SURFACE}, state: running, unit: {UNIT},"
        f' seed: "{seed}", arms: [{arms}]}}]'
    )


def _no_targeting(_text: str, _attributes: Mapping[str, str]) -> When:
    raise ValueError("nobody is targeted here")
