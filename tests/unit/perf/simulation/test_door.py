"""When Envoy turns calls away, in a simulation."""

from inferd_perf.simulation.door import TICK_NS, Door
from inferd_perf.simulation.loop import Loop

LOTS = 2000


def a_door(loop: Loop, above_busy: float = 0.3) -> Door:
    return Door(above_busy, 1, loop, lambda: 0)


def turned_away(door: Door) -> float:
    """Return the share of many calls that the door does not let in."""
    return sum(door.turns_away() for _ in range(LOTS)) / LOTS


def test_an_idle_door_lets_everybody_in() -> None:
    assert turned_away(a_door(Loop())) == 0.0


def test_a_door_to_a_busy_loop_that_refuses_most_turns_some_away() -> None:
    loop = Loop()
    door = a_door(loop)
    door.open()
    for number in range(100):
        door.note(lost=number < 60)

    def while_it_is_busy(_: int) -> None:
        loop.work(TICK_NS)

    loop.run([0], while_it_is_busy)

    # 40 of 100 were answered, and leave the loop a fifth to refuse with 50.
    assert 0.45 < turned_away(door) < 0.55
