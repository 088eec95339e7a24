"""A half-open breaker: a few probes pass, and decide. Here they are three."""

from typing import Any

import pytest

from inferd.resilience.breaker import State
from support.breakers import Driven


@pytest.mark.parametrize(
    ("config", "probes", "why"),
    [
        pytest.param({}, "SSS", "3 of 3 probes succeeded", id="all were good"),
        pytest.param({}, "SSF", "2 of 3 probes succeeded", id="the last failed"),
        pytest.param({}, "FSS", "2 of 3 probes succeeded", id="the first failed"),
        pytest.param({}, "ssS", "3 of 3 probes succeeded", id="two were slow"),
        pytest.param({}, "IIIIISSS", "3 of 3 probes succeeded", id="beside some that say nothing"),
        pytest.param({"probes": 1}, "S", "1 of 1 probes succeeded", id="a single one"),
        pytest.param({"failure_rate": 1.0}, "FFS", "1 of 3 probes succeeded", id="less than all"),
    ],
)
def test_it_closes_when_enough_probes_were_good(
    config: dict[str, Any], probes: str, why: str
) -> None:
    it = Driven.half_open(**config)

    assert it.call(probes[:-1]) == probes[:-1]
    last = it.begin()
    assert it.state() is State.HALF_OPEN
    it.end(last, probes[-1])

    assert it.state() is State.CLOSED
    assert it.breaker.transitions[-1] == (it.now, State.HALF_OPEN, State.CLOSED, why)
    assert it.breaker.opened == 1


@pytest.mark.parametrize(
    ("config", "probes", "why"),
    [
        pytest.param({}, "FF", "2 of 3 probes failed", id="it is decided after two"),
        pytest.param({}, "SFF", "2 of 3 probes failed", id="it is decided with the last"),
        pytest.param({}, "FIIF", "2 of 3 probes failed", id="beside some that say nothing"),
        pytest.param({"failure_rate": 0.25}, "F", "1 of 3 probes failed", id="one is too many"),
        pytest.param({}, "sss", "3 of 3 probes took longer than 100 ms", id="all were slow"),
        pytest.param(
            {"slow_rate": 0.5}, "ss", "2 of 3 probes took longer than 100 ms", id="slow after two"
        ),
        pytest.param({"probes": 1}, "F", "1 of 1 probes failed", id="a single one"),
    ],
)
def test_it_opens_as_soon_as_too_many_were_bad(
    config: dict[str, Any], probes: str, why: str
) -> None:
    it = Driven.half_open(**config)

    assert it.call(probes[:-1]) == probes[:-1]
    last = it.begin()
    assert it.state() is State.HALF_OPEN
    it.end(last, probes[-1])

    assert it.state() is State.OPEN
    assert it.breaker.transitions[-1] == (it.now, State.HALF_OPEN, State.OPEN, why)
    assert it.breaker.opened == 2
    assert it.breaker.retry_after(it.now) == 2.0


def test_no_more_probes_pass_than_are_allowed() -> None:
    it = Driven.half_open()

    permits = [it.begin() for _ in range(5)]

    assert [bool(permit) for permit in permits] == [True, True, True, False, False]
    assert it.breaker.transitions[-1][1:3] == (State.OPEN, State.HALF_OPEN)
    assert it.breaker.retry_after(it.now) == 1.0, "nobody knows: as long as the shortest time"


def test_while_probes_may_pass_callers_may_come_at_once() -> None:
    it = Driven.half_open()
    it.begin()

    assert it.breaker.retry_after(it.now) == 0


def test_a_probe_that_succeeds_lets_no_other_pass() -> None:
    it = Driven.half_open()
    permits = [it.begin() for _ in range(3)]

    it.end(permits[0], "S")

    assert not it.begin()


def test_for_a_probe_that_says_nothing_another_may_pass() -> None:
    it = Driven.half_open()
    permits = [it.begin() for _ in range(3)]

    it.end(permits[0], "I")

    assert [bool(it.begin()) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("letter", "SFsfI")
def test_what_comes_back_from_before_changes_nothing(letter: str) -> None:
    it = Driven()
    early = [it.begin() for _ in range(9)]
    it.call("FFFF")
    it.now += 1.0
    probes = [it.begin() for _ in range(3)]

    for permit in early:
        it.end(permit, letter)
    assert it.state() is State.HALF_OPEN
    assert not it.begin()

    for permit in probes:
        it.end(permit, "S")
    assert it.state() is State.CLOSED


@pytest.mark.parametrize("letter", "SFsfI")
def test_probes_of_an_earlier_round_change_nothing(letter: str) -> None:
    it = Driven.half_open()
    early = it.begin()
    it.call("FF")
    it.now += 2.0
    it.call("SS")
    assert it.state() is State.HALF_OPEN

    it.end(early, letter)

    assert it.state() is State.HALF_OPEN
    assert it.call("S") == "S"
    assert it.state() is State.CLOSED


def test_after_it_has_closed_what_was_before_is_forgotten() -> None:
    it = Driven.half_open()
    it.call("SSS")

    assert it.breaker.counts(it.now) == (0, 0, 0)
    assert it.call("FFFS") == "FFFS"
    assert it.state() is State.OPEN


def test_late_probes_do_not_count_for_the_closed_state() -> None:
    it = Driven.half_open(failure_rate=0.5)
    late = it.begin()
    it.end(late, "I")
    late = it.begin()
    it.call("SS")
    it.end(late, "S")
    assert it.state() is State.CLOSED

    it.end(late, "F")

    assert it.breaker.counts(it.now) == (0, 0, 0)


# -- no verdict -----------------------------------------------------------------------


def test_when_a_probe_hangs_it_opens_again() -> None:
    it = Driven.half_open()
    it.begin()
    it.call("SS")

    it.now += 1.999
    assert not it.begin()
    assert it.state() is State.HALF_OPEN
    it.now += 0.001
    assert not it.begin()

    assert it.state() is State.OPEN
    assert it.why == "1 of 3 probes had no answer after 2 s"
    assert it.breaker.retry_after(it.now) == 2.0


@pytest.mark.parametrize("letter", "SFsfI")
def test_a_probe_that_comes_back_too_late_hung(letter: str) -> None:
    it = Driven.half_open()
    hung = it.begin()
    it.call("SS")

    it.now += 2.0
    it.end(hung, letter)

    assert it.state() is State.OPEN
    assert it.why == "1 of 3 probes had no answer after 2 s"


def test_a_hung_probe_is_noticed_while_others_may_still_pass() -> None:
    it = Driven.half_open()
    it.begin()

    it.now += 2.0

    assert not it.begin()
    assert it.state() is State.OPEN


def test_probes_that_set_out_later_do_not_give_the_first_more_time() -> None:
    it = Driven.half_open()
    it.begin()
    it.now += 1.5
    it.begin()

    it.now += 0.5

    assert not it.begin()
    assert it.state() is State.OPEN


def test_while_nobody_calls_there_is_nothing_to_wait_for() -> None:
    """Otherwise a dependency that is seldom called would never be trusted again."""
    it = Driven.half_open()

    for _ in range(3):
        assert it.state() is not State.CLOSED
        assert it.call("S") == "S"
        it.now += 10

    assert it.state() is State.CLOSED
