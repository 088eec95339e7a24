"""What Envoy refuses before Python sees it: a pure decision, and the task that keeps making it."""

import asyncio

import pytest

from inferd.config import Log
from inferd.services.pipeline import Pipeline
from inferd.services.status import Code
from inferd.telemetry.rpc import RpcStatistics
from inferd.transport.envoy.shedding import CHOICE, MOST, TICK_S, Shedding, shedding

ANSWER_US, REFUSAL_US = 60.0, 30.0


def simulate(decision: Shedding, *, offered: float, capacity: float, seconds: float) -> list[float]:
    """Return the shares, look by look, of a loop that answers what it can and refuses the rest."""
    share, shares = 0.0, []
    for _ in range(round(seconds / TICK_S)):
        seen = offered * (1 - share)
        answered = min(seen, capacity)
        busy = min(1.0, (answered * ANSWER_US + (seen - answered) * REFUSAL_US) / 1e6)
        lost = round((seen - answered) * TICK_S)
        share = decision.share(busy=busy, ended=round(seen * TICK_S), lost=lost)
        shares.append(share)
    return shares


def test_nothing_is_shed_while_the_loop_has_time() -> None:
    shares = simulate(Shedding(0.5), offered=6_000, capacity=3_000, seconds=5)

    assert shares == [0.0] * len(shares)  # half of them are refused, by Python


def test_a_loop_that_is_busy_with_answers_is_left_alone() -> None:
    decision = Shedding(0.35)

    assert [decision.share(busy=0.9, ended=500, lost=0) for _ in range(10)] == [0.0] * 10


@pytest.mark.parametrize("offered", [12_000, 24_000, 100_000])
def test_in_overload_enough_is_shed_within_a_second(offered: float) -> None:
    shares = simulate(Shedding(0.35), offered=offered, capacity=3_000, seconds=5)

    settled = [offered * (1 - share) for share in shares[20:]]
    assert max(settled) * REFUSAL_US / 1e6 < 0.6
    # Never so much that the server would have nothing to do.
    assert min(settled) > 3_000


def test_python_keeps_a_choice() -> None:
    shares = simulate(Shedding(0.01), offered=12_000, capacity=3_000, seconds=10)

    seen = [12_000 * (1 - share) for share in shares[40:]]
    lost = [(each - 3_000) / each for each in seen]
    assert min(lost) > CHOICE / 2.5
    assert max(lost) < 2 * CHOICE


def test_it_ends_when_the_overload_does() -> None:
    decision = Shedding(0.35)
    assert simulate(decision, offered=50_000, capacity=3_000, seconds=2)[-1] > 0.8

    shares = simulate(decision, offered=1_000, capacity=3_000, seconds=3)

    assert shares[-1] == 0.0


def test_somebody_always_gets_through() -> None:
    decision = Shedding(0.1)

    shares = [decision.share(busy=1.0, ended=1000, lost=1000) for _ in range(50)]

    assert max(shares) == pytest.approx(MOST)


def test_a_silent_server_sheds_nothing() -> None:
    decision = Shedding(0.35)
    decision.share(busy=1.0, ended=1000, lost=900)

    shares = [decision.share(busy=0.0, ended=0, lost=0) for _ in range(20)]

    assert shares[-1] == 0.0


async def test_envoy_is_told_of_changes_and_at_the_end() -> None:
    pipeline = Pipeline(RpcStatistics([0.1]), Log(access=False))
    lost = pipeline.statistics.method("/a/B").of(Code.UNAVAILABLE.name)
    told: list[float] = []
    async with shedding(1e-9, pipeline, told.append):  # any work at all is too much
        await asyncio.sleep(1.5 * TICK_S)
        for _ in range(100):
            lost.observe(0.001)
        await asyncio.sleep(TICK_S)
        assert len(told) == 1
        assert told[0] > 0.2
        await asyncio.sleep(100 * TICK_S)  # nobody calls any more
        assert told[-1] == 0.0
        quiet = len(told)
        await asyncio.sleep(10 * TICK_S)
        assert len(told) == quiet

    assert told[-1] == 0.0
