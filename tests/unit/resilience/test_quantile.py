"""Live quantiles: exact to a bin, quick to follow, hard to fool."""

import math
import random

import pytest

from inferd.resilience.quantile import BATCH, HIGHEST_S, LOWEST_S, WIDTH, LiveQuantile

MS = 1e-3
#: Floats are not exact, and neither is the logarithm of a bin's edge.
EPSILON = 1e-9


def seen(*seconds: float, seed_s: float = 0.0) -> LiveQuantile:
    quantile = LiveQuantile(seed_s=seed_s)
    for each in seconds:
        quantile.observe(each)
    return quantile


def test_before_anything_was_seen_it_is_as_expected() -> None:
    quantile = LiveQuantile(seed_s=0.0123)

    assert quantile.at(0.5) == quantile.at(0.99) == 0.0123
    assert quantile.count == 0


def test_one_observation_does_not_change_what_was_expected() -> None:
    assert seen(10.0, seed_s=1 * MS).at(0.99) == 1 * MS


@pytest.mark.parametrize(
    ("calls", "q", "longer_than_seed"),
    [(32, 0.3, False), (32, 0.5, True), (64, 0.2, False), (64, 0.25, True)],
)
def test_the_expectation_is_worth_twenty_observations(
    calls: int, q: float, longer_than_seed: bool
) -> None:
    quantile = seen(*[10 * MS] * calls, seed_s=1 * MS)

    assert (quantile.at(q) >= 10 * MS) == longer_than_seed


def test_the_expectation_is_forgotten() -> None:
    quantile = seen(*[1 * MS] * 10_000, seed_s=1.0)

    assert quantile.at(0.999) <= 1 * MS * WIDTH


@pytest.mark.parametrize("seconds", [1.1e-6, 37e-6, 1 * MS, 12.5 * MS, 0.7, 42.0, 99.0])
def test_it_is_up_to_a_bin_too_long_and_never_too_short(seconds: float) -> None:
    quantile = seen(*[seconds] * 2048)

    for q in (0.1, 0.5, 0.9, 0.99):
        assert seconds * (1 - EPSILON) <= quantile.at(q) <= seconds * WIDTH * (1 + EPSILON)


@pytest.mark.parametrize("q", [0.5, 0.9, 0.95, 0.99])
def test_it_agrees_with_all_durations_in_order(q: float) -> None:
    draw = random.Random(7)
    durations = [draw.lognormvariate(math.log(5 * MS), 0.5) for _ in range(50_000)]
    exact = sorted(durations)[int(q * len(durations))]

    assert exact * 0.93 <= seen(*durations).at(q) <= exact * 1.13


@pytest.mark.parametrize(
    ("seconds", "least", "most"),
    [
        pytest.param(0.0, LOWEST_S, LOWEST_S * WIDTH, id="nothing"),
        pytest.param(1e-9, LOWEST_S, LOWEST_S * WIDTH, id="less than can be told"),
        pytest.param(-1.0, LOWEST_S, LOWEST_S * WIDTH, id="a clock that went back"),
        pytest.param(HIGHEST_S, HIGHEST_S, HIGHEST_S * WIDTH, id="the longest"),
        pytest.param(1e6, HIGHEST_S, HIGHEST_S * WIDTH, id="longer than can be told"),
        pytest.param(math.inf, HIGHEST_S, HIGHEST_S * WIDTH, id="for ever"),
    ],
)
def test_what_is_out_of_range_counts_as_its_end(seconds: float, least: float, most: float) -> None:
    quantile = seen(*[seconds] * 640, seed_s=seconds)

    assert least <= quantile.at(0.99) <= most


def test_it_tells_when_quantiles_have_changed() -> None:
    quantile = LiveQuantile(seed_s=0.0)

    changed = [quantile.observe(1 * MS) for _ in range(3 * BATCH)]

    assert [at + 1 for at, each in enumerate(changed) if each] == [BATCH, 2 * BATCH, 3 * BATCH]
    assert quantile.count == 3 * BATCH
    quantile.observe(1 * MS)
    assert quantile.count == 3 * BATCH + 1


def test_in_between_they_stay_the_same() -> None:
    quantile = seen(*[1 * MS] * 320)
    before = quantile.at(0.9)

    for _ in range(BATCH - 1):
        quantile.observe(1.0)
        assert quantile.at(0.9) == before


def test_it_follows_when_things_get_slower() -> None:
    quantile = seen(*[1 * MS] * 100_000)

    for _ in range(192):
        quantile.observe(5 * MS)

    assert quantile.at(0.9) >= 5 * MS
    assert quantile.at(0.5) <= 1 * MS * WIDTH, "but not half of them yet"
    for _ in range(1024):
        quantile.observe(5 * MS)
    assert quantile.at(0.5) >= 5 * MS


def test_it_follows_when_things_get_faster() -> None:
    quantile = seen(*[5 * MS] * 100_000)

    for _ in range(3520):
        quantile.observe(1 * MS)

    assert quantile.at(0.9) <= 1 * MS * WIDTH


def test_what_was_seen_before_a_thousand_others_counts_for_half() -> None:
    quantile = seen(*[1 * MS] * 100_000)

    for _ in range(992):
        quantile.observe(5 * MS)

    # Half of what counts is old, within the 8 observations that are missing to a thousand.
    assert quantile.at(0.49) <= 1 * MS * WIDTH
    assert quantile.at(0.52) >= 5 * MS


def test_a_few_slow_ones_do_not_move_it() -> None:
    quantile = seen(*([1 * MS] * 199 + [50.0]) * 50)

    assert quantile.at(0.99) <= 1 * MS * WIDTH
    assert quantile.at(0.9999) >= 50.0


def test_it_can_go_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights grow without end; they are scaled down before a float is full."""
    draw = random.Random(7)
    durations = [draw.expovariate(100.0) for _ in range(3200)]
    expected = [seen(*durations).at(q) for q in (0.1, 0.5, 0.9, 0.99)]

    monkeypatch.setattr("inferd.resilience.quantile._HEAVY", 1.5)
    scaled = seen(*durations)

    assert [scaled.at(q) for q in (0.1, 0.5, 0.9, 0.99)] == expected
    assert scaled._weight < 1.5
