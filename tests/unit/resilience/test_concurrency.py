"""How many calls to a dependency are let in, tried on servers whose capacity is known."""

import heapq
import math
import random
from collections import deque
from collections.abc import Callable

import pytest

from inferd.config.resilience import Limit
from inferd.resilience.concurrency import (
    LEAST_SAMPLES,
    LEAST_TIMEOUTS,
    MOST_SAMPLES,
    ConcurrencyLimit,
)
from inferd.resilience.outcome import Outcome

REDIS_S, MODEL_S = 0.0002, 0.02


class SimulatedServer:
    """Takes a known number of calls at a time; others wait in line. Time is simulated."""

    def __init__(
        self,
        limit: ConcurrencyLimit,
        *,
        capacity: int,
        service_s: float,
        load: float,
        timeout_s: float = math.inf,
        spread: Callable[[random.Random], float] = lambda _: 1.0,
    ) -> None:
        self.limit = limit
        self.capacity = capacity
        self.service_s = service_s
        self.timeout_s = timeout_s
        #: Calls per second that come.
        self.rate = load * capacity / service_s
        self.now = 0.0
        self.answered = 0
        self._spread = spread
        self._random = random.Random(7)
        self._events: list[tuple[float, int, float | None]] = [(0.0, 0, None)]
        self._order = 0
        self._queue: deque[float] = deque()
        self._busy = 0

    def run(self, seconds: float) -> float:
        """Let time pass, and return the limit's average."""
        ends, area = self.now + seconds, 0.0
        while self._events[0][0] <= ends:
            at, _, began = heapq.heappop(self._events)
            area += (at - self.now) * self.limit.limit
            self.now = at
            if began is None:
                self._arrive()
            else:
                self._answer(began)
        area += (ends - self.now) * self.limit.limit
        self.now = ends
        return area / seconds

    def throughput(self, seconds: float) -> float:
        """Let time pass, and return the share of what can be answered that was."""
        before = self.answered
        self.run(seconds)
        return (self.answered - before) * self.service_s / self.capacity / seconds

    def _arrive(self) -> None:
        self._push(self._random.expovariate(self.rate), None)
        if self.limit.acquire():
            self._queue.append(self.now)
            self._start()

    def _answer(self, began: float) -> None:
        self._busy -= 1
        took_s = self.now - began
        in_time = took_s <= self.timeout_s
        self.answered += in_time
        self.limit.release(Outcome.SUCCESS if in_time else Outcome.FAILURE, took_s, self.now)
        self._start()

    def _start(self) -> None:
        while self._queue and self._busy < self.capacity:
            self._busy += 1
            began = self._queue.popleft()
            self._push(self.service_s * self._spread(self._random), began)

    def _push(self, after_s: float, began: float | None) -> None:
        self._order += 1
        heapq.heappush(self._events, (self.now + after_s, self._order, began))


def filled(limit: ConcurrencyLimit, weight_share: float = 1.0) -> int:
    """Let in as many calls as may come, and return how many are under way."""
    while limit.acquire(weight_share):
        pass
    return limit.in_flight


def answer(limit: ConcurrencyLimit, count: int, *, seconds: float, now: float = 0.0) -> None:
    for _ in range(count):
        limit.release(Outcome.SUCCESS, seconds, now)


def a_busy_round(limit: ConcurrencyLimit, *, seconds: float, now: float = 0.0) -> None:
    """Use all of the limit for long enough to be judged."""
    for _ in range(5):
        answer(limit, filled(limit), seconds=seconds, now=now)
    while limit.in_flight:
        answer(limit, 1, seconds=seconds, now=now)


def judged(limit: ConcurrencyLimit, *, seconds: float) -> float:
    """Use all of the limit until it is judged, and return what it is then."""
    enough = math.ceil(min(max(limit.limit, LEAST_SAMPLES), MOST_SAMPLES))
    for _ in range(limit.in_flight + enough):
        filled(limit)
        answer(limit, 1, seconds=seconds)
    return limit.limit


def timed_out(limit: ConcurrencyLimit, count: int = 1) -> None:
    for _ in range(count):
        limit.acquire()
        limit.release(Outcome.FAILURE, 1.0, now=0.0)


