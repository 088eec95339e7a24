"""A replay sends events in order, when they are due, and no more than it should."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from shop.events import Json
from shop.replay import BATCH, Bounds, Stamp, replay
from shop.sinks import recorded
from shop.world import World

NOW_S = 1_800_000_000.0


class Listener:
    """Has a clock, on which time goes by only while somebody sleeps."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.heard: list[tuple[float, Json]] = []
        self.largest = 0

    def clock(self) -> float:
        return self.elapsed_s

    def wall_clock(self) -> float:
        return NOW_S + self.elapsed_s

    def sleep(self, seconds: float) -> None:
        self.elapsed_s += seconds

    def send(self, events: Sequence[Json]) -> Counter[str]:
        self.largest = max(self.largest, len(events))
        self.heard += [(self.elapsed_s, each) for each in events]
        return Counter({"heard": len(events)})


def told(world: World, bounds: Bounds, **how: Any) -> Listener:
    listener = Listener()
    given = {"speed": 0.0, "stamp": Stamp.KEEP, "outcomes": False, **how}
    counts = replay(
        world,
        listener,
        bounds,
        clock=listener.clock,
        wall_clock=listener.wall_clock,
        sleep=listener.sleep,
        **given,
    )
    assert counts["heard"] == len(listener.heard)
    return listener


def seconds(event: Json) -> float:
    return float(np.datetime64(event["timestamp"][:-1], "us").astype(np.int64)) / 1e6


def test_at_no_speed_everything_is_sent_at_once_in_batches(
    world: World, events: list[Json]
) -> None:
    listener = told(world, Bounds(events=1000, seconds=1))

    assert [each for _, each in listener.heard] == events[:1000]
    assert (listener.elapsed_s, listener.largest) == (0, BATCH)


def test_at_a_speed_events_have_their_intervals(world: World) -> None:
    listener = told(world, Bounds(events=500, seconds=1e6), speed=100.0)

    first_s = seconds(listener.heard[0][1])
    for at_s, event in listener.heard:
        assert at_s == pytest.approx((seconds(event) - first_s) / 100, abs=0.001)


def test_it_ends_when_its_time_is_over(world: World) -> None:
    listener = told(world, Bounds(events=5000, seconds=5), speed=600.0)

    assert listener.elapsed_s == pytest.approx(5)
    assert 0 < len(listener.heard) < 1000


@pytest.mark.parametrize("speed", [0.0, 0.5, 1.0, 100.0])
def test_no_event_is_sent_before_it_happened(world: World, speed: float) -> None:
    listener = told(world, Bounds(events=300, seconds=1e9), speed=speed, stamp=Stamp.END_NOW)

    behind = [NOW_S + at_s - seconds(event) for at_s, event in listener.heard]
    assert min(behind) > -0.001
    assert behind[-1] == pytest.approx(0, abs=0.001) or speed == 0.5
    for _, event in listener.heard:
        if "at_s" in event["data"]:
            assert event["data"]["at_s"] == pytest.approx(seconds(event), abs=1e-5)


def test_events_may_be_as_of_when_they_are_sent(world: World) -> None:
    listener = told(world, Bounds(events=300, seconds=1e6), speed=100.0, stamp=Stamp.SENT)

    for at_s, event in listener.heard:
        assert seconds(event) == pytest.approx(NOW_S + at_s, abs=0.001)


def test_outcomes_are_told_in_their_time(world: World) -> None:
    listener = told(world, Bounds(events=20_000, seconds=1, from_day=20), outcomes=True)

    happened = [each for _, each in listener.heard]
    assert {"outcome", "transaction"} <= {each["event_type"] for each in happened}
    assert all(one["timestamp"] <= other["timestamp"] for one, other in pairwise(happened))


def test_a_server_is_sent_what_is_declared_and_nothing_else(events: list[Json]) -> None:
    event = next(each for each in events if each["event_type"] == "transaction")

    sent = recorded(event, {"user": "string", "amount_minor": "int64", "latitude": "float64"})

    assert (sent.event, sent.event_id) == ("transaction", event["id"])
    assert sent.event_time_us == pytest.approx(seconds(event) * 1e6, abs=1)
    assert sorted(sent.fields) == ["amount_minor", "latitude", "user"]
    assert sent.fields["user"].string_value == event["user_id"]
    assert sent.fields["amount_minor"].int64_value == event["data"]["amount_minor"]
