"""Events in, results out: in order for each user, many users at once, and none lost."""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest

from inferd.cache.streams import Record
from inferd.errors import DependencyFailed, Expired
from inferd.streaming.memory import MemorySink
from support.streams import ROUTE, FakePredictor, Streaming, body, delivery, settings


class Fragile(MemorySink):
    """A sink that is down while it is said to be."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.asked = 0

    async def publish(self, records: Sequence[Record]) -> Sequence[bool]:
        self.asked += 1
        if self.down:
            raise DependencyFailed("down")
        return await super().publish(records)


def taking(seconds: Any) -> FakePredictor:
    async def answer(row: list[float]) -> float:
        await asyncio.sleep(seconds(row[0]) if callable(seconds) else seconds)
        return row[0]

    return FakePredictor(answer)


async def test_ten_thousand_events_have_ten_thousand_results_in_each_users_order() -> None:
    bodies = [body(f"e{n}", f"u{n % 37}", amount=n) for n in range(10_000)]
    it = Streaming(settings(), *bodies, predictor=taking(lambda n: 0.001 * (n * 7919 % 13)))

    await it.run()

    assert sorted(it.ids) == sorted(f"e{n}" for n in range(10_000))
    by_user: dict[str, list[float]] = defaultdict(list)
    for each in it.published:
        by_user[each["user_id"]].append(each["prediction"])
    assert len(by_user) == 37
    assert all(each == sorted(each) for each in by_user.values())
    assert it.source.unacknowledged == {}


async def test_users_do_not_wait_for_each_other() -> None:
    bodies = [body(f"e{n}", f"u{n}") for n in range(100)]
    it = Streaming(settings(), *bodies, predictor=taking(0.03))

    await it.run()

    assert asyncio.get_running_loop().time() == pytest.approx(0.03)


async def test_events_of_one_user_do() -> None:
    bodies = [body(f"e{n}", "u") for n in range(100)]
    it = Streaming(settings(), *bodies, predictor=taking(0.03))

    await it.run()

    assert asyncio.get_running_loop().time() == pytest.approx(3.0)


async def test_events_of_nobody_wait_for_nobody() -> None:
    bodies = [body(f"e{n}") for n in range(100)]
    it = Streaming(settings(), *bodies, predictor=taking(0.03))

    await it.run()

    assert asyncio.get_running_loop().time() == pytest.approx(0.03)


async def test_no_more_is_read_than_may_be_in_hand() -> None:
    most = 0

    async def answer(row: list[float]) -> float:
        nonlocal most
        most = max(most, it.statistics.in_hand)
        await asyncio.sleep(0.01)
        return row[0]

    bodies = [body(f"e{n}", f"u{n}") for n in range(200)]
    told = settings(max_in_hand=20, batch=8)
    it = Streaming(told, *bodies, predictor=FakePredictor(answer))

    await it.run()

    assert len(it.ids) == 200
    assert 12 < most <= 20


async def test_an_id_that_comes_twice_has_one_result() -> None:
    it = Streaming(settings(), *[body("e", "u", amount=n) for n in range(3)])

    await it.run()

    assert [each["prediction"] for each in it.published] == [0.0]
    assert it.statistics.duplicates == 2
    assert it.source.unacknowledged == {}


async def test_poison_stops_nobody() -> None:
    good = [body(f"e{n}", f"u{n % 3}") for n in range(50)]
    bad = [b"{", body("x", type="unheard"), body("y", amount="z"), b"\xff"]
    mixed = [each for n, one in enumerate(good) for each in (one, bad[n % 4])]
    it = Streaming(settings(), *mixed)

    await it.run()

    assert len(it.ids) == 50
    assert len(it.buried) == 50
    assert {each["stage"] for each in it.buried} == {"decode", "route", "features"}
    assert it.source.unacknowledged == {}


async def test_a_slow_model_costs_only_its_own_events() -> None:
    async def answer(row: list[float]) -> float:
        if row[0] < 0:  # as a batcher does at the deadline, for a model that takes 80 ms
            await asyncio.sleep(0.05)
            raise Expired("late")
        return row[0]

    routes = {"buy": ROUTE, "slow": ROUTE | {"fallback": 0.0}}
    bodies = [
        body(f"{type}{n}", f"u{type}{n % 10}", type=type, amount=-1 if type == "slow" else n)
        for n in range(40)
        for type in ("buy", "slow")
    ]
    it = Streaming(settings(routes=routes), *bodies, predictor=FakePredictor(answer))

    await it.run()

    by_type: dict[str, list[Any]] = defaultdict(list)
    for each in it.published:
        by_type[each["event_type"]].append(each)
    assert {each["status"] for each in by_type["buy"]} == {"ok"}
    assert max(each["latency_ms"] for each in by_type["buy"]) < 1
    assert {each["status"] for each in by_type["slow"]} == {"timeout"}
    assert [each["stage"] for each in it.buried] == ["predict"] * 40


async def test_while_a_sink_is_down_nothing_is_read_and_nothing_is_lost() -> None:
    results = Fragile()
    it = Streaming(settings(batch=10), ends=False, results=results)
    running = asyncio.create_task(it.run())
    results.down = True
    it.source.put(*[body(f"e{n}", "u") for n in range(5)])
    await asyncio.sleep(1)
    it.source.put(*[body(f"e{n}", "u") for n in range(5, 300)])
    await asyncio.sleep(5)

    assert it.statistics.in_hand <= 20
    assert len(it.source.unacknowledged) == it.statistics.in_hand
    assert results.asked < 30

    results.down = False
    it.source.end()
    await running
    assert it.ids == [f"e{n}" for n in range(300)]
    assert it.statistics.failures["results"] > 3


async def test_a_pause_lets_what_is_in_hand_finish_and_reads_nothing() -> None:
    it = Streaming(settings(), body("e1"), ends=False)
    running = asyncio.create_task(it.run())
    await asyncio.sleep(0.5)
    it.pipeline.pause()
    await asyncio.sleep(0.5)  # a reader that waits already may still be given something
    it.source.put(body("e2"))
    await asyncio.sleep(10)
    assert it.ids == ["e1"]

    it.pipeline.resume()
    await asyncio.sleep(0.5)
    assert it.ids == ["e1", "e2"]

    it.pipeline.stop()
    await running


async def test_who_is_told_to_stop_finishes_what_is_in_hand() -> None:
    it = Streaming(settings(), ends=False, predictor=taking(0.04))
    running = asyncio.create_task(it.run())
    it.source.put(*[body(f"e{n}", "u") for n in range(10)])
    await asyncio.sleep(0.01)

    it.pipeline.stop()
    await running

    assert len(it.ids) == 10
    assert it.source.unacknowledged == {}


async def test_what_cannot_be_finished_in_time_is_left_to_come_again() -> None:
    results = Fragile()
    results.down = True
    it = Streaming(settings(drain_s=3), body("e1"), body("e2"), results=results)

    await it.run()

    assert asyncio.get_running_loop().time() == pytest.approx(3.0)
    assert len(it.source.unacknowledged) == 2


async def test_a_source_that_fails_is_asked_again() -> None:
    it = Streaming(settings(), body("e1"))
    read, failures = it.source.read, 3

    async def fragile(most: int) -> Any:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise DependencyFailed("gone")
        return await read(most)

    it.source.read = fragile  # type: ignore[method-assign]
    await it.run()

    assert it.ids == ["e1"]
    assert it.statistics.failures["source"] == 3


async def test_what_was_published_is_acknowledged_again_where_that_failed() -> None:
    it = Streaming(settings(), body("e1"))
    ack, failures = it.source.ack, 2

    async def fragile(positions: Sequence[str]) -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise DependencyFailed("gone")
        await ack(positions)

    it.source.ack = fragile  # type: ignore[method-assign]
    await it.run()

    assert it.source.unacknowledged == {}
    assert it.ids == ["e1"]


async def test_while_nothing_can_be_acknowledged_nothing_is_read() -> None:
    bodies = [body(f"e{n}", "u") for n in range(300)]
    it = Streaming(settings(batch=10, max_in_hand=20), *bodies)
    ack, gone = it.source.ack, True

    async def fragile(positions: Sequence[str]) -> None:
        if gone:
            raise DependencyFailed("gone")
        await ack(positions)

    it.source.ack = fragile  # type: ignore[method-assign]
    running = asyncio.create_task(it.run())
    await asyncio.sleep(60)
    assert len(it.source.unacknowledged) <= 40

    gone = False
    await running
    assert it.source.unacknowledged == {}
    assert it.ids == [f"e{n}" for n in range(300)]


async def test_what_is_in_hand_for_long_is_kept_from_others() -> None:
    results = Fragile()
    results.down = True
    told = settings(source={"claim_idle_s": 3})
    it = Streaming(told, body("e1"), ends=False, results=results)
    kept = list[float]()

    async def keep() -> None:
        kept.append(asyncio.get_running_loop().time())
        if len(kept) == 2:
            raise DependencyFailed("gone")

    it.source.keep = keep  # type: ignore[method-assign]
    running = asyncio.create_task(it.run())
    await asyncio.sleep(5.5)

    assert kept == [1, 2, 3, 4, 5]
    results.down = False
    it.pipeline.stop()
    await running


async def test_what_may_have_killed_those_who_had_it_is_handled_alone() -> None:
    it = Streaming(settings(), ends=False, predictor=taking(0.03))
    waiting = [
        [delivery(body("new", "u1"), position="1")],
        [delivery(body("suspect", "u2"), position="2", delivered=3)],
        [delivery(body("next", "u3"), position="3")],
    ]
    read_at = list[float]()

    async def read(most: int) -> Any:
        del most
        read_at.append(asyncio.get_running_loop().time())
        return waiting.pop(0) if waiting else None

    it.source.read = read  # type: ignore[method-assign]
    await it.run()

    assert read_at == pytest.approx([0, 0, 0.03, 0.03])
    assert it.ids == ["new", "suspect", "next"]


async def test_how_many_wait_is_not_known_while_nobody_says() -> None:
    it = Streaming(settings(), ends=False)
    it.source.put(body("e1"))
    running = asyncio.create_task(it.run())
    await asyncio.sleep(1.5)
    known = [it.statistics.lag]

    async def gone() -> int:
        raise DependencyFailed("gone")

    it.source.lag = gone  # type: ignore[method-assign]
    await asyncio.sleep(1)
    assert [*known, it.statistics.lag] == [0, None]

    it.pipeline.stop()
    await running


async def test_a_result_that_is_too_large_is_a_letter_of_the_stage_publish() -> None:
    it = Streaming(settings(max_result_bytes=10), body("e1"), b"{")

    await it.run()

    assert it.ids == []
    stages = {each["stage"]: each for each in it.buried}
    assert stages.keys() == {"publish", "decode"}
    assert stages["publish"]["event_id"] == "e1"


async def test_a_sink_that_was_offered_a_result_often_enough_is_given_up() -> None:
    results = Fragile()
    results.down = True
    it = Streaming(settings(attempts={"publish": 3}), body("e1"), results=results)

    await it.run()

    (letter,) = it.buried
    assert (letter["stage"], letter["reason"]) == ("publish", "DEPENDENCY_FAILED")
    assert results.asked == 3
    assert it.source.unacknowledged == {}


async def test_results_are_published_by_the_batch() -> None:
    results = Fragile()
    bodies = [body(f"e{n}", f"u{n}") for n in range(1000)]
    it = Streaming(settings(batch=100), *bodies, results=results)

    await it.run()

    assert results.asked <= 20
    assert json.loads(results.records[0].body)["event_id"] == "e0"


async def test_letters_are_counted_in_the_log_now_and_then_and_not_quoted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "inferd")
    it = Streaming(settings(), ends=False)

    async def write() -> None:
        for n in range(100):  # a second
            it.source.put(b"{ secret", body(f"e{n}", amount="secret"))
            await asyncio.sleep(0.01)
        await asyncio.sleep(4.5)
        assert len(caplog.messages) == 2
        it.source.put(b"{ secret")
        it.source.end()

    await asyncio.gather(it.run(), write())

    assert caplog.messages == [
        "letters: 100 of stage decode, INVALID_REQUEST",
        "letters: 100 of stage features, INVALID_REQUEST",
        "letters: 1 of stage decode, INVALID_REQUEST",
    ]
