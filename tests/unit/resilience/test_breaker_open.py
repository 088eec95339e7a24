"""An open breaker: nobody passes, for longer each time, and not in step with other servers."""

import pytest
from pydantic import ValidationError

from inferd.resilience.breaker import State
from support.breakers import Driven


@pytest.mark.parametrize(
    ("after_s", "made"),
    [
        pytest.param(0.0, "...", id="at once"),
        pytest.param(0.5, "...", id="after a while"),
        pytest.param(0.999, "...", id="just before the end"),
        pytest.param(1.0, "SSS", id="at the end"),
        pytest.param(100.0, "SSS", id="long after"),
    ],
)
def test_nobody_passes_before_its_time_is_over(after_s: float, made: str) -> None:
    it = Driven.opened()

    it.now += after_s

    assert it.call("SSS") == made


def test_it_says_when_a_probe_may_pass() -> None:
    it = Driven.opened()

    assert it.breaker.retry_after(it.now) == 1.0
    it.now += 0.75
    assert it.breaker.retry_after(it.now) == 0.25
    it.now += 0.75
    assert it.breaker.retry_after(it.now) == 0.0


def test_it_is_open_until_somebody_calls() -> None:
    it = Driven.opened()
    it.now += 100

    assert it.state() is State.OPEN
    it.begin()
    assert it.state() is State.HALF_OPEN


@pytest.mark.parametrize("letter", "SFsfI")
def test_what_comes_back_from_before_changes_nothing(letter: str) -> None:
    it = Driven()
    permits = [it.begin() for _ in range(20)]
    it.call("FFFF")

    for permit in permits:
        it.end(permit, letter)

    assert it.state() is State.OPEN
    assert it.breaker.opened == 1
    assert it.breaker.retry_after(it.now) == 1.0


def test_it_is_open_for_longer_each_time_that_probes_fail_up_to_a_limit() -> None:
    it = Driven.opened()
    waits = []

    for _ in range(6):
        waits.append(it.breaker.retry_after(it.now))
        it.now += waits[-1]
        it.call("FF")
        assert it.state() is State.OPEN

    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert it.breaker.opened == 7


def test_it_may_fail_for_days() -> None:
    it = Driven.opened(open_factor=10.0)

    for _ in range(2000):
        it.now += it.breaker.retry_after(it.now)
        it.call("FF")

    assert it.breaker.retry_after(it.now) == 8.0
    assert len(it.breaker.transitions) == 32


def test_once_it_has_closed_it_begins_with_the_shortest_time_again() -> None:
    it = Driven.half_open()
    it.call("FF")
    it.now += it.breaker.retry_after(it.now)
    it.call("SSS")
    assert it.state() is State.CLOSED

    it.call("FFFF")

    assert it.breaker.retry_after(it.now) == 1.0


def test_its_first_time_cannot_be_longer_than_its_longest() -> None:
    with pytest.raises(ValidationError, match="open_s must not be more than open_max_s"):
        Driven(open_s=8.5)


@pytest.mark.parametrize(("random", "wait_s"), [(0.0, 0.75), (0.5, 1.0), (1.0, 1.25)])
def test_its_time_is_spread(random: float, wait_s: float) -> None:
    it = Driven.opened(open_jitter=0.25, random=random)

    assert it.breaker.retry_after(it.now) == wait_s


def test_its_longest_time_is_spread_too() -> None:
    it = Driven.opened(open_jitter=0.25, random=1.0, open_max_s=1.0)
    it.now += 1.25
    it.call("FF")

    assert it.breaker.retry_after(it.now) == 1.25
