"""Recommendations as they happen: a day of the shop's visits in seconds, and Redis dies meanwhile.

    make demo-recommendation

Starts Redis and a server with the shop's items, has the server hear what users did in the days
before, and asks it what to show whenever somebody was shown a list; then it hears what they did
with what they were shown. The time of day is the shop's (`hurried`). Half-way Redis is killed, and
started again with what it had. At the end: how late lists were, of how many items they were, and
how well they fit, beside what is popular: the shop knows how likely each user is to like an item.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from inferd.v1 import recommendation_pb2 as pb
from inferd_client import AsyncClient, InferdError
from shop.browsing import relevance
from shop.catalogue import item_name
from shop.clock import BEGIN, DAY, S
from shop.demo_fraud import ONCE, START_S, UNHEDGED, Redis, serving
from shop.dice import Ints, names
from shop.events import Kind
from shop.hurried import Hurried
from shop.world import DAYS, SEED, World

SERVICE: Final = "/inferd.v1.RecommendationService"
CONFIG: Final = Path(__file__).parents[2] / "configs" / "shop" / "recommendation.yaml"
PATIENCE_S: Final = 0.1
"""How long a page waits for its list."""
COUNT: Final = 10
BATCH: Final = 500
KNOWN_DAYS: Final = 7.0
"""So many days of what users did are told before."""
MOST_UNANSWERED: Final = 0.02
"""A machine with other things to do is late for some."""
SOURCES: Final = ("COMPUTED", "CACHE", "COLD_START", "POPULAR", "none")
_TYPES: Final[Mapping[int, pb.Interaction.Type]] = {
    Kind.CLICK: pb.Interaction.CLICK,
    Kind.ITEM: pb.Interaction.VIEW,
    Kind.CART: pb.Interaction.CART,
    Kind.PURCHASE: pb.Interaction.PURCHASE,
}


class Shown(NamedTuple):
    """Somebody is shown a list by the shop, or does something with an item of one."""

    time_us: int
    user: int
    did: Sequence[pb.Interaction]
    #: A row of `Lists`, if it is one.
    list: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of one list."""

    user: int
    list: int
    latency_s: float
    #: None: nothing, or nothing in time.
    answer: pb.Recommendations | None


@dataclass(slots=True)
class Seen:
    """All that was answered."""

    all: list[Answered] = field(default_factory=list)
    #: Up to here it is in the table.
    told: int = 0


class Visits:
    """What happens in a world, as interactions."""

    def __init__(self, world: World) -> None:
        self.world = world
        lists, clicks = world.browsing.lists, world.browsing.clicks
        sessions = world.browsing.sessions.user
        self._users = names("u", np.arange(len(world.people)), world.seed)
        self._listed = sessions[lists.session].tolist(), lists.items.tolist()
        self._clicked = sessions[clicks.session].tolist(), clicks.item.tolist()
        #: The items of each list that were clicked.
        self.clicked: defaultdict[int, set[str]] = defaultdict(set)
        for row, item in zip(clicks.list.tolist(), clicks.item.tolist(), strict=True):
            self.clicked[row].add(item_name(item))

    def between(self, begin: float, end: float) -> Iterator[Shown]:
        """Yield what happens from one day to another."""
        line = self.world.timeline
        first, last = np.searchsorted(line.time_us, [BEGIN + begin * DAY, BEGIN + end * DAY])
        columns = line.time_us, line.kind, line.row
        rows = zip(*(each[first:last].tolist() for each in columns), strict=True)
        for time_us, kind, row in rows:
            if kind == Kind.LIST:
                user, items = self._listed[0][row], self._listed[1][row]
                did = [
                    self._did(user, item, pb.Interaction.IMPRESSION, time_us, position)
                    for position, item in enumerate(items)
                ]
                yield Shown(time_us, user, did, row)
            elif kind in _TYPES:
                user, item = self._clicked[0][row], self._clicked[1][row]
                yield Shown(time_us, user, [self._did(user, item, _TYPES[kind], time_us)], None)

    def name(self, user: int) -> str:
        """Return a user's id."""
        return self._users[user]

    def _did(
        self,
        user: int,
        item: int,
        type: pb.Interaction.Type,
        time_us: int,
        position: int | None = None,
    ) -> pb.Interaction:
        return pb.Interaction(
            user_id=self._users[user],
            item_id=item_name(item),
            type=type,
            time_us=time_us,
            position=position,
        )


