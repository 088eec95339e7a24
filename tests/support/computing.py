"""Computed views over tables that take their time, and what is asked of them."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from inferd.call import Call
from inferd.config.faults import Faults
from inferd.config.resilience import Resilience
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed
from inferd.features.compute.engine import Engine, TableSource
from inferd.features.compute.work import Rows
from inferd.features.definitions import Definitions, EntityId
from inferd.features.kinds import Held
from inferd.features.values import NOTHING, Found, Lookup, Status, Value
from inferd.resilience.faults.points import FaultPoints
from inferd.resilience.toolbox import Toolbox
from support.feature_stores import a_histogram

CALL = Call("/inferd.v1.FeatureService/Get", arrived=0.0)
NOW_US = 1_700_000_000_000_000
#: When the rows that are read came to be so.
EVENT_US = NOW_US - 5_000_000
BUDGET_S = 0.02


def a_column(name: str, type: str = "int64") -> dict[str, str]:
    return {"name": name, "type": type}


def a_table(name: str, *columns: Mapping[str, str], key: str = "int64", **more: Any) -> Any:
    source = more or {"function": "nowhere:nothing"}
    key_column = a_column("id", key)
    return {"name": name, "key": key_column, "columns": columns or [a_column("x")], **source}


def looked_up(
    table: str, name: str, *, key: str = "user.id", column: str = "x", **more: Any
) -> Any:
    lookup = {"table": table, "key": key, "column": column}
    return {"name": name, "type": "int64", "lookup": lookup, **more}


def log_of(name: str, of: str, **more: Any) -> Any:
    return {
        "name": name,
        "type": "float64",
        "transform": {"function": "log1p", "of": of},
        **more,
    }


def declared(
    features: Iterable[Any], *, tables: Iterable[Any] = (), request: Iterable[Any] = ()
) -> Definitions:
    """Return definitions of the view `risk`, computed from `user.id` and `user.age`."""
    stored = [a_column("id"), a_column("age")]
    return Definitions.read(
        {
            "entities": [{"name": "user", "id": "int64"}],
            "tables": [*tables],
            "views": [
                {"name": "user", "entity": "user", "features": stored},
                {
                    "name": "risk",
                    "entity": "user",
                    "features": [*features],
                    "request": [*request],
                },
            ],
        }
    )


class SlowTable:
    """A table that takes its time, and notes what it is asked. Its rows are `{"x": key * 10}`."""

    rows = None

    def __init__(self, takes_s: float = 0.0, *, only: Sequence[int] | None = None) -> None:
        self.takes_s = takes_s
        self._only = only
        self.asked: list[list[Held]] = []
        self.cancelled = 0
        self.error: Exception | None = None

    async def get(self, call: Call, deadline: Deadline, keys: Sequence[Held]) -> Rows:
        self.asked.append([*keys])
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return {
            key: {"x": key * 10}
            for key in keys
            if isinstance(key, int) and (self._only is None or key in self._only)
        }


def failing(takes_s: float = 0.0) -> SlowTable:
    table = SlowTable(takes_s)
    table.error = DependencyFailed("it is down")
    return table


class Users:
    """Reads the view `user`: ids are those of the entity, and everybody is 40."""

    def __init__(self, takes_s: float = 0.0) -> None:
        self.takes_s = takes_s
        self.reads: list[list[EntityId]] = []
        self.found = Value(40, Status.PRESENT, EVENT_US, "memory")

    async def __call__(
        self, call: Call, deadline: Deadline, lookups: Sequence[Lookup]
    ) -> list[Found]:
        self.reads.append([each.entity_id for each in lookups])
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
        return [
            Found(each, self.found.status, values=[self._value(each, at) for at in each.places])
            for each in lookups
        ]

    def _value(self, lookup: Lookup, place: int) -> Value:
        if lookup.view.features[place].name == "id":
            return Value(lookup.entity_id, Status.PRESENT, EVENT_US, "memory")
        return self.found


class Computing:
    """An engine as it is asked in tests."""

    def __init__(
        self,
        definitions: Definitions,
        tables: Mapping[str, TableSource] | None = None,
        read: Users | None = None,
    ) -> None:
        self.definitions = definitions
        self.users = read or Users()
        self.clock = asyncio.get_running_loop().time
        self.engine = Engine(
            definitions.plan,
            tables or {},
            self.users,
            max_latency_s=BUDGET_S,
            clock=self.clock,
            now_us=lambda: NOW_US,
        )

    def lookup(
        self,
        *names: str,
        id: EntityId = 7,
        given: Mapping[str, Held] = NOTHING,
        as_of_us: int | None = None,
    ) -> Lookup:
        view = self.definitions.views["risk"]
        return Lookup(
            view, id, view.places_of(names or view.places, field="names"), as_of_us, given
        )

    async def fetch(self, *lookups: Lookup, within_s: float = 30.0) -> list[Found]:
        deadline = Deadline.after(within_s, now=self.clock())
        return await self.engine.fetch(CALL, deadline, lookups)

    async def get(self, *names: str, within_s: float = 30.0, **asked: Any) -> dict[str, Value]:
        (found,) = await self.fetch(self.lookup(*names, **asked), within_s=within_s)
        return named(found)


def named(found: Found) -> dict[str, Value]:
    """Return values by the names of their features."""
    features = found.lookup.view.features
    return {
        features[place].name: value
        for place, value in zip(found.lookup.places, found.values, strict=True)
    }


def a_toolbox(faults: FaultPoints | None = None) -> Toolbox:
    clock = asyncio.get_running_loop().time
    points = faults or FaultPoints(Faults(enabled=True), clock)
    return Toolbox(Resilience(), points, histogram=a_histogram, clock=clock)
