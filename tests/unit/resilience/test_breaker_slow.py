"""What is slow, where nobody has said so: learnt from what was usual."""

import math
import re

import pytest

from inferd.resilience.breaker import State
from inferd.resilience.outcome import Outcome
from support.breakers import Driven

MS = 1e-3


class Learning(Driven):
    def __init__(self) -> None:
        super().__init__(slow_ms=0.0)

    @property
    def slow_ms(self) -> float:
        return self.breaker.slow_s / MS

    def take(self, *times_ms: float, outcome: Outcome = Outcome.SUCCESS) -> None:
        """Make calls that take so long, a thousand a second."""
        for ms in times_ms:
            self.now += MS
            permit = self.breaker.admit(self.now)
            if permit:
                self.breaker.settle(permit, outcome, ms * MS, self.now)

    def take_until_open(self, ms: float) -> None:
        """Make calls that take so long, until no more are let pass."""
        while self.state() is not State.OPEN:
            assert self.now < 2000.0
            self.take(ms)


def learnt(ms: float = 1.0) -> Learning:
    it = Learning()
    it.take(*[ms] * 128)
    return it


def one_round(it: Learning, ms: float) -> State:
    """Wait until probes may pass, and let three pass that take so long."""
    it.now += it.breaker.retry_after(it.now)
    it.take(*[ms] * 3)
    return it.state()


def test_three_times_what_is_usual_is_slow() -> None:
    it = learnt(1.0)

    assert 3.0 <= it.slow_ms <= 3.0 * 1.05


def test_the_slowest_in_a_hundred_are_usual_and_rarer_ones_are_not() -> None:
    it = Learning()
    for _ in range(20):
        it.take(*[1.0] * 62, 2.0, 2.0)
    it.take(2.9, *[1.0] * 63)

    assert 6.0 <= it.slow_ms <= 6.0 * 1.05


def test_nothing_is_slow_before_a_hundred_good_calls_were_seen() -> None:
    it = Learning()

    it.take(*[1.0] * 50, *[10_000.0] * 50)

    assert it.slow_ms == math.inf
    assert it.breaker.counts(it.now).slow == 0


@pytest.mark.parametrize("outcome", [Outcome.FAILURE, Outcome.IGNORED])
def test_only_good_calls_say_what_is_usual(outcome: Outcome) -> None:
    it = Learning()
    for _ in range(300):
        it.take(1.0, 1.0)
        it.take(0.001, outcome=outcome)
    assert 3.0 <= it.slow_ms <= 3.0 * 1.05

    it = Learning()
    it.take(*[1.0] * 300, outcome=Outcome.IGNORED)
    assert it.slow_ms == math.inf


def test_what_was_slow_does_not_become_usual() -> None:
    it = learnt(1.0)
    before = it.slow_ms

    for _ in range(1000):
        it.take(50.0, 1.0)

    assert it.slow_ms == before
    assert it.state() is State.CLOSED, "half of them are slow"


def test_what_gets_slower_little_by_little_is_usual() -> None:
    it = learnt(1.0)

    for ms in (1.5, 2.0, 3.0, 4.0):
        it.take(*[ms] * 1000)

    assert 12.0 <= it.slow_ms <= 12.0 * 1.05
    assert it.state() is State.CLOSED


def test_it_opens_when_calls_are_much_slower_than_usual() -> None:
    it = learnt(1.0)

    it.take_until_open(100.0)

    assert re.fullmatch(r"\d+ of \d+ calls took longer than 3\.\d+ ms in 1\.25 s", it.why)


def test_an_incident_is_over_when_calls_are_as_fast_as_usual() -> None:
    it = learnt(1.0)
    before = it.slow_ms
    it.take_until_open(100.0)

    assert one_round(it, 1.0) is State.CLOSED

    assert it.slow_ms == before, "what is usual is still known"


def test_an_incident_may_have_a_few_rounds_without_what_is_usual_being_forgotten() -> None:
    it = learnt(1.0)
    before = it.slow_ms
    it.take_until_open(100.0)
    one_round(it, 100.0)
    one_round(it, 100.0)

    assert one_round(it, 1.0) is State.CLOSED

    assert it.slow_ms == before
    it.take_until_open(100.0)
    assert one_round(it, 4.0) is State.OPEN, "and there is no more patience than there was"


def test_what_stays_slow_but_does_not_fail_is_let_in_at_last() -> None:
    it = learnt(1.0)
    it.take_until_open(40.0)

    rounds = 1
    while one_round(it, 40.0) is State.OPEN:
        rounds += 1

    assert rounds == 5, "probes may take 3, 6, 12, 24 and then 48 ms"
    assert it.slow_ms == math.inf
    it.take(*[40.0] * 128)
    assert it.state() is State.CLOSED
    assert 120.0 <= it.slow_ms <= 120.0 * 1.05


def test_what_fails_is_not_given_more_time() -> None:
    it = learnt(1.0)
    before = it.slow_ms
    it.take_until_open(100.0)

    for _ in range(5):
        it.now += it.breaker.retry_after(it.now)
        it.take(100.0, 100.0, outcome=Outcome.FAILURE)

    assert one_round(it, 4.0) is State.OPEN
    assert it.slow_ms == before


def test_what_was_configured_to_be_slow_stays_slow() -> None:
    it = Driven.half_open()
    for _ in range(20):
        it.call("sss")
        assert it.state() is State.OPEN
        it.now += it.breaker.retry_after(it.now)

    assert it.breaker.slow_s == 0.1
