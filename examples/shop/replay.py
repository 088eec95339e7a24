"""Has a world happen once more: its events are sent in their order, with their intervals."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

import numpy as np

from shop.clock import BEGIN, DAY, S
from shop.events import Json, times
from shop.world import World

BATCH = 200
"""Sent at once, at most."""

Clock = Callable[[], float]


class Sink(Protocol):
    """Where events go."""

    def send(self, events: Sequence[Json]) -> Counter[str]:
        """Send events, and return what became of them: how many of what."""


class Stamp(StrEnum):
    """Which times events have when they are sent."""

    #: Moved, so that the last is as of when it is sent: none is in the future.
    END_NOW = "end-now"
    #: When they are sent. At another speed than 1, windows do not see what was.
    SENT = "sent"
    #: As they were.
    KEEP = "keep"


class Bounds(NamedTuple):
    """How much is sent."""

    events: int
    #: After so many, nothing more is sent.
    seconds: float
    from_day: float = 0.0


class Timed(NamedTuple):
    """An event, and when it was."""

    time_us: int
    event: Json


def replay(
    world: World,
    sink: Sink,
    bounds: Bounds,
    *,
    speed: float,
    stamp: Stamp,
    outcomes: bool,
    clock: Clock,
    wall_clock: Clock,
    sleep: Callable[[float], None],
) -> Counter[str]:
    """Send events, so many times as fast as they were; 0: one batch after the other.

    Returns what became of them.
    """
    chosen = _chosen(world, bounds, outcomes=outcomes)
    counts: Counter[str] = Counter()
    if not chosen:
        return counts
    began, first_us = clock(), chosen[0].time_us
    # The last is as of the moment in which it is sent; slower than it was, the first is.
    lasts_us = chosen[-1].time_us - first_us
    sends_us = min(lasts_us / speed, lasts_us) if speed else 0.0
    ends_us = round(wall_clock() * S + sends_us)
    shift_us = ends_us - chosen[-1].time_us if stamp is Stamp.END_NOW else 0
    sent = 0
    while sent < len(chosen) and clock() - began < bounds.seconds:
        due_us = first_us + (clock() - began) * speed * S if speed else float("inf")
        batch = _due(chosen, sent, due_us)
        if not batch:
            wait_s = (chosen[sent].time_us - due_us) / S / speed
            sleep(min(wait_s, bounds.seconds - (clock() - began)))
            continue
        if stamp is Stamp.SENT:
            at_us = [round(wall_clock() * S)] * len(batch)
        else:
            at_us = [each.time_us + shift_us for each in batch]
        counts += sink.send(_stamped(batch, at_us))
        sent += len(batch)
    return counts


def _due(chosen: Sequence[Timed], sent: int, due_us: float) -> list[Timed]:
    return [each for each in chosen[sent : sent + BATCH] if each.time_us <= due_us]


def _chosen(world: World, bounds: Bounds, *, outcomes: bool) -> list[Timed]:
    """Return what is to be sent, in its order."""
    from_us = BEGIN + round(bounds.from_day * DAY)
    streams: list[Iterator[Timed]] = [_timed(world)]
    if outcomes:
        streams.append(_told(world))
    merged = heapq.merge(*streams, key=lambda each: each.time_us)
    chosen: list[Timed] = []
    for each in merged:
        if len(chosen) == bounds.events:
            break
        if each.time_us >= from_us:
            chosen.append(each)
    return chosen


def _timed(world: World) -> Iterator[Timed]:
    """Yield events with their times."""
    for time_us, event in zip(world.timeline.time_us.tolist(), world.events(), strict=True):
        yield Timed(time_us, event)


def _told(world: World) -> Iterator[Timed]:
    """Yield outcomes with their times, until the last day."""
    for event in world.outcomes():
        time_us = int(np.datetime64(event["timestamp"].rstrip("Z"), "us").astype(np.int64))
        if time_us >= BEGIN + world.days * DAY:
            return
        yield Timed(time_us, event)


def _stamped(batch: Sequence[Timed], at_us: Sequence[int]) -> list[Json]:
    """Return events as of other times, which they say in two places."""
    stamped = []
    stamps = times(np.array(at_us, dtype=np.int64))
    for (_, event), time_us, at in zip(batch, at_us, stamps, strict=True):
        data = event["data"]
        if "at_s" in data:
            data = {**data, "at_s": time_us / S}
        stamped.append({**event, "timestamp": at, "data": data})
    return stamped
