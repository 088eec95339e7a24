"""How long a server had no core, and what of that a call felt."""

import os

import pytest

from support.chaos.starvation import Starvation, watching


def a_wait() -> Starvation:
    """Return one that was seen between 1.0 and 1.1, and took 50 ms."""
    starvation = Starvation()
    for now, waited_s in ((0.9, 7.0), (1.0, 7.0), (1.1, 7.05), (1.2, 7.05)):
        starvation.saw(now, waited_s)
    return starvation


def test_a_call_that_was_under_way_felt_the_wait() -> None:
    assert a_wait().between(0.95, 1.15) == pytest.approx(0.05)
    assert a_wait().between(1.04, 1.05) == pytest.approx(0.05)
    assert a_wait().most_s == pytest.approx(0.05)


def test_calls_before_and_after_did_not() -> None:
    assert a_wait().between(0.8, 0.95) == 0.0
    assert a_wait().between(1.15, 9.0) == 0.0


def test_where_nothing_was_seen_nobody_waited() -> None:
    assert Starvation().between(0.0, 9.0) == 0.0


def test_this_process_can_be_watched() -> None:
    with watching(os.getpid()) as starvation:
        pass
    assert starvation.most_s >= 0.0
