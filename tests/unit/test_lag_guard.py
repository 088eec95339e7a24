"""Lateness of the event loop, told from lateness of a message. The clock is moved by hand."""

import asyncio

from inferd.services.lag import FRESH_S, LagGuard

LIMIT_S = 0.005


class Fixture:
    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self.now = 100.0
        self.guard = LagGuard(limit_s, lambda: self.now)

    def late_s(self, *, waited_s: float) -> float:
        return round(self.guard.late_s(self.now - waited_s, self.now), 9)

    async def turn(self, seconds: float) -> None:
        """Let the loop turn once, which takes so long."""
        self.now += seconds
        await asyncio.sleep(0)


async def test_a_message_that_was_long_on_its_way_is_no_lateness_of_the_loop() -> None:
    it = Fixture()

    for _ in range(3):
        assert it.late_s(waited_s=0.5) == 0
        await it.turn(0.0001)


async def test_in_a_long_turn_those_at_its_end_are_late() -> None:
    it = Fixture()
    assert it.late_s(waited_s=0.0) == 0

    it.now += 0.02

    assert it.late_s(waited_s=0.02) == 0.02


async def test_after_a_long_turn_those_who_waited_meanwhile_are_late() -> None:
    it = Fixture()
    it.late_s(waited_s=0.0)
    await it.turn(0.02)

    assert it.late_s(waited_s=0.01) == 0.01
    assert it.late_s(waited_s=0.5) == 0.02, "as late as the loop, whatever its message took"
    assert it.late_s(waited_s=0.004) == 0, "it came when that was over"


async def test_when_turns_are_short_again_it_is_over() -> None:
    it = Fixture()
    it.late_s(waited_s=0.0)
    await it.turn(0.02)

    it.late_s(waited_s=0.0)
    await it.turn(0.001)

    assert it.late_s(waited_s=0.5) == 0


async def test_what_the_loop_was_like_is_soon_forgotten() -> None:
    it = Fixture()
    it.late_s(waited_s=0.0)
    await it.turn(0.02)

    it.now += FRESH_S + 0.001

    assert it.late_s(waited_s=0.5) == 0


async def test_a_wait_up_to_the_limit_is_none() -> None:
    it = Fixture(limit_s=0.0078125)
    it.late_s(waited_s=0.0)
    await it.turn(0.0078125)

    assert it.late_s(waited_s=0.0078125) == 0
    assert it.late_s(waited_s=0.5) == 0


async def test_without_a_limit_nobody_is_late_and_the_loop_is_not_asked() -> None:
    it = Fixture(limit_s=0.0)
    it.late_s(waited_s=0.0)
    await it.turn(10.0)

    assert it.late_s(waited_s=10.0) == 0