@pytest.mark.parametrize("service_s", [REDIS_S, MODEL_S])
@pytest.mark.parametrize("capacity", [4, 10, 50, 200])
def test_under_overload_it_finds_the_servers_capacity_within_a_factor_of_two(
    service_s: float, capacity: int
) -> None:
    server = SimulatedServer(
        ConcurrencyLimit(Limit()), capacity=capacity, service_s=service_s, load=2.0
    )
    server.run(150 * service_s)

    average = server.run(150 * service_s)

    assert capacity / 2 <= average <= capacity * 2
    assert server.throughput(150 * service_s) > 0.85


@pytest.mark.parametrize("capacity", [10, 50])
def test_it_finds_it_where_every_call_takes_its_own_time(capacity: int) -> None:
    server = SimulatedServer(
        ConcurrencyLimit(Limit()),
        capacity=capacity,
        service_s=MODEL_S,
        load=2.0,
        spread=lambda random: random.expovariate(1.0),
    )
    server.run(150 * MODEL_S)

    average = server.run(600 * MODEL_S)

    assert capacity / 2 <= average <= capacity * 2.5
    assert server.throughput(150 * MODEL_S) > 0.85


def test_a_server_that_has_become_slower_for_all_keeps_its_calls() -> None:
    server = SimulatedServer(ConcurrencyLimit(Limit()), capacity=10, service_s=REDIS_S, load=2.0)
    server.run(0.1)

    server.service_s *= 10

    assert server.run(0.5) >= 5
    assert server.throughput(0.5) > 0.85


def test_a_server_that_has_less_capacity_gets_fewer_calls() -> None:
    server = SimulatedServer(ConcurrencyLimit(Limit()), capacity=40, service_s=MODEL_S, load=2.0)
    server.run(4.0)

    server.capacity = 4
    server.run(4.0)

    assert server.run(4.0) <= 8


@pytest.mark.parametrize("service_s", [REDIS_S, MODEL_S])
def test_it_is_back_soon_after_a_stall(service_s: float) -> None:
    server = SimulatedServer(
        ConcurrencyLimit(Limit()),
        capacity=10,
        service_s=service_s,
        load=0.9,
        timeout_s=20 * service_s,
    )
    server.run(200 * service_s)
    server.service_s = 40 * service_s  # nothing is answered in time
    server.run(800 * service_s)
    assert server.limit.limit <= 4

    server.service_s = service_s
    server.run(100 * service_s)

    assert server.throughput(100 * service_s) > 0.75


def test_it_returns_in_leaps_to_where_nothing_waited() -> None:
    limit = ConcurrencyLimit(Limit(initial=128))
    timed_out(limit, 6 * LEAST_TIMEOUTS)
    assert limit.limit == 2

    assert max(judged(limit, seconds=0.01) for _ in range(9)) >= 128


def test_from_the_minimum_it_grows_without_a_trial() -> None:
    limit = ConcurrencyLimit(Limit(initial=2))

    assert judged(limit, seconds=0.01) > 2


def test_calls_that_half_as_many_make_faster_were_too_many_by_as_much() -> None:
    limit = ConcurrencyLimit(Limit(initial=16))

    assert judged(limit, seconds=0.016) == 8
    assert judged(limit, seconds=0.010) == pytest.approx(10)


def test_calls_that_half_as_many_do_not_make_faster_were_not_too_many() -> None:
    limit = ConcurrencyLimit(Limit(initial=16))

    assert judged(limit, seconds=0.016) == 8
    assert judged(limit, seconds=0.012) == 16
    assert judged(limit, seconds=0.016) == 20


def test_timeouts_during_a_trial_halve_what_was_before_it() -> None:
    limit = ConcurrencyLimit(Limit(initial=16))
    judged(limit, seconds=0.016)

    while limit.in_flight:
        limit.release(Outcome.FAILURE, 1.0, now=0.0)
    timed_out(limit, LEAST_TIMEOUTS)

    assert limit.limit == 8
    assert judged(limit, seconds=0.01) == 4, "the trial is over, and this is the next one"


def test_where_one_call_in_a_hundred_hangs_the_others_are_let_in() -> None:
    server = SimulatedServer(
        ConcurrencyLimit(Limit()),
        capacity=1000,
        service_s=0.001,
        load=0.001,
        timeout_s=0.5,
        spread=lambda dice: 1000.0 if dice.random() < 0.01 else 1.0,
    )

    server.run(60.0)

    assert server.limit.refused < 0.002 * server.answered


