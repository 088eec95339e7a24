"""The search for the highest rate that holds."""

import pytest

from inferd_perf.capacity import Bounds


def searched(capacity: float, guess: float, tolerance: float = 0.02) -> tuple[float, list[float]]:
    bounds, tried = Bounds(), []
    while (rate := bounds.next_rate(guess, tolerance)) is not None:
        tried.append(rate)
        bounds = bounds.told(rate, holds=rate <= capacity)
    return bounds.held, tried


@pytest.mark.parametrize("guess", [10.0, 900.0, 1000.0, 5000.0, 100_000.0])
def test_the_capacity_is_found_from_any_guess(guess: float) -> None:
    found, tried = searched(1000.0, guess)

    assert 980.0 <= found <= 1000.0
    assert len(tried) < 25


def test_a_good_guess_is_found_in_few_rounds() -> None:
    assert len(searched(1000.0, 900.0, tolerance=0.05)[1]) <= 6


def test_a_server_that_holds_nothing_has_no_capacity() -> None:
    found, tried = searched(0.0, 1000.0)

    assert found == 0.0
    assert min(tried) >= 0.5


def test_a_later_round_is_believed_over_an_earlier_one() -> None:
    held = Bounds(held=1000.0, missed=1100.0)

    assert held.told(900.0, holds=False) == Bounds(held=0.0, missed=900.0)
    assert held.told(1200.0, holds=True) == Bounds(held=1200.0, missed=None)
