"""What computing features costs beside what they are computed from.

    python perf/feature_compute.py

A view has ten features, computed from five that are stored: transforms, one of them of another's
result, and expressions. All ways read the same entity; what is printed is the median of rounds, in
which they take turns. Rows of tables are what a function returns at once: what is left is the
engine, the guard and what brings callers together.
"""

import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import uvloop

from inferd.cache.memory_blobs import MemoryBlobs
from inferd.call import Call
from inferd.config.faults import Faults
from inferd.config.resilience import Resilience
from inferd.deadline import Deadline
from inferd.features.compute.engine import Engine
from inferd.features.compute.tables import Tables
from inferd.features.definitions import US, Definitions
from inferd.features.online import OnlineFeatures
from inferd.features.store import READS, READS_GUARDED_AS, WRITES, FeatureStore
from inferd.features.values import Found, Lookup, Status
from inferd.features.writing import Limits, Write
from inferd.resilience.faults.points import FaultPoints
from inferd.resilience.toolbox import Toolbox
from inferd.telemetry.statistics import Histogram

CALLS = 1000
ROUNDS = 15
ENTITIES = 100
CALL = Call("/inferd.v1.FeatureService/Get", arrived=0.0)
STORED = ("age", "spent", "visits", "country", "shop")

Way = Callable[[], Awaitable[object]]


async def rows(keys: Sequence[str]) -> list[Mapping[str, float]]:
    """Return the rows of a table."""
    return [{f"rate{number}": 0.5 for number in range(10)} for _ in keys]


def _transformed(number: int) -> dict[str, Any]:
    ways: Sequence[tuple[str, dict[str, Any]]] = (
        ("float64", {"function": "log1p", "of": "user.spent"}),
        ("int64", {"function": "bucketise", "of": "user.age", "bounds": [18, 30, 45, 60]}),
        ("int64", {"function": "hash", "of": "user.country", "buckets": 1000}),
        ("float64", {"function": "standardise", "of": "user.visits", "mean": 9, "deviation": 3}),
        ("int64", {"function": "cross", "of": ["user.country", "ten.f1"], "buckets": 1000}),
    )
    type_, transform = ways[number % len(ways)]
    return {"name": f"f{number}", "type": type_, "transform": transform}


def _expressed(number: int) -> dict[str, Any]:
    cel = f"user.spent / (double(user.visits) + {number + 1}.0)"
    return {"name": f"f{number}", "type": "float64", "cel": cel}


def _looked_up(number: int) -> dict[str, Any]:
    lookup = {"table": "shops", "key": "user.shop", "column": f"rate{number}"}
    return {"name": f"f{number}", "type": "float64", "lookup": lookup}


def definitions() -> Definitions:
    """Return one stored view, and others that are computed from it."""
    types = ("int64", "float64", "int64", "string", "string")
    stored = [{"name": name, "type": of} for name, of in zip(STORED, types, strict=True)]
    views = {
        "ten": [_transformed(number) for number in range(10)],
        "cel": [_expressed(number) for number in range(10)],
        "table": [_looked_up(number) for number in range(10)],
    }
    return Definitions.read(
        {
            "entities": [{"name": "user", "id": "int64"}],
            "tables": [
                {
                    "name": "shops",
                    "key": {"name": "shop", "type": "string"},
                    "columns": [{"name": f"rate{at}", "type": "float64"} for at in range(10)],
                    "function": f"{__name__}:rows",
                }
            ],
            "views": [
                {"name": "user", "entity": "user", "features": stored},
                *(
                    {"name": name, "entity": "user", "features": features}
                    for name, features in views.items()
                ),
            ],
        }
    )


def a_toolbox() -> Toolbox:
    """Return guards as a server has them."""
    points = FaultPoints(Faults(), time.monotonic)
    return Toolbox(Resilience(), points, histogram=lambda: Histogram((0.001, 0.01, 0.1)))


async def a_store(declared: Definitions, toolbox: Toolbox) -> FeatureStore:
    """Return a store in memory that knows everybody."""
    store = FeatureStore(
        declared,
        MemoryBlobs(max_bytes=10_000_000, clock=time.monotonic),
        reads=toolbox.dependency(READS, READS_GUARDED_AS),
        writes=toolbox.dependency(WRITES, READS_GUARDED_AS),
        wall_clock=time.time,  # noqa: TID251 - events have times of day
        limits=Limits(10_000, 300 * US),
    )
    values = dict(zip(STORED, (40, 99.5, 12, "NL", "books"), strict=True))
    event_us = store.now_us() - US
    view = declared.views["user"]
    await store.set(
        CALL,
        in_(1),
        [store.checked(Write(view, user, event_us, values)) for user in range(ENTITIES)],
    )
    return store


def in_(seconds: float) -> Deadline:
    """Return a deadline."""
    return Deadline.after(seconds, now=time.monotonic())


async def ways() -> dict[str, Way]:
    """Return what is compared, by what it is called in the table."""
    declared, toolbox = definitions(), a_toolbox()
    store = await a_store(declared, toolbox)
    tables = Tables(declared, toolbox=toolbox, redis=None)
    online = OnlineFeatures({"stored": store}, store.statistics, now_us=store.now_us)
    engine = Engine(
        declared.plan,
        tables.sources,
        online.read,
        max_latency_s=1.0,
        clock=time.monotonic,
        now_us=store.now_us,
    )

    def lookups(view: str, count: int) -> list[Lookup]:
        it = declared.views[view]
        return [Lookup(it, user, it.everything) for user in range(count)]

    def reads(count: int) -> Way:
        asked = lookups("user", count)
        return lambda: online.read(CALL, in_(1), asked)

    def computes(view: str, count: int) -> Way:
        asked = lookups(view, count)

        async def way() -> list[Found]:
            found = await engine.fetch(CALL, in_(1), asked)
            assert all(value.status is Status.PRESENT for value in found[0].values)
            return found

        return way

    return {
        "1 entity, 5 stored features are read": reads(1),
        "... and 10 computed by transforms": computes("ten", 1),
        "... and 10 computed by expressions": computes("cel", 1),
        "... and 10 looked up in a row of a table": computes("table", 1),
        f"{ENTITIES} entities, 5 stored features are read": reads(ENTITIES),
        "... and 10 computed by transforms ": computes("ten", ENTITIES),
        "... and 10 looked up in a row of a table ": computes("table", ENTITIES),
    }


async def main() -> None:
    """Measure in turns, and print a table."""
    compared = await ways()
    rounds: dict[str, list[float]] = {name: [] for name in compared}
    for _ in range(ROUNDS):
        for name, way in compared.items():
            calls = CALLS if name.startswith(("1 ", "...")) and not name.endswith(" ") else 20
            began = time.thread_time()
            for _ in range(calls):
                await way()
            rounds[name].append((time.thread_time() - began) / calls * 1e6)
    base = 0.0
    for name, costs in rounds.items():
        median = statistics.median(costs)
        if not name.startswith("..."):
            base = median
        print(f"{name:48} {median:8.1f} us   {median - base:+8.1f} us")


if __name__ == "__main__":
    uvloop.run(main())
