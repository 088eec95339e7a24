"""The engine against a naive evaluation: any graph of features, tables, failures and defaults."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.call import Call
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed
from inferd.features.compute.engine import TableSource
from inferd.features.compute.tables import TableAtHand
from inferd.features.compute.work import Rows
from inferd.features.definitions import EntityId
from inferd.features.kinds import Held
from inferd.features.values import DEFAULT, Status, Value
from support.computing import (
    EVENT_US,
    NOW_US,
    Computing,
    Users,
    a_column,
    a_table,
    declared,
    looked_up,
    named,
)
from support.virtual_time import VirtualTimeLoop

IDS = (0, 1, 2, 3)
#: What tables have, for keys from 0 to 5. Others are not there, and `x` may be absent.
ROWS: Mapping[str, Rows] = {
    "near": {0: {"x": 1}, 1: {"x": 2}, 2: {}, 3: {"x": 0}, 5: {"x": 4}},
    "far": {0: {"x": 3}, 1: {"x": 5}, 3: {"x": 1}, 4: {}},
}
SOUND = (Status.PRESENT, Status.NULL)
READ = st.builds(
    Value,
    st.sampled_from([None, 0, 1, 4, 9]),
    st.sampled_from([Status.PRESENT, Status.TIMED_OUT, Status.EXPIRED]),
    st.sampled_from([None, 5, 9]),
    st.just("memory"),
)


class Way(NamedTuple):
    """How a feature comes to its value: the place of each input, or a base or the request."""

    of: tuple[str, ...]
    table: str | None
    default: int | None


class World(NamedTuple):
    """What is known besides."""

    age: Value
    amount: int | None
    #: Whether the table that is far does.
    fails: bool


class Far:
    """A table that answers after a while, or fails for some keys asked for together."""

    rows = None

    def __init__(self, fails: bool) -> None:
        self._fails = fails

    async def get(self, call: Call, deadline: Deadline, keys: Sequence[Held]) -> Rows:
        await asyncio.sleep(0.0001)
        if self._fails:
            raise DependencyFailed("it is down")
        return {key: row for key, row in ROWS["far"].items() if key in keys}


@st.composite
def graphs(draw: st.DrawFn) -> list[Way]:
    """Return features, each of which needs only bases, the request and those before it."""
    ways: list[Way] = []
    for number in range(draw(st.integers(1, 12))):
        known = ["user.id", "user.age", "request.amount", *(f"risk.f{at}" for at in range(number))]
        table = draw(st.sampled_from([None, None, "near", "far"]))
        inputs = draw(
            st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True)
            if table is None
            else st.lists(st.sampled_from(known), min_size=1, max_size=1)
        )
        ways.append(Way(tuple(inputs), table, draw(st.sampled_from([None, None, 0, 7]))))
    return ways


def feature(number: int, way: Way) -> Any:
    more: dict[str, Any] = {} if way.default is None else {"default": way.default}
    name = f"f{number}"
    if way.table is not None:
        return looked_up(way.table, name, key=way.of[0], **more)
    if len(way.of) == 1:
        transform: Any = {"function": "bucketise", "of": way.of[0], "bounds": [0, 2, 4, 6]}
    else:
        transform = {"function": "cross", "of": way.of, "buckets": 6}
    return {"name": name, "type": "int64", "transform": transform, **more}


class Naive:
    """Evaluates one feature after the other by calling itself."""

    def __init__(
        self, ways: Sequence[Way], known: Mapping[str, Value], computing: Computing, fails: bool
    ) -> None:
        self._ways = ways
        self._known = known
        self._plan = computing.definitions.plan
        self._view = computing.definitions.views["risk"]
        self._fails = fails

    def value(self, name: str) -> Value:
        if name in self._known:
            return self._known[name]
        number = int(name.removeprefix("risk.f"))
        way = self._ways[number]
        inputs = [self.value(of) for of in way.of]
        held, failed = self._held(number, way, [each.value for each in inputs])
        late = failed or any(each.status is Status.TIMED_OUT for each in inputs)
        if held is None:
            reasons = [each.status for each in inputs if each.status not in SOUND]
            status = Status.TIMED_OUT if late else [*reasons, Status.MISSING][0]
            source = "" if way.default is None else DEFAULT
            return Value(way.default, status, None, source)
        events = [each.event_us for each in inputs if each.event_us is not None]
        status = Status.TIMED_OUT if late else Status.PRESENT
        return Value(held, status, max(events, default=None), "computed")

    def _held(
        self, number: int, way: Way, inputs: Sequence[Held | None]
    ) -> tuple[Held | None, bool]:
        """Return the value, and whether a table failed."""
        if way.table is None:
            (step,) = [
                each
                for each in self._plan.recipe(self._view, [number]).steps
                if each.place == number
            ]
            assert step.compute is not None
            return step.compute(inputs), False
        (key,) = inputs
        if key is None:
            return None, False
        if way.table == "far" and self._fails:
            return None, True
        return ROWS[way.table].get(key, {}).get("x"), False


@settings(deadline=None)
@given(
    graphs(),
    st.builds(World, READ, st.sampled_from([None, 0, 3]), st.booleans()),
    st.lists(st.sampled_from(IDS), min_size=1, max_size=4),
    st.data(),
)
def test_any_graph_has_the_values_of_a_naive_evaluation(
    ways: list[Way],
    world: World,
    ids: list[EntityId],
    data: st.DataObject,
) -> None:
    names = data.draw(
        st.lists(st.sampled_from([f"f{at}" for at in range(len(ways))]), min_size=1, unique=True)
    )

    async def compared() -> None:
        users = Users()
        users.found = world.age
        definitions = declared(
            [feature(number, way) for number, way in enumerate(ways)],
            tables=[a_table("near"), a_table("far")],
            request=[a_column("amount")],
        )
        tables: dict[str, TableSource] = {
            "near": TableAtHand(ROWS["near"]),
            "far": Far(world.fails),
        }
        computing = Computing(definitions, tables, users)
        said = {} if world.amount is None else {"amount": world.amount}

        found = await computing.fetch(
            *(computing.lookup(*names, id=each, given=said) for each in ids)
        )

        for id, each in zip(ids, found, strict=True):
            told = Status.MISSING if world.amount is None else Status.PRESENT
            known = {
                "user.id": Value(id, Status.PRESENT, EVENT_US, "memory"),
                "user.age": world.age,
                "request.amount": Value(world.amount, told, None, ""),
            }
            naive = Naive(ways, known, computing, world.fails)
            assert named(each) == {name: dated(naive.value(f"risk.{name}")) for name in names}

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(compared())


def dated(value: Value) -> Value:
    """Return a value as it is told: what depends on no event is of now."""
    undated = value.event_us is None and value.source == "computed"
    return value._replace(event_us=NOW_US) if undated else value