class Demo:
    """Asks for lists when they are due, and tells what is answered."""

    def __init__(self, visits: Visits, redis: Redis, client: AsyncClient) -> None:
        self._visits = visits
        self._redis = redis
        self._client = client
        self._seen = Seen()
        self._lost = 0
        self._began = 0.0

    async def hear(self, happened: Sequence[Shown]) -> int:
        """Have the server know of what happened, and return how much that was."""
        did = [act for each in happened for act in each.did]
        for begin in range(0, len(did), BATCH):
            await self._record(did[begin : begin + BATCH], timeout_s=START_S)
        return len(did)

    async def run(
        self, happens: Sequence[Shown], from_us: int, speed: float, *, seconds: float, down_s: float
    ) -> list[Answered]:
        """Have it all happen, Redis killed for `down_s` in the middle; return what was answered."""
        self._began = time.monotonic()
        print(_HEAD)
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(self._tell())
            dying = tasks.create_task(self._die(at_s=(seconds - down_s) / 2, down_s=down_s))
            async with asyncio.TaskGroup() as asking:
                for each in happens:
                    due_s = (each.time_us - from_us) / S / speed
                    await asyncio.sleep(max(0.0, due_s - self._now_s()))
                    asking.create_task(self._happens(each))
            await dying
            telling.cancel()
        self._row()
        if self._lost:
            print(f"{self._lost} times it could not be recorded what somebody did")
        return self._seen.all

    async def popular(self) -> list[str]:
        """Return what is in demand."""
        request = pb.GetTrendingRequest(count=COUNT)
        answer = await self._client.call(
            f"{SERVICE}/GetTrending", request, pb.Recommendations, timeout_s=START_S
        )
        return [each.item_id for each in answer.message.items]

    def _now_s(self) -> float:
        return time.monotonic() - self._began

    async def _happens(self, it: Shown) -> None:
        if it.list is not None:
            await self._asks(it.user, it.list)
        try:
            await self._record(it.did, timeout_s=1.0)
        except InferdError:
            self._lost += 1

    async def _asks(self, user: int, row: int) -> None:
        request = pb.GetRecommendationsRequest(user_id=self._visits.name(user), count=COUNT)
        began, answer = time.monotonic(), None
        try:
            called = await self._client.call(
                f"{SERVICE}/GetRecommendations", request, pb.Recommendations, timeout_s=PATIENCE_S
            )
            answer = called.message
        except InferdError:
            pass  # it is counted as unanswered
        latency_s = time.monotonic() - began
        self._seen.all.append(Answered(user=user, list=row, latency_s=latency_s, answer=answer))

    async def _record(self, did: Sequence[pb.Interaction], *, timeout_s: float) -> None:
        request = pb.RecordInteractionsRequest(interactions=did)
        await self._client.call(
            f"{SERVICE}/RecordInteractions",
            request,
            pb.RecordInteractionsResponse,
            timeout_s=timeout_s,
        )

    async def _die(self, *, at_s: float, down_s: float) -> None:
        await asyncio.sleep(at_s)
        self._redis.kill()
        print("---- Redis is killed")
        await asyncio.sleep(down_s)
        self._redis.start()
        print("---- Redis is started again")

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._row()

    def _row(self) -> None:
        new = self._seen.all[self._seen.told :]
        self._seen.told = len(self._seen.all)
        if not new:
            return
        sources = Counter(_source(each) for each in new)
        latencies = np.array([each.latency_s for each in new]) * 1000
        without = Counter(
            it.stage for each in new if each.answer for it in each.answer.degradations
        )
        told = ", ".join(f"{stage} {count}" for stage, count in sorted(without.items()))
        p50, p99 = np.quantile(latencies, (0.5, 0.99))
        counts = " ".join(f"{sources[name]:10}" for name in SOURCES)
        up = "up" if self._redis.is_up else "down"
        print(f"{self._now_s():4.0f} {len(new):6} {counts} {p50:7.1f} {p99:7.1f}  {up:5}  {told}")


_HEAD = (
    f"{'s':>4} {'lists':>6} {' '.join(f'{name:>10}' for name in SOURCES)}"
    f" {'p50 ms':>7} {'p99 ms':>7}  Redis  without"
)


def _source(answered: Answered) -> str:
    if answered.answer is None:
        return "none"
    return pb.Recommendations.Source.Name(answered.answer.source)