def test_at_the_maximum_it_tries_now_and_then_whether_fewer_are_enough() -> None:
    server = SimulatedServer(
        ConcurrencyLimit(Limit(maximum=40)), capacity=10, service_s=10 * MODEL_S, load=20.0
    )
    server.limit.fix(5)
    server.limit.fix(None)
    server.run(20.0)
    server.service_s = MODEL_S
    server.run(20.0)

    assert server.run(20.0) <= 20


def test_as_long_as_half_of_it_is_enough_it_stays_where_it_is() -> None:
    server = SimulatedServer(ConcurrencyLimit(Limit()), capacity=100, service_s=MODEL_S, load=0.01)

    server.run(100.0)

    assert server.limit.limit == 20
    assert server.limit.refused == 0


def test_where_nothing_waits_it_grows_to_the_maximum_and_no_further() -> None:
    limit = ConcurrencyLimit(Limit(maximum=30))

    for now in range(20):
        a_busy_round(limit, seconds=0.01, now=now * 0.001)

    assert limit.limit == 30


def test_timeouts_take_it_down_to_the_minimum_and_no_further() -> None:
    limit = ConcurrencyLimit(Limit(minimum=3))

    timed_out(limit, 100)

    assert limit.limit == 3


def test_timeouts_of_calls_that_were_under_way_together_count_once() -> None:
    limit = ConcurrencyLimit(Limit(initial=20))
    filled(limit)

    for _ in range(20):
        limit.release(Outcome.FAILURE, 1.0, now=0.0)

    assert limit.limit == 10


def test_failures_that_came_at_once_do_not_move_it() -> None:
    limit = ConcurrencyLimit(Limit())
    a_busy_round(limit, seconds=0.01)
    a_busy_round(limit, seconds=0.01)
    before = limit.limit

    for _ in range(100):
        limit.acquire()
        limit.release(Outcome.FAILURE, 0.001, now=0.0)

    assert limit.limit == before


def test_what_says_nothing_does_not_move_it() -> None:
    limit = ConcurrencyLimit(Limit())

    for _ in range(100):
        filled(limit)
        while limit.in_flight:
            limit.release(Outcome.IGNORED, 1.0, now=0.0)

    assert limit.limit == 20


def test_calls_that_take_no_time_at_all_do_no_harm() -> None:
    limit = ConcurrencyLimit(Limit(maximum=50))

    for now in range(40):
        a_busy_round(limit, seconds=0.0, now=float(now))

    assert 2 <= limit.limit <= 50


@pytest.mark.parametrize("mode", ["adaptive", "fixed"])
def test_calls_beyond_the_limit_are_refused_and_counted(mode: str) -> None:
    limit = ConcurrencyLimit(Limit.model_validate({"mode": mode, "initial": 5}))

    assert filled(limit) == 5
    assert limit.refused == 1


def test_a_fixed_limit_stays_where_it_is() -> None:
    limit = ConcurrencyLimit(Limit(mode="fixed", initial=5))

    for _ in range(10):
        a_busy_round(limit, seconds=0.01)
        limit.acquire()
        limit.release(Outcome.FAILURE, 10.0, now=0.0)

    assert limit.limit == 5


def test_without_a_limit_any_number_is_let_in_and_known() -> None:
    limit = ConcurrencyLimit(Limit(mode="off"))

    assert all(limit.acquire() for _ in range(5000))
    assert limit.in_flight == 5000


def test_who_may_fill_a_part_of_it_is_refused_while_others_are_let_in() -> None:
    limit = ConcurrencyLimit(Limit(mode="fixed", initial=10))

    assert filled(limit, 0.6) == 6
    assert filled(limit, 0.8) == 8
    assert filled(limit, 1.0) == 10


def test_one_call_is_let_in_however_small_its_share() -> None:
    limit = ConcurrencyLimit(Limit(mode="fixed", initial=2))

    assert filled(limit, 0.1) == 1


def test_it_can_be_fixed_by_hand_and_set_free_again() -> None:
    limit = ConcurrencyLimit(Limit())

    limit.fix(3)
    a_busy_round(limit, seconds=0.01)
    assert repr(limit) == "<ConcurrencyLimit 0/3.0 fixed>"

    limit.fix(None)
    assert repr(limit) == "<ConcurrencyLimit 0/20.0 adaptive>"
    for _ in range(4):
        a_busy_round(limit, seconds=0.01)
    assert limit.limit > 20


def test_it_says_how_it_is() -> None:
    limit = ConcurrencyLimit(Limit())
    limit.acquire()

    assert repr(limit) == "<ConcurrencyLimit 1/20.0 adaptive>"
