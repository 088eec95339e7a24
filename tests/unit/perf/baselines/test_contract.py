"""What every policy owes its driver, under calls at random: nobody is lost, doubled or mixed up.

The driver is a server in small: one instant after the other, in the order of the batcher.
"""

import heapq
import math
import random
from collections.abc import Callable, Hashable
from functools import partial

import pytest

from inferd.inference.scheduling import Discipline, Run, Ticket
from inferd_perf.simulation.baselines import BASELINES
from unit.perf.baselines.rules import MS, a_setting, takes_s

MAX_BATCH = 8
#: Rows per millisecond at full batches: 8 in 6 ms.
CAPACITY = MAX_BATCH / takes_s(MAX_BATCH) * MS
Event = tuple[float, int, Callable[[float], None]]


class Driver:
    """Offers tickets to a discipline, and keeps book of what becomes of them."""

    def __init__(self, discipline: Discipline, *, instances: int, seed: int) -> None:
        self._discipline = discipline
        self._instances = instances
        self._random = random.Random(seed)
        self._events: list[Event] = []
        self._count = 0
        self._wake_at = math.inf
        self.offered = 0
        self.waiting: set[Ticket] = set()
        self.ends: dict[Ticket, str] = {}
        self.batches: list[tuple[Ticket, ...]] = []

    def run(self, load: float, for_s: float, *, keys: tuple[Hashable, ...], rows: int) -> None:
        now, choose = 0.0, self._random
        while now < for_s:
            now += choose.expovariate(load * CAPACITY / MS * 2 / (rows + 1))
            ticket = Ticket(
                rows=choose.randint(1, rows),
                deadline=now + choose.choice((5, 10, 20, 40)) * MS,
                arrived=now,
                key=choose.choice(keys),
            )
            self._at(now, partial(self._arrive, ticket=ticket))
        for _ in range(40 * self._count + 1000):
            if not self._events:
                return
            now, _, act = heapq.heappop(self._events)
            act(now)
        pytest.fail("it never comes to an end")

    def _at(self, when: float, act: Callable[[float], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (when, self._count, act))

    def _arrive(self, now: float, ticket: Ticket) -> None:
        self.offered += 1
        drop = self._discipline.enter(now, ticket)
        if drop is not None:
            assert drop.ticket is ticket
            self._end(ticket, "refused")
        else:
            self.waiting.add(ticket)
            if self._random.random() < 0.2:
                patience_s = self._random.uniform(0, 30) * MS
                self._at(now + patience_s, lambda _: self._give_up(ticket))
        self._look(now)

    def _give_up(self, ticket: Ticket) -> None:
        waits = ticket in self.waiting
        assert self._discipline.cancel(ticket) is waits
        assert not self._discipline.cancel(ticket), "only once"
        if waits:
            self._end(ticket, "cancelled")

    def _look(self, now: float) -> None:
        for drop in self._discipline.given_up(now):
            self._end(drop.ticket, "dropped")
        while run := self._discipline.pick(now):
            self._start(now, run)
        while self._discipline.wake_at(now) <= now:  # who is dropped on picking
            drops = self._discipline.given_up(now)
            assert drops, "it wants to be looked at, and has nothing to show"
            for drop in drops:
                self._end(drop.ticket, "dropped")
        wake = self._discipline.wake_at(now)
        assert len(self._discipline) == len(self.waiting)
        if not self._discipline.running and self.waiting:
            assert wake < math.inf, "somebody waits, nobody runs, and nothing will happen"
        if wake < self._wake_at:
            self._wake_at = wake
            self._at(wake, self._ring)

    def _ring(self, now: float) -> None:
        if now >= self._wake_at:
            self._wake_at = math.inf
        self._look(now)

    def _start(self, now: float, run: Run) -> None:
        assert self._discipline.running <= self._instances
        assert run.rows == sum(ticket.rows for ticket in run.tickets) <= MAX_BATCH
        assert len({ticket.key for ticket in run.tickets}) == 1
        for ticket in run.tickets:
            self._end(ticket, "run")
        self.batches.append(run.tickets)
        took = takes_s(run.rows) * math.exp(0.1 * self._random.gauss(0, 1))
        learn = self._random.random() < 0.9
        self._at(now + took, lambda at: self._come_back(at, run, learn=learn))

    def _come_back(self, now: float, run: Run, *, learn: bool) -> None:
        self._discipline.finished(now, run, learn=learn)
        self._discipline.answered(0.1 * MS)
        self._look(now)

    def _end(self, ticket: Ticket, how: str) -> None:
        assert ticket not in self.ends, f"{how}, after it was {self.ends.get(ticket)}"
        assert how == "refused" or ticket in self.waiting
        self.waiting.discard(ticket)
        self.ends[ticket] = how


def a_driver(policy: str, *, instances: int = 1, seed: int = 1) -> Driver:
    setting = a_setting(5, 10, 20, 40, max_batch=MAX_BATCH, instances=instances, rate_per_s=1500.0)
    return Driver(BASELINES[policy](setting), instances=instances, seed=seed)


@pytest.mark.parametrize("policy", BASELINES)
@pytest.mark.parametrize("load", [0.4, 1.5])
def test_everybody_ends_exactly_once(policy: str, load: float) -> None:
    driver = a_driver(policy)

    driver.run(load, 0.15, keys=(None,), rows=1)

    assert len(driver.ends) == driver.offered > 50
    assert not driver.waiting
    assert "run" in driver.ends.values()


@pytest.mark.parametrize("policy", BASELINES)
def test_keys_and_sizes_and_instances_are_respected(policy: str) -> None:
    driver = a_driver(policy, instances=2, seed=2)

    driver.run(2.0, 0.15, keys=("wide", "narrow", None), rows=6)

    assert len(driver.ends) == driver.offered > 50
    assert not driver.waiting
    keys = {tickets[0].key for tickets in driver.batches}
    assert keys == {"wide", "narrow", None}, "no key starves"
    assert max(len(tickets) for tickets in driver.batches) > 1


@pytest.mark.parametrize("policy", BASELINES)
def test_without_load_everybody_is_run(policy: str) -> None:
    driver = a_driver(policy, seed=3)

    driver.run(0.05, 1.0, keys=(None,), rows=1)

    # 5 ms are little where a policy waits for company, or keeps something back.
    dropped = sum(how in ("dropped", "refused") for how in driver.ends.values())
    assert dropped <= 0.25 * driver.offered