def summary(visits: Visits, answered: Sequence[Answered], popular: Sequence[str]) -> str:
    """Return how late lists were, and how well they fit."""
    world = visits.world
    told = [(each, [it.item_id for it in each.answer.items]) for each in answered if each.answer]
    latencies = np.array([each.latency_s for each in answered]) * 1000
    shown = world.browsing.lists.items
    liked = {
        "recommended": [_liked(world, each.user, _rows(items)) for each, items in told],
        "popular": [_liked(world, each.user, _rows(popular)) for each, _ in told],
        "what the shop showed": [_liked(world, each.user, shown[each.list]) for each, _ in told],
    }
    hits = sum(bool(visits.clicked[each.list] & {*items}) for each, items in told)
    by_popular = sum(bool(visits.clicked[each.list] & {*popular}) for each, _ in told)
    items = {id for _, ids in told for id in ids}
    return "\n".join(
        [
            f"{len(answered)} lists; {len(answered) - len(told)} did not come in"
            f" {PATIENCE_S * 1000:g} ms",
            "how likely an item is to be liked, on average: "
            + ", ".join(f"{name} {np.mean(each):.1%}" for name, each in liked.items()),
            f"lists with an item that was clicked in the shop's own: {_share(hits, len(told))};"
            f" if they were of what is popular: {_share(by_popular, len(told))}",
            f"of {len(items)} different items, which is {len(items) / len(world.items):.1%} of all",
            f"p50 {np.quantile(latencies, 0.5):.1f} ms, p99 {np.quantile(latencies, 0.99):.1f} ms",
        ]
    )


def _rows(ids: Sequence[str]) -> Ints:
    return np.array([int(id[1:]) for id in ids], dtype=np.int64)


def _liked(world: World, user: int, items: Ints) -> float:
    users = np.full(len(items), user)
    return float(relevance(world.people, world.items, users, items).mean())


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "unknown"


class Plot(NamedTuple):
    """What happens, when, and how fast."""

    visits: Visits
    from_us: int
    speed: float
    begin: float
    end: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Show it, and return whether hardly anybody was left without a list: 0 if so."""
    parser = argparse.ArgumentParser(description="Show recommendations as they happen.")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--down", type=float, default=4.0, help="for how long Redis is away")
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--from-day", type=float, default=50.0, help="from here on it is asked")
    parser.add_argument("--days", type=float, default=1.0, help="how much of it")
    asked = parser.parse_args(arguments)
    # The items are those that the models know, the users are not.
    world = World.generate(SEED, DAYS, users=asked.users)
    visits = Visits(world)
    from_us = round(BEGIN + asked.from_day * DAY)
    speed = asked.days * DAY / S / asked.seconds
    # Whoever ends this ends what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="inferd-demo-")))
        redis = Redis(directory)
        stack.callback(redis.kill)
        redis.start()
        clock = Hurried.made(directory / "clock", from_s=from_us / S, speed=speed)
        seed = directory / "items.jsonl"
        seed.write_text("".join(json.dumps(row) + "\n" for row in world.catalogue()))
        settings = {"RECOMMENDATION__CATALOGUE__SEED": seed}
        address = stack.enter_context(serving(directory, redis, CONFIG, settings))
        plot = Plot(visits, from_us, speed, asked.from_day, asked.from_day + asked.days)
        answered, popular = asyncio.run(_shown(plot, redis, clock, address, asked))
        print(summary(visits, answered, popular), flush=True)
    unanswered = sum(each.answer is None for each in answered)
    return int(unanswered > MOST_UNANSWERED * len(answered))


async def _shown(
    plot: Plot, redis: Redis, clock: Hurried, address: str, asked: argparse.Namespace
) -> tuple[list[Answered], list[str]]:
    async with AsyncClient(address, retry=ONCE, hedge=UNHEDGED) as client:
        demo = Demo(plot.visits, redis, client)
        await _opened(client)
        before = [*plot.visits.between(plot.begin - KNOWN_DAYS, plot.begin)]
        print(f"{address} hears of {await demo.hear(before)} things that users did", flush=True)
        popular = await demo.popular()
        happens = [*plot.visits.between(plot.begin, plot.end)]
        clock.start()
        async with asyncio.timeout(2 * asked.seconds + START_S):
            answered = await demo.run(
                happens, plot.from_us, plot.speed, seconds=asked.seconds, down_s=asked.down
            )
        return answered, popular


async def _opened(client: AsyncClient) -> None:
    """Return when the server has all items."""
    request = pb.GetItemsRequest(item_ids=[item_name(0)])
    async with asyncio.timeout(START_S):
        while True:
            try:
                await client.call(
                    f"{SERVICE}/GetItems", request, pb.GetItemsResponse, timeout_s=1.0
                )
            except InferdError:
                await asyncio.sleep(0.2)
            else:
                return


if __name__ == "__main__":
    sys.exit(main())
