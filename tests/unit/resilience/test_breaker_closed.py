"""A closed breaker: all calls pass, and it opens when too many of the last were bad."""

from typing import Any

import pytest

from inferd.resilience.breaker import State
from inferd.resilience.window import Counts
from support.breakers import Driven

COUNT: dict[str, Any] = {"window": "count", "window_calls": 5}


@pytest.mark.parametrize(
    ("config", "calls"),
    [
        pytest.param({}, "S" * 50, id="all is well"),
        pytest.param({}, "FFF", id="too few calls to say anything"),
        pytest.param({}, "SSSF" * 20, id="a quarter fails"),
        pytest.param({}, "SSF" + "SSSF" * 5, id="always less than half"),
        pytest.param({}, "I" * 50, id="nothing was said about it"),
        pytest.param({}, "FFF" + "I" * 50, id="what says nothing adds nothing to the minimum"),
        pytest.param({}, "SFIISS", id="and nothing to the calls"),
        pytest.param({}, "sssSS", id="three in five are slow"),
        pytest.param({"failure_rate": 1.0}, "S" + "F" * 19, id="one was good"),
        pytest.param(
            {"failure_rate": 1.0, "consecutive_failures": 0}, "S" + "F" * 50, id="rates alone count"
        ),
        pytest.param(
            {"failure_rate": 1.0, "consecutive_failures": 5},
            "SFFFFSFFFFIS",
            id="never so many in a row",
        ),
        pytest.param({"slow_rate": 1.0}, "S" + "s" * 50, id="one was fast"),
        pytest.param(COUNT, "FFF", id="too few calls in a window of calls"),
        pytest.param(COUNT, "SSSFF" * 4, id="two in five failed, in a window of calls"),
        pytest.param(COUNT, "FSSS" + "FSSS", id="what the window has forgotten"),
    ],
)
def test_it_stays_closed(config: dict[str, Any], calls: str) -> None:
    it = Driven(**config)

    assert it.call(calls) == calls
    assert it.state() is State.CLOSED
    assert not it.breaker.transitions
    assert it.breaker.opened == 0
    assert it.breaker.retry_after(it.now) == 0


@pytest.mark.parametrize(
    ("config", "calls", "why"),
    [
        pytest.param({}, "FFFF", "4 of 4 calls failed in 1.25 s", id="all failed"),
        pytest.param({}, "SSFF", "2 of 4 calls failed in 1.25 s", id="as many as it takes"),
        pytest.param({}, "FFFS", "3 of 4 calls failed in 1.25 s", id="a good call completes them"),
        pytest.param(
            {}, "FFFIIS", "3 of 4 calls failed in 1.25 s", id="beside some that say nothing"
        ),
        pytest.param(
            {}, "SSSfff", "3 of 6 calls failed in 1.25 s", id="slow failures are failures"
        ),
        pytest.param(
            {},
            "Sssss",
            "4 of 5 calls took longer than 100 ms in 1.25 s",
            id="as many are slow as it takes",
        ),
        pytest.param(
            {},
            "sSSsssssss",
            "8 of 10 calls took longer than 100 ms in 1.25 s",
            id="slow among fast",
        ),
        pytest.param(
            {"failure_rate": 0.75},
            "fssf",
            "4 of 4 calls took longer than 100 ms in 1.25 s",
            id="slow failures are slow, too",
        ),
        pytest.param(
            {"consecutive_failures": 5},
            "S" * 100 + "FFIFfF",
            "5 calls in a row failed",
            id="in a row, however many good ones were before",
        ),
        pytest.param(
            {"failure_rate": 0.1, "minimum_calls": 30},
            "FFF" + "S" * 27,
            "3 of 30 calls failed in 1.25 s",
            id="a share that no float is exactly",
        ),
        pytest.param(COUNT, "SSSSFSFF", "3 of 5 calls failed", id="in a window of calls"),
        pytest.param(
            COUNT,
            "SSsSsss",
            "4 of 5 calls took longer than 100 ms",
            id="slow, in a window of calls",
        ),
        pytest.param(
            {**COUNT, "minimum_calls": 9}, "FFFFF", "5 of 5 calls failed", id="a window is enough"
        ),
    ],
)
def test_it_opens(config: dict[str, Any], calls: str, why: str) -> None:
    it = Driven(**config)

    assert it.call(calls) == calls
    assert it.state() is State.OPEN
    assert it.breaker.transitions[-1] == (it.now, State.CLOSED, State.OPEN, why)
    assert it.breaker.opened == 1


def test_failures_are_forgotten_with_the_window() -> None:
    it = Driven()
    it.call("FFF")

    it.now += 1.25
    assert it.breaker.counts(it.now) == (0, 0, 0)

    it.call("F")
    assert it.state() is State.CLOSED


def test_when_good_calls_are_forgotten_and_bad_are_not_it_opens() -> None:
    it = Driven()
    it.call("SSSS")
    it.now += 0.75
    it.call("FFF")
    it.now += 0.5

    it.call("S")

    assert it.state() is State.OPEN
    assert it.why == "3 of 4 calls failed in 1.25 s"


def test_a_window_of_calls_does_not_care_how_long_ago_they_were() -> None:
    it = Driven(**COUNT)
    it.call("FFF")

    it.now += 3600
    it.call("F")

    assert it.state() is State.OPEN


def test_a_call_that_takes_just_what_is_slow_is_not_slow() -> None:
    it = Driven(slow_ms=500)  # what slow calls take here

    it.call("s" * 20)

    assert it.breaker.counts(it.now) == (20, 0, 0)


def test_it_says_what_it_has_seen() -> None:
    it = Driven()
    it.call("SSSFIsSf")

    assert it.breaker.counts(it.now) == Counts(calls=7, failures=2, slow=2)
    assert repr(it.breaker) == "<Breaker closed, 7 calls>"


def test_one_client_that_asks_for_nonsense_does_not_shut_the_others_out() -> None:
    """Seed defect: a model that was not found counted as a failure of the models."""
    it = Driven()

    assert it.call("SI" + "I" * 1000 + "S") == "SI" + "I" * 1000 + "S"
    assert it.breaker.counts(it.now) == (2, 0, 0)
