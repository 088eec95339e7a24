"""Parts of the server that are broken on purpose: how, for whom, and until when."""

import asyncio
import math
import threading
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from inferd import errors
from inferd.call import Call
from inferd.config.faults import Faults, Reason, fault
from inferd.resilience.faults.injection import MIB, Injection
from inferd.resilience.faults.points import FaultPoint, FaultPoints

ENABLED = Faults(enabled=True)


def points(settings: Faults = ENABLED) -> FaultPoints:
    """Return points in the loop's time."""
    return FaultPoints(settings, asyncio.get_running_loop().time)


def inject(into: FaultPoints, place: str, kind: str, **parameters: Any) -> int:
    return into.inject(place, fault({"kind": kind, **parameters}))


def now() -> float:
    return asyncio.get_running_loop().time()


def call(brings: str) -> Call:
    return Call("/a.B/C", arrived=0.0, metadata={"x-fault": brings})


async def is_struck(point: FaultPoint) -> bool:
    try:
        if point.fault is not None:
            await point.before()
    except errors.FaultInjected:
        return True
    return False


async def test_nothing_is_wrong_at_first() -> None:
    assert points().point("redis").fault is None


async def test_a_latency_is_as_long_as_was_said() -> None:
    it = points()
    point = it.point("redis")
    inject(it, "redis", "latency", ms=200)

    await point.before()

    assert now() == 0.2


async def test_latencies_add_up() -> None:
    it = points()
    point = it.point("redis")
    inject(it, "redis", "latency", ms=200)
    inject(it, "*", "latency", ms=50)

    await point.before()

    assert now() == 0.25


async def test_a_latency_varies_by_its_jitter() -> None:
    it = points()
    point = it.point("redis")
    inject(it, "redis", "latency", ms=200, jitter_ms=100)
    took = []
    for _ in range(100):
        began = now()
        await point.before()
        took.append(now() - began)

    assert 0.1 <= min(took) < 0.12
    assert 0.28 < max(took) <= 0.3


async def test_an_error_is_a_fault_that_was_injected() -> None:
    it = points()
    point = it.point("redis")
    inject(it, "redis", "error")

    with pytest.raises(errors.FaultInjected, match="redis"):
        await point.before()


@pytest.mark.parametrize("reason", get_args(Reason))
async def test_an_error_can_have_any_reason_that_the_configuration_knows(reason: str) -> None:
    it = points()
    point = it.point("redis")
    inject(it, "redis", "error", reason=reason)

    with pytest.raises(errors.InferdError) as raised:
        await point.before()

    assert raised.value.reason == reason


async def test_who_is_dropped_waits_until_he_leaves_whatever_becomes_of_the_fault() -> None:
    it = points()
    point = it.point("redis")
    inject(it, "redis", "drop", for_s=1)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3600):
            await point.before()


async def test_who_hangs_goes_on_when_the_fault_is_cleared() -> None:
    it = points()
    point = it.point("redis")
    inject(it, "redis", "hang")
    asyncio.get_running_loop().call_later(5, it.clear)

    await point.before()

    assert now() == 5


async def test_who_hangs_goes_on_when_the_fault_is_over() -> None:
    it = points()
    point = it.point("redis")
    inject(it, "redis", "hang", for_s=7)

    await point.before()

    assert now() == 7


async def test_who_hangs_may_leave() -> None:
    it = points()
    point = it.point("redis")
    inject(it, "redis", "hang")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await point.before()


async def test_a_stall_is_of_the_thread_and_nobody_else_has_a_turn() -> None:
    ticks = iter(range(10_000))
    it = FaultPoints(ENABLED, lambda: next(ticks) / 1000)
    point = it.point("loop")
    inject(it, "loop", "cpu_stall", ms=50)
    others: list[int] = []
    asyncio.get_running_loop().call_soon(others.append, 1)

    before = next(ticks)
    await point.before()

    assert 50 <= next(ticks) - before < 60
    assert others == []


async def test_memory_is_left_behind_until_it_is_enough_and_freed_at_the_end() -> None:
    it = Injection(1, "a", fault({"kind": "memory_pressure", "mib": 10}), 0.0)

    for _ in range(10):
        it.hold(10)
    assert sum(map(len, it._memory)) == 10 * MIB

    it.end()
    assert it._memory == []


async def test_all_memory_together_is_bounded_by_the_configuration() -> None:
    it = points(Faults(enabled=True, max_memory_mib=10))
    point = it.point("a")
    inject(it, "a", "memory_pressure", mib=6)

    with pytest.raises(errors.InvalidRequest, match=r"10 MiB, not 12 \(faults.max_memory_mib\)"):
        inject(it, "a", "memory_pressure", mib=6)

    await point.before()
    assert it.listing()[0].struck == 1


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (1.5, "nan"),
        (b"\x00\xff", r"b'\xff\x00'"),
        ({"score": 0.5, "label": 3}, "{'score': nan, 'label': 3}"),
        ([b"\x0f", None], r"[b'\xf0', None]"),
        (({"a": 0.5},), "({'a': nan},)"),
    ],
)
async def test_an_answer_is_corrupted_where_it_can_be(value: object, wrong: str) -> None:
    it = points()
    point = it.point("a")
    inject(it, "a", "corrupt")

    assert repr(point.after(value)) == wrong


