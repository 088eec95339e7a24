"""When an answer counts as slow, learnt from those that came before."""

import math
import random

import pytest

from inferd_client import HedgePolicy
from inferd_client._hedge import ENOUGH, WINDOW, Latency


def seen(*seconds: float) -> Latency:
    latency = Latency()
    for each in seconds:
        latency.answered(each)
    return latency


def test_nothing_is_slow_until_enough_was_seen() -> None:
    assert seen(*[0.01] * (ENOUGH - 1)).p95_s == math.inf
    assert seen(*[0.01] * ENOUGH).p95_s == 0.01


def test_nineteen_of_twenty_answers_are_not_slow() -> None:
    latency = seen(*(number / 1000 for number in range(1, WINDOW + 1)))

    assert latency.p95_s == pytest.approx(0.122)


def test_forgets_how_it_used_to_be() -> None:
    latency = seen(*[0.1] * WINDOW, *[0.01] * WINDOW)

    assert latency.p95_s == 0.01


def test_what_was_cut_short_below_it_says_nothing() -> None:
    latency = seen(*[0.1] * ENOUGH)

    for _ in range(WINDOW):
        latency.cut_short(0.01)

    assert latency.p95_s == 0.1


def test_hedging_does_not_make_the_slow_look_rare() -> None:
    # One in twenty-five takes a second. Their hedges answer, so nobody ever sees that second.
    numbers = random.Random(4)
    latency, hedged = Latency(), 0

    for _ in range(5000):
        takes_s = 1.0 if numbers.random() < 1 / 25 else numbers.uniform(0.01, 0.02)
        if takes_s > latency.p95_s:
            hedged += 1
            latency.cut_short(latency.p95_s + 0.01)
        else:
            latency.answered(takes_s)

    assert 0.019 <= latency.p95_s <= 0.04
    assert 0.04 <= hedged / 5000 <= 0.07, "one in twenty, slow or not"


@pytest.mark.parametrize(
    "wrong",
    [{"after_s": 0.0}, {"after_s": math.inf}, {"after_s": math.nan}, {"max_attempts": 0}],
)
def test_a_policy_that_makes_no_sense_names_the_key(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        HedgePolicy(**wrong)  # type: ignore[arg-type]
