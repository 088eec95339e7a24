"""Whatever instances do, in whatever order: every caller hears once, in time, and right.

And when all is well again, as many instances serve as there were, on the cores that there were.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.errors import InferdError, ModelFailed
from inferd.inference.permits import CorePermits
from inferd.inference.request import Request
from support.instances import RUN_S, Thread, Version
from support.virtual_time import VirtualTimeLoop

POISON = 13.0
#: More than the longest pause, a build and a trial, for each instance.
RECOVERY_S = 10.0

Act = Callable[["World"], None]


class World:
    """A version, those who ask it, and what has been done to its threads."""

    def __init__(self, count: int, max_batch: int, cores: int) -> None:
        self.version = Version(count, max_batch=max_batch, permits=CorePermits(cores))
        self.asked: list[tuple[float, Request]] = []
        self.left: set[Request] = set()

    @property
    def threads(self) -> list[Thread]:
        return [*self.version.threads, *self.version.built]

    def ask(self, value: float, within_s: float) -> None:
        with contextlib.suppress(InferdError):  # refused, and that is an answer
            self.asked.append((value, self.version.ask(value, within_s=within_s)))

    def leave(self, which: int) -> None:
        _, request = self.asked[which % len(self.asked)]
        if not request.future.done():
            request.future.cancel()
            self.left.add(request)
            self.version.batcher.cancel(request)

    def heal(self) -> None:
        self.version.problem, self.version.successors_fail = "", False
        for thread in self.threads:
            thread.fails = thread.hangs = False
            thread.wake()


def acting(name: str, **fields: Any) -> Act:
    def act(world: World) -> None:
        match name:
            case "ask":
                world.ask(**fields)
            case "leave" if world.asked:
                world.leave(**fields)
            case "sick":
                thread = world.threads[fields["which"] % len(world.threads)]
                thread.fails, thread.hangs = fields["fails"], fields["hangs"]
            case "wake":
                world.threads[fields["which"] % len(world.threads)].wake()
            case "build":
                world.version.problem = fields["problem"]
                world.version.successors_fail = fields["fail"]

    return act


which = st.integers(0, 20)
acts = st.one_of(
    st.builds(
        acting,
        st.just("ask"),
        value=st.sampled_from([1.0, 2.0, POISON]),
        within_s=st.sampled_from([0.02, 0.05, 0.5, 5.0]),
    ),
    st.builds(acting, st.just("leave"), which=which),
    st.builds(acting, st.just("sick"), which=which, fails=st.booleans(), hangs=st.booleans()),
    st.builds(acting, st.just("wake"), which=which),
    st.builds(acting, st.just("build"), problem=st.sampled_from(["", "no"]), fail=st.booleans()),
)
pauses = st.sampled_from([0.0, 0.0, RUN_S / 2, RUN_S, 0.05, 0.2])


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(st.tuples(acts, pauses), max_size=60),
    count=st.integers(1, 3),
    max_batch=st.sampled_from([1, 4]),
    cores=st.integers(1, 3),
)
def test_every_caller_hears_once_and_all_is_well_in_the_end(
    steps: list[tuple[Act, float]], count: int, max_batch: int, cores: int
) -> None:
    async def live() -> None:
        world = World(count, max_batch, cores)
        for act, pause_s in steps:
            act(world)
            await asyncio.sleep(pause_s)
        world.heal()
        await asyncio.sleep(RECOVERY_S)
        for value, request in world.asked:
            check(value, request, left=request in world.left)
        assert world.version.statistics.instances == count
        assert all(each.in_service for each in world.version.instances.listing())
        again = [world.version.ask(float(at)) for at in range(3 * count)]
        answers = [float((await each.future)["y"][0]) for each in again]
        assert answers == [at + 1.0 for at in range(3 * count)]
        await world.version.batcher.drain()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(live())


def check(value: float, request: Request, *, left: bool) -> None:
    """Check what became of one who was let in."""
    future = request.future
    assert future.done()
    if left:
        assert future.cancelled()
    elif error := future.exception():
        assert isinstance(error, InferdError)
    else:
        assert value != POISON
        assert float(future.result()["y"][0]) == value + 1
        assert request.run_ended <= request.deadline


def test_a_model_that_fails_at_poison_keeps_its_instances() -> None:
    async def live() -> None:
        world = World(2, 4, 2)
        for at in range(200):
            world.ask(POISON if at % 7 else 1.0, 5.0)
            await asyncio.sleep(RUN_S / 5)
        await asyncio.sleep(1.0)
        failed = [each.future.exception() for value, each in world.asked if value == POISON]
        assert all(isinstance(error, ModelFailed) for error in failed)
        assert all(each.future.exception() is None for value, each in world.asked if value == 1.0)
        assert world.version.statistics.ejections == 0

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(live())