async def test_arrays_keep_their_shapes_and_types_and_lose_their_numbers() -> None:
    it = points()
    point = it.point("a")
    inject(it, "a", "corrupt")
    outputs: dict[str, NDArray[Any]] = {
        "score": np.ones((2, 3), np.float32),
        "label": np.ones(2, np.int64),
    }

    wrong = point.after(outputs)

    assert wrong["score"].shape == (2, 3)
    assert wrong["score"].dtype == np.float32
    assert np.isnan(wrong["score"]).all()
    assert (wrong["label"] == 1).all()
    assert (outputs["score"] == 1).all(), "it was somebody else's"


@pytest.mark.parametrize("value", [7, "text", b"", None, {"label": 3}, np.ones(2, np.int32)])
async def test_what_cannot_be_corrupted_is_lost(value: object) -> None:
    it = points()
    point = it.point("a")
    inject(it, "a", "corrupt")

    with pytest.raises(errors.FaultInjected):
        point.after(value)


async def test_corruption_is_of_answers_and_other_faults_are_not() -> None:
    it = points()
    point = it.point("a")
    number = inject(it, "a", "corrupt")
    await point.before()
    it.clear(number)
    inject(it, "a", "error")

    assert point.after(1.5) == 1.5


async def test_a_share_strikes_as_many() -> None:
    it = points()
    point = it.point("a")
    inject(it, "a", "error", share=0.25)

    struck = [await is_struck(point) for _ in range(1000)].count(True)

    assert 200 < struck < 300
    assert it.listing()[0].struck == struck


async def test_the_same_seed_strikes_the_same() -> None:
    async def struck(seed: int) -> list[bool]:
        it = points(Faults(enabled=True, seed=seed))
        point = it.point("a")
        inject(it, "a", "error", share=0.5)
        return [await is_struck(point) for _ in range(50)]

    assert await struck(1) == await struck(1)
    assert await struck(1) != await struck(2)


async def test_a_fault_ends_by_itself_and_then_costs_nothing() -> None:
    it = points()
    point = it.point("a")
    inject(it, "a", "error", for_s=2)
    assert await is_struck(point)

    await asyncio.sleep(2)

    assert point.fault is None
    assert it.listing() == []


async def test_a_flapping_fault_comes_and_goes() -> None:
    it = points()
    point = it.point("a")
    inject(it, "a", "error", flap_s=1, for_s=3.5)
    there = []
    for _ in range(10):
        await asyncio.sleep(0.499)
        there.append(await is_struck(point))

    assert there == [*[True] * 2, *[False] * 2, *[True] * 2, False, False, False, False]


async def test_who_hangs_goes_on_when_the_fault_takes_a_pause() -> None:
    it = points()
    point = it.point("a")
    inject(it, "a", "hang", flap_s=1)
    await point.before()
    assert now() == 1
    await asyncio.sleep(1.5)

    await point.before()

    assert now() == 3


async def test_one_fault_is_cleared_and_the_others_stay() -> None:
    it = points()
    point = it.point("a")
    slow, broken = inject(it, "a", "latency", ms=1000), inject(it, "a", "error")

    it.clear(slow)

    assert [each.number for each in it.listing()] == [broken]
    assert await is_struck(point)
    assert now() == 0


async def test_all_faults_are_cleared_and_none_comes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = points()
    point = it.point("a")
    inject(it, "a", "error", flap_s=1)
    inject(it, "a", "error", for_s=5)

    it.clear()
    await asyncio.sleep(10)

    assert point.fault is None
    assert it.listing() == []
    assert {each.levelname for each in caplog.records} == {"WARNING"}


async def test_what_is_not_there_cannot_be_cleared() -> None:
    with pytest.raises(errors.NotFound, match="there is no fault 7"):
        points().clear(7)


async def test_nothing_can_be_broken_unless_that_is_enabled() -> None:
    it = points(Faults())
    it.point("a")

    with pytest.raises(errors.Unavailable, match=r"faults\.enabled is false"):
        inject(it, "a", "error")


async def test_a_name_that_nothing_has_is_refused_with_those_that_there_are() -> None:
    it = points()
    it.point("redis")
    it.point("index")

    with pytest.raises(errors.NotFound, match=r"called rediss; there are index, redis"):
        inject(it, "rediss", "error")


@pytest.mark.parametrize(
    ("place", "struck"),
    [
        ("*", ["model.a#0", "model.a#1", "model.b#0", "redis"]),
        ("model.*", ["model.a#0", "model.a#1", "model.b#0"]),
        ("model.a", ["model.a#0", "model.a#1"]),
        ("model.a#1", ["model.a#1"]),
        ("model.a/2", ["model.a/2#0"]),
        ("model.a/*", ["model.a/2#0"]),
    ],
)
async def test_a_place_is_a_point_or_several(place: str, struck: list[str]) -> None:
    it = points()
    names = ["redis", "model.a#0", "model.a#1", "model.a/2#0", "model.b#0"]
    all_points = [it.point(each) for each in names]
    inject(it, place, "error")

    assert sorted(each.name for each in all_points if each.fault) == struck


