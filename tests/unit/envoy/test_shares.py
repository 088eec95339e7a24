"""Which share of which calls Envoy should refuse before Python sees them."""

from collections.abc import Mapping
from itertools import pairwise

import pytest

from inferd.call import Criticality
from inferd.transport.envoy.shares import CHOICE, MOST, NOTHING, ORDER, Shares, Shedding
from inferd.transport.envoy.shedding import TICK_S

ANSWER_US, REFUSAL_US = 60.0, 30.0
CRITICAL_PLUS, CRITICAL, SHEDDABLE_PLUS, SHEDDABLE = Criticality

ALL_CRITICAL = {CRITICAL: 1.0}
#: Of what comes.
MIXED = {CRITICAL_PLUS: 0.1, CRITICAL: 0.4, SHEDDABLE_PLUS: 0.2, SHEDDABLE: 0.3}


def simulate(
    decision: Shedding,
    *,
    offered: float,
    capacity: float,
    seconds: float,
    mix: Mapping[Criticality, float] = ALL_CRITICAL,
) -> list[Shares]:
    """Return the shares, look by look, of a loop that answers what it can and refuses the rest."""
    shares, history = NOTHING, []
    for _ in range(round(seconds / TICK_S)):
        by_class = passing(offered, mix, shares)
        seen = sum(by_class.values())
        answered = min(seen, capacity)
        busy = min(1.0, (answered * ANSWER_US + (seen - answered) * REFUSAL_US) / 1e6)
        shares = decision.shares(
            busy=busy,
            ended=round(seen * TICK_S),
            lost=round((seen - answered) * TICK_S),
            named={each: round(calls * TICK_S) for each, calls in by_class.items()},
        )
        history.append(shares)
    return history


def passing(
    offered: float, mix: Mapping[Criticality, float], shares: Shares
) -> dict[Criticality, float]:
    return {each: offered * part * (1 - shares.get(each, 0.0)) for each, part in mix.items()}


def seen_in(offered: float, mix: Mapping[Criticality, float], history: list[Shares]) -> list[float]:
    return [sum(passing(offered, mix, shares).values()) for shares in history]


def test_nothing_is_shed_while_the_loop_has_time() -> None:
    history = simulate(Shedding(0.5), offered=6_000, capacity=3_000, seconds=5)

    assert history == [NOTHING] * len(history)  # half of them are refused, by Python


def test_a_loop_that_is_busy_with_answers_is_left_alone() -> None:
    decision = Shedding(0.35)

    for _ in range(10):
        assert decision.shares(busy=0.9, ended=500, lost=0, named={}) == NOTHING


@pytest.mark.parametrize("mix", [ALL_CRITICAL, {SHEDDABLE: 1.0}, MIXED])
@pytest.mark.parametrize("offered", [12_000, 24_000])
def test_in_overload_enough_is_shed_within_a_second(
    offered: float, mix: dict[Criticality, float]
) -> None:
    history = simulate(Shedding(0.35), offered=offered, capacity=3_000, seconds=5, mix=mix)

    settled = seen_in(offered, mix, history[20:])
    assert max(settled) * REFUSAL_US / 1e6 < 0.6
    # Never so much that the server would have nothing to do.
    assert min(settled) > 3_000


def test_much_more_than_can_be_taken_is_shed_as_well() -> None:
    history = simulate(Shedding(0.35), offered=100_000, capacity=3_000, seconds=5)

    settled = seen_in(100_000, ALL_CRITICAL, history[20:])
    assert 3_000 < min(settled) <= max(settled) < 20_000


def test_who_can_be_spared_gives_way_first() -> None:
    decision = Shedding(0.35)

    for offered in (6_000, 9_000, 12_000, 24_000, 48_000, 9_000, 3_000):
        history = simulate(decision, offered=offered, capacity=3_000, seconds=5, mix=MIXED)
        for shares in history:
            for first, then in pairwise(ORDER):
                if shares[then]:
                    assert shares[first] == pytest.approx(MOST), (offered, shares)


@pytest.mark.parametrize(
    ("offered", "untouched"),
    [(9_000, (SHEDDABLE_PLUS, CRITICAL)), (11_000, (CRITICAL,))],
)
def test_who_is_worth_more_is_left_alone_if_the_others_are_enough(
    offered: float, untouched: tuple[Criticality, ...]
) -> None:
    history = simulate(Shedding(0.35), offered=offered, capacity=5_000, seconds=10, mix=MIXED)

    for shares in history[100:]:
        assert shares[SHEDDABLE] > 0.5
        assert [shares[each] for each in untouched] == [0.0] * len(untouched)


def test_nobody_is_told_to_refuse_the_most_critical() -> None:
    only = {CRITICAL_PLUS: 1.0}

    history = simulate(Shedding(0.35), offered=50_000, capacity=3_000, seconds=2, mix=only)

    assert all(CRITICAL_PLUS not in shares for shares in history)


def test_classes_that_do_not_come_take_nothing_off_the_others() -> None:
    decision = Shedding(0.3)

    shares = decision.shares(busy=1.0, ended=1000, lost=600, named={})

    enough_to_choose_from = 400 / (1 - CHOICE)
    assert shares[CRITICAL] == pytest.approx(1 - enough_to_choose_from / 1000)


def test_python_keeps_a_choice() -> None:
    history = simulate(Shedding(0.01), offered=12_000, capacity=3_000, seconds=10, mix=MIXED)

    seen = seen_in(12_000, MIXED, history[40:])
    lost = [(each - 3_000) / each for each in seen]
    assert min(lost) > CHOICE / 2.5
    assert max(lost) < 2 * CHOICE


@pytest.mark.parametrize("mix", [ALL_CRITICAL, MIXED])
def test_it_ends_when_the_overload_does(mix: dict[Criticality, float]) -> None:
    decision = Shedding(0.35)
    before = simulate(decision, offered=50_000, capacity=3_000, seconds=2, mix=mix)
    assert before[-1][CRITICAL] > 0.8

    history = simulate(decision, offered=1_000, capacity=3_000, seconds=3, mix=mix)

    assert history[-1] == NOTHING


@pytest.mark.parametrize("named", [{}, dict.fromkeys(Criticality, 250)])
def test_somebody_always_gets_through(named: dict[Criticality, int]) -> None:
    decision = Shedding(0.1)

    history = [decision.shares(busy=1.0, ended=1000, lost=1000, named=named) for _ in range(500)]

    assert max(max(shares.values()) for shares in history) == pytest.approx(MOST)


def test_a_silent_server_sheds_nothing() -> None:
    decision = Shedding(0.35)
    for _ in range(20):
        decision.shares(busy=1.0, ended=1000, lost=900, named={SHEDDABLE: 500})

    for _ in range(40):
        shares = decision.shares(busy=0.0, ended=0, lost=0, named={})

    assert shares == NOTHING
