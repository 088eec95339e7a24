import asyncio
import random
from collections.abc import Callable

import pytest

from inferd.resilience.alarms import EARLY_S, Alarms
from support.guards import now


class Sleeper:
    """Writes down when it was rung, and does one thing more then."""

    def __init__(self) -> None:
        self.rung: list[float] = []
        self.then: Callable[[], object] = int  # nothing

    def ring(self) -> None:
        self.rung.append(now())
        self.then()


@pytest.fixture
def sleepers() -> list[Sleeper]:
    return [Sleeper() for _ in range(200)]


def some_alarms() -> Alarms:
    return Alarms(asyncio.get_running_loop().time)


async def test_everybody_is_rung_once_up_to_a_millisecond_early_and_never_late(
    sleepers: list[Sleeper],
) -> None:
    alarms, dice = some_alarms(), random.Random(1)
    due = {sleeper: 1.0 + dice.random() / 10 for sleeper in sleepers}
    for sleeper, at in due.items():
        alarms.set(at, sleeper)

    await asyncio.sleep(2)

    for sleeper, at in due.items():
        (rung,) = sleeper.rung
        assert at - EARLY_S <= rung <= at
    assert not len(alarms)


async def test_who_has_left_is_not_rung(sleepers: list[Sleeper]) -> None:
    alarms = some_alarms()
    places = [alarms.set(1.0 + number / 1000, each) for number, each in enumerate(sleepers)]
    for place, each in zip(places[::2], sleepers[::2], strict=True):
        place.discard(each)
    assert len(alarms) == 100

    await asyncio.sleep(2)

    assert not any(each.rung for each in sleepers[::2])
    assert all(each.rung for each in sleepers[1::2])


async def test_an_earlier_alarm_does_not_wait_for_a_later_one() -> None:
    alarms, late, early = some_alarms(), Sleeper(), Sleeper()
    alarms.set(1.0, late)
    alarms.set(0.5, early)

    await asyncio.sleep(0.6)

    assert early.rung == [0.5]
    assert not late.rung


async def test_when_all_have_left_the_next_one_is_rung_in_time() -> None:
    alarms, one, other = some_alarms(), Sleeper(), Sleeper()
    alarms.set(0.1, one).discard(one)
    alarms.set(0.5, other)

    await asyncio.sleep(1)

    assert other.rung == [0.5]


async def test_an_alarm_in_the_past_rings_in_the_next_turn() -> None:
    await asyncio.sleep(1)
    alarms, it = some_alarms(), Sleeper()
    alarms.set(0.5, it)

    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert len(it.rung) == 1
    assert now() == 1.0


@pytest.mark.parametrize("again_at", [0.2, 0.5, 0.5004, 0.9])
async def test_who_is_rung_may_ask_to_be_rung_again(again_at: float) -> None:
    alarms, it = some_alarms(), Sleeper()

    def again() -> None:
        it.then = int
        alarms.set(again_at, it)

    it.then = again
    alarms.set(0.5, it)

    await asyncio.sleep(1)

    first, second = it.rung
    assert first == 0.5
    assert second == pytest.approx(max(0.5, again_at), abs=EARLY_S)
    assert not len(alarms)


async def test_thousands_wait_on_one_timer(sleepers: list[Sleeper]) -> None:
    alarms, loop = some_alarms(), asyncio.get_running_loop()
    asked: list[float] = []
    call_later = loop.call_later

    def counting(delay: float, *rest: object) -> object:
        asked.append(delay)
        return call_later(delay, *rest)  # type: ignore[arg-type]

    loop.call_later = counting  # type: ignore[method-assign,assignment]
    for number in range(5000):
        sleeper = sleepers[number % 200]
        alarms.set(1.0 + number / 1000, sleeper).discard(sleeper)

    assert asked == [1.0]
