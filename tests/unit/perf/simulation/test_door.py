"""When Envoy turns calls away, and that it is as the server has it."""

import pytest

from inferd.transport.envoy.shedding import Shedding
from inferd_perf.simulation.door import Door
from inferd_perf.simulation.loop import Loop

#: Share of the time that the loop worked, calls that ended, those without an answer.
SEEN = (
    (0.2, 100, 0),
    (0.9, 1000, 900),
    (0.6, 800, 500),
    (0.35, 500, 150),
    (0.31, 500, 50),
    (0.5, 400, 20),
    (0.1, 0, 0),
    (0.05, 10, 0),
    (0.99, 5000, 4990),
    (0.99, 5000, 4990),
)


def a_door(above_busy: float = 0.3) -> Door:
    return Door(above_busy, 1, Loop(), lambda: 0)


def test_it_decides_as_the_servers_own() -> None:
    door, shedding = a_door(), Shedding(0.3)

    for busy, ended, lost in SEEN:
        share = door.review(busy=busy, ended=ended, lost=lost)
        assert share == pytest.approx(shedding.share(busy=busy, ended=ended, lost=lost))


def test_an_idle_door_lets_everybody_in() -> None:
    door = a_door()

    assert not any(door.turns_away() for _ in range(2000))
