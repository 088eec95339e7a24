"""Turns of the simulated event loop."""

from inferd_perf.simulation.loop import Loop


def test_what_comes_up_in_a_turn_waits_for_the_next() -> None:
    loop, order = Loop(), list[str]()

    def first(_: None) -> None:
        order.append("first")
        loop.soon(order.append, "third")
        loop.work(10)

    loop.at(5, first)
    loop.at(5, order.append, "second")
    loop.at(7, order.append, "fourth")
    loop.run([], order.append)

    assert order == ["first", "second", "third", "fourth"]
    assert (loop.now, loop.busy_ns) == (15, 10)


def test_arrivals_come_in_their_time_and_before_events_of_the_same() -> None:
    loop, order = Loop(), list[object]()

    loop.at(5, order.append, "at 5")
    loop.at(6, order.append, "at 6")
    loop.run([5, 6, 8], order.append)

    assert order == [0, "at 5", 1, "at 6", 2]
    assert loop.now == 8


def test_a_busy_loop_is_late() -> None:
    loop, times = Loop(), list[int]()

    def arrive(_: int) -> None:
        loop.work(10)
        times.append(loop.now)

    loop.run([0, 1, 30], arrive)

    assert times == [10, 20, 40]
