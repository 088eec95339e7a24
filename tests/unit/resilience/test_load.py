import pytest

from inferd.call import Criticality
from inferd.resilience.load import FEELS, WINDOW_S, Demand


def at_a_rate(rate: float, seconds: float) -> tuple[Demand, float]:
    """Return the demand after so many seconds of calls, and when that was."""
    demand = Demand()
    for number in range(round(rate * seconds)):
        demand.arrived(number / rate)
    return demand, seconds - 1 / rate


@pytest.mark.parametrize("rate", [20.0, 1000.0])
def test_it_is_the_calls_per_second_of_late(rate: float) -> None:
    demand, now = at_a_rate(rate, 5.0)

    assert demand.rate(now) == pytest.approx(rate, rel=0.1)


def test_before_anybody_called_it_is_zero() -> None:
    assert Demand().rate(100.0) == 0.0


def test_a_call_on_its_own_is_no_demand() -> None:
    demand = Demand()

    assert demand.arrived(1.0) == 0.0
    assert demand.arrived(100.0) == pytest.approx(0.0)


def test_it_falls_when_nobody_calls() -> None:
    demand, now = at_a_rate(100.0, 5.0)

    assert demand.rate(now + WINDOW_S) == pytest.approx(demand.rate(now) / 2.718, rel=0.01)
    assert demand.rate(now + 100) == pytest.approx(0.0)


def test_a_step_is_seen_within_two_windows() -> None:
    demand, began = at_a_rate(100.0, 5.0)
    for number in range(1, 1000):
        demand.arrived(began + number / 1000)

    assert demand.rate(began + 1.0) > 800


def test_calls_that_can_be_spared_give_way_first() -> None:
    assert list(FEELS) == list(Criticality)
    assert sorted(FEELS.values()) == list(FEELS.values())