async def test_a_point_that_comes_later_is_broken_like_the_others() -> None:
    it = points()
    it.point("model.a#0")
    inject(it, "model.*", "error")

    assert await is_struck(it.point("model.b#0"))


async def test_what_is_wrong_with_connections_is_no_fault_for_a_part() -> None:
    it = points()
    it.point("redis")

    with pytest.raises(
        errors.InvalidRequest, match="down is no fault for redis; there are latency"
    ):
        inject(it, "redis", "down")


async def test_the_listing_says_what_is_wrong_where_and_for_how_long() -> None:
    it = points()
    it.point("a")
    inject(it, "a", "latency", ms=20, for_s=10, flap_s=1)
    inject(it, "*", "error")
    await asyncio.sleep(1.5)

    (slow, broken) = it.listing()

    assert slow == (1, "a", "latency", {"ms": 20, "for_s": 10, "flap_s": 1}, 8.5, 0, False)
    assert broken == (2, "*", "error", {}, math.inf, 0, True)


async def test_a_thread_hangs_until_the_fault_is_cleared() -> None:
    it = points()
    point = it.point("model.a#0")
    inject(it, "model.a#0", "hang")
    thread = threading.Thread(target=point.before_on_thread, daemon=True)
    thread.start()
    thread.join(0.02)
    assert thread.is_alive()

    it.clear()

    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("kind", ["hang", "drop", "latency"])
async def test_a_thread_is_let_go_when_its_run_is_stopped(kind: str) -> None:
    it = points()
    point = it.point("model.a#0")
    inject(it, "model.a#0", kind, **({"ms": 3_600_000} if kind == "latency" else {}))
    stopped = threading.Event()
    thread = threading.Thread(target=point.before_on_thread, args=(stopped.is_set,), daemon=True)
    thread.start()

    stopped.set()

    thread.join(10)
    assert not thread.is_alive()


async def test_an_error_on_a_thread_is_raised_there() -> None:
    it = points()
    point = it.point("model.a#0")
    inject(it, "model.a#0", "error", reason="MODEL_FAILED")

    with pytest.raises(errors.ModelFailed):
        point.before_on_thread()


async def test_on_the_event_loops_thread_nothing_may_hang() -> None:
    it = points()
    point = it.point("model.a#0")
    inject(it, "model.a#0", "hang")

    with pytest.raises(errors.FaultInjected, match="event loop"):
        point.before_on_thread()


async def test_a_call_can_bring_faults_for_itself_and_for_nobody_else() -> None:
    it = points(Faults(enabled=True, by_metadata=True))
    redis, index = it.point("redis"), it.point("index")
    broken = call("redis=latency:200ms, redis=error:NOT_FOUND")

    assert redis.fault is not None
    with pytest.raises(errors.NotFound):
        await redis.before(broken)
    assert now() == 0.2
    await index.before(broken)
    await redis.before(Call("/a.B/C", arrived=0.0))
    assert now() == 0.2


async def test_a_call_can_have_its_answer_corrupted() -> None:
    it = points(Faults(enabled=True, by_metadata=True))

    assert math.isnan(it.point("a").after(1.5, call("a=corrupt")))


@pytest.mark.parametrize("settings", [Faults(by_metadata=True), ENABLED])
async def test_what_calls_bring_is_not_looked_at_unless_both_are_enabled(settings: Faults) -> None:
    point = points(settings).point("a")

    assert point.fault is None
    await point.before(call("a=error"))


async def test_what_many_calls_share_heeds_none_of_them() -> None:
    it = points(Faults(enabled=True, by_metadata=True))

    assert it.point("model.a#0").fault is None


@pytest.mark.parametrize(
    ("brings", "message"),
    [
        ("", "expected point=kind"),
        ("redis", "expected point=kind"),
        ("redis=", "expected point=kind"),
        ("redis=latency:200", "takes milliseconds, such as 200ms, got '200'"),
        ("redis=latency:-1ms", "takes milliseconds"),
        ("redis=latency:0ms", "greater than 0"),
        ("redis=latency", "Field required"),
        ("redis=cpu_stall:2000ms", "less than or equal to 1000"),
        ("redis=error:OOPS", "'FAULT_INJECTED'"),
        ("redis=hang:5ms", "hang takes no value"),
        ("redis=down", "'down' is no fault for a call; there are latency"),
        ("redis=memory_pressure:5", "no fault for a call"),
        ("nobody=error", "called nobody; there are redis"),
        ("redis=error,", "expected point=kind"),
    ],
)
async def test_what_a_call_brings_must_make_sense(brings: str, message: str) -> None:
    it = points(Faults(enabled=True, by_metadata=True))
    it.point("redis")

    with pytest.raises(errors.InvalidRequest, match=message) as raised:
        it.check(call(brings))

    assert [each.field for each in raised.value.violations] == ["metadata[x-fault]"]
