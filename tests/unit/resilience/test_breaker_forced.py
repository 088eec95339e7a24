"""A breaker that an operator has forced, and one that is only to tell, or does nothing."""

from collections.abc import Callable

import pytest

from inferd.resilience.breaker import State
from support.breakers import Driven


def closed() -> Driven:
    it = Driven()
    it.call("SSSF")
    return it


def probing() -> Driven:
    it = Driven.half_open()
    it.call("S")
    return it


def forced(state: State) -> Callable[[], Driven]:
    def make() -> Driven:
        it = closed()
        it.breaker.force(state, it.now)
        return it

    return make


FROM = [
    pytest.param(closed, id="closed"),
    pytest.param(Driven.opened, id="open"),
    pytest.param(probing, id="half open"),
    pytest.param(forced(State.FORCED_OPEN), id="forced open"),
    pytest.param(forced(State.FORCED_CLOSED), id="forced closed"),
]


@pytest.mark.parametrize("make", FROM)
def test_forced_open_nobody_passes_ever(make: Callable[[], Driven]) -> None:
    it = make()
    it.breaker.force(State.FORCED_OPEN, it.now)

    for _ in range(3):
        assert it.call("SSS") == "..."
        assert it.breaker.retry_after(it.now) == 8.0
        it.now += 1000
    assert it.state() is State.FORCED_OPEN


@pytest.mark.parametrize("make", FROM)
def test_forced_closed_everybody_passes_always(make: Callable[[], Driven]) -> None:
    it = make()
    it.breaker.force(State.FORCED_CLOSED, it.now)

    for _ in range(3):
        assert it.call("FfFsFfIF") == "FfFsFfIF"
        assert it.breaker.retry_after(it.now) == 0
        it.now += 1000
    assert it.state() is State.FORCED_CLOSED


@pytest.mark.parametrize("state", [State.FORCED_OPEN, State.FORCED_CLOSED])
@pytest.mark.parametrize("make", FROM)
def test_let_go_it_begins_anew(make: Callable[[], Driven], state: State) -> None:
    it = make()
    it.breaker.force(state, it.now)

    it.breaker.force(None, it.now)

    assert it.breaker.transitions[-1][1:] == (state, State.CLOSED, "an operator let it go")
    assert it.breaker.counts(it.now) == (0, 0, 0)
    assert it.call("FFFSSS") == "FFFS.."
    assert it.breaker.retry_after(it.now) == 1.0


@pytest.mark.parametrize("make", FROM[:3])
def test_there_is_nothing_to_let_go_of_unless_it_was_forced(make: Callable[[], Driven]) -> None:
    it = make()
    before, transitions = it.state(), len(it.breaker.transitions)

    it.breaker.force(None, it.now)

    assert it.state() is before
    assert len(it.breaker.transitions) == transitions


def test_forced_twice_is_forced_once() -> None:
    it = closed()
    it.breaker.force(State.FORCED_OPEN, it.now)
    it.breaker.force(State.FORCED_OPEN, it.now)

    assert [each.why for each in it.breaker.transitions] == ["an operator forced it"]
    assert it.breaker.opened == 0, "not by itself"


@pytest.mark.parametrize("letter", "SFsfI")
@pytest.mark.parametrize("state", [State.FORCED_OPEN, State.FORCED_CLOSED])
def test_what_comes_back_from_before_it_was_forced_changes_nothing(
    state: State, letter: str
) -> None:
    it = closed()
    before = [it.begin() for _ in range(10)]
    it.breaker.force(state, it.now)
    during = [it.begin() for _ in range(10)]
    for permit in before:
        it.end(permit, letter)
    assert it.state() is state
    it.breaker.force(None, it.now)

    for permit in (permit for permit in before + during if permit):
        it.end(permit, letter)

    assert it.state() is State.CLOSED
    assert it.breaker.counts(it.now) == (0, 0, 0)


@pytest.mark.parametrize("state", [State.CLOSED, State.OPEN, State.HALF_OPEN])
def test_other_states_cannot_be_forced(state: State) -> None:
    it = closed()

    with pytest.raises(ValueError, match="state must be forced_open, forced_closed or none"):
        it.breaker.force(state, it.now)

    assert it.state() is State.CLOSED
    assert not it.breaker.transitions


# -- modes ----------------------------------------------------------------------------


def test_one_that_only_tells_what_it_would_do_lets_all_calls_pass() -> None:
    it = Driven(mode="metrics_only")

    assert it.call("FFFF" + "FFF") == "FFFFFFF"
    assert it.state() is State.OPEN
    assert it.breaker.retry_after(it.now) == 1.0

    it.now += 1.0
    probes = [it.begin() for _ in range(3)]
    assert it.state() is State.HALF_OPEN
    assert it.call("FFFFF") == "FFFFF", "beside the probes"
    assert it.state() is State.HALF_OPEN

    for permit in probes:
        it.end(permit, "S")
    assert it.state() is State.CLOSED


def test_one_that_only_tells_can_be_forced() -> None:
    it = Driven(mode="metrics_only")
    it.breaker.force(State.FORCED_OPEN, it.now)

    assert it.call("S") == "."


def test_one_that_is_off_sees_nothing() -> None:
    it = Driven(mode="off")

    assert it.call("F" * 100) == "F" * 100
    assert it.state() is State.CLOSED
    assert it.breaker.counts(it.now) == (0, 0, 0)


def test_one_that_is_off_can_be_forced_and_is_off_again() -> None:
    it = Driven(mode="off")
    it.breaker.force(State.FORCED_OPEN, it.now)
    assert it.call("S") == "."

    it.breaker.force(None, it.now)

    assert it.call("F" * 100) == "F" * 100
    assert it.state() is State.CLOSED
