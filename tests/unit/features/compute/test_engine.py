"""Computing within a budget, in virtual time."""

import asyncio
import gc
import math
from collections.abc import Mapping, Sequence
from itertools import count

import pytest

from inferd.call import Call
from inferd.deadline import Deadline
from inferd.features.compute.engine import TURN_S
from inferd.features.compute.tables import TableAtHand
from inferd.features.compute.work import Rows
from inferd.features.kinds import Held
from inferd.features.values import Status, Value
from support.computing import (
    BUDGET_S,
    CALL,
    EVENT_US,
    NOW_US,
    Computing,
    SlowTable,
    Users,
    a_column,
    a_table,
    declared,
    failing,
    log_of,
    looked_up,
    named,
)
from support.garbage import garbage_left_by

PRESENT, MISSING, TIMED_OUT = Status.PRESENT, Status.MISSING, Status.TIMED_OUT


def others() -> list[str]:
    """Return the tasks that there are besides the test's own."""
    return [each.get_name() for each in asyncio.all_tasks() if each is not asyncio.current_task()]


async def test_what_is_computed_is_as_old_as_the_last_of_what_it_is_from() -> None:
    computing = Computing(declared([log_of("a", "user.age")]))

    (found,) = await computing.fetch(computing.lookup())

    assert [*found.values] == [Value(math.log1p(40), PRESENT, EVENT_US, "computed")]
    assert (found.status, found.event_us) == (PRESENT, EVENT_US)


async def test_what_depends_on_no_event_is_of_now_or_of_then_if_that_was_asked() -> None:
    features = [log_of("a", "request.amount")]
    computing = Computing(declared(features, request=[a_column("amount")]))

    now = await computing.get(given={"amount": 9})
    then = await computing.get(given={"amount": 9}, as_of_us=EVENT_US)

    assert now["a"].event_us == NOW_US
    assert then["a"].event_us == EVENT_US
    assert computing.users.reads == []


async def test_a_slow_table_costs_its_own_value_and_the_rest_is_there_in_time() -> None:
    """Defect 11 of the design documents: a budget that is passed and never read."""
    # It is 20 ms, although the caller has 30 s.
    slow, quick = SlowTable(0.1), SlowTable(0.001)
    features = [looked_up("slow", "a", default=-1), looked_up("quick", "b")]
    computing = Computing(
        declared(features, tables=[a_table("slow"), a_table("quick")]),
        {"slow": slow, "quick": quick},
    )

    values = await computing.get()

    assert computing.clock() == pytest.approx(BUDGET_S)
    assert values["a"] == Value(-1, TIMED_OUT, None, "default")
    assert values["b"] == Value(70, PRESENT, EVENT_US, "computed")
    await asyncio.sleep(0)
    assert slow.cancelled == 1


async def test_a_caller_with_less_time_than_the_budget_is_answered_before_it_is_over() -> None:
    computing = Computing(
        declared([looked_up("slow", "a")], tables=[a_table("slow")]), {"slow": SlowTable(0.1)}
    )

    values = await computing.get(within_s=0.005)

    assert computing.clock() == pytest.approx(0.004)
    assert values["a"].status is TIMED_OUT


async def test_ten_tables_take_as_long_as_one() -> None:
    names = [f"t{number}" for number in range(10)]
    tables = {name: SlowTable(0.005) for name in names}
    computing = Computing(
        declared(
            [looked_up(name, f"of_{name}") for name in names],
            tables=[a_table(name) for name in names],
        ),
        tables,
    )

    values = await computing.get()

    assert computing.clock() == pytest.approx(0.005)
    assert {value.value for value in values.values()} == {70}


async def test_one_row_is_looked_up_once_for_many_features_and_entities() -> None:
    table = SlowTable(0.001)
    features = [
        looked_up("t", "a"),
        looked_up("t", "b"),
        looked_up("t", "c", key="request.other"),
    ]
    computing = Computing(
        declared(features, tables=[a_table("t")], request=[a_column("other")]), {"t": table}
    )

    given = {"other": 8}
    found = await computing.fetch(
        *(computing.lookup(id=id, given=given) for id in (7, 8, 9)),
        computing.lookup("a", id=9, given=given),
    )

    assert table.asked == [[8], [7, 9]]
    assert [each.value for each in found[0].values] == [70, 70, 80]
    assert [each.value for each in found[3].values] == [90]


async def test_what_needs_only_the_request_is_looked_up_while_the_rest_is_read() -> None:
    features = [looked_up("t", "a", key="request.other")]
    computing = Computing(
        declared(
            [*features, log_of("b", "user.age")],
            tables=[a_table("t")],
            request=[a_column("other")],
        ),
        {"t": SlowTable(0.008)},
        Users(0.01),
    )

    values = await computing.get(given={"other": 3})

    assert computing.clock() == pytest.approx(0.01)
    assert values["a"].value == 30


async def test_what_depends_on_a_row_follows_as_soon_as_that_is_there() -> None:
    first, second = SlowTable(0.003), SlowTable(0.004)
    features = [
        looked_up("first", "a"),
        looked_up("second", "b", key="risk.a"),
        log_of("c", "risk.b"),
        looked_up("slow", "d", default=0),
    ]
    computing = Computing(
        declared(features, tables=[a_table("first"), a_table("second"), a_table("slow")]),
        {"first": first, "second": second, "slow": SlowTable(1.0)},
    )

    values = await computing.get("a", "b", "c")

    assert computing.clock() == pytest.approx(0.007)
    assert second.asked == [[70]]
    assert values["c"].value == pytest.approx(6.5525, abs=1e-4)


async def test_a_row_that_was_looked_up_before_is_not_looked_up_for_what_comes_later() -> None:
    table = SlowTable(0.001)
    features = [looked_up("t", "a", key="user.id"), looked_up("u", "b", key="user.id")]
    features.append(looked_up("t", "c", key="risk.b"))
    same = SlowTable(0.002)
    computing = Computing(
        declared(features, tables=[a_table("t"), a_table("u")]), {"t": table, "u": same}
    )
    computing.users.found = computing.users.found._replace(value=0)

    values = await computing.get(id=0)

    assert table.asked == [[0]]
    assert values["c"].value == 0


async def test_one_failing_feature_does_not_fail_the_vector() -> None:
    """Defect 12 of the design documents: a vector that fails with one of its features."""
    features = [
        looked_up("down", "a"),
        looked_up("down", "b", default=5),
        looked_up("up", "c"),
        log_of("d", "user.age"),
    ]
    computing = Computing(
        declared(features, tables=[a_table("down"), a_table("up")]),
        {"down": failing(), "up": SlowTable()},
    )

    (found,) = await computing.fetch(computing.lookup())

    values = named(found)
    assert values["a"] == Value(None, TIMED_OUT, None, "")
    assert values["b"] == Value(5, TIMED_OUT, None, "default")
    assert values["c"].status is PRESENT
    assert values["d"].status is PRESENT
    assert found.status is TIMED_OUT


async def test_what_is_computed_from_a_default_that_stands_in_for_what_is_late_says_so() -> None:
    features = [looked_up("down", "a", default=0), log_of("b", "risk.a")]
    computing = Computing(declared(features, tables=[a_table("down")]), {"down": failing()})

    values = await computing.get("b")

    assert values["b"] == Value(0.0, TIMED_OUT, None, "computed")._replace(event_us=NOW_US)


async def test_a_required_feature_that_cannot_come_ends_the_wait_for_the_others() -> None:
    slow = SlowTable(0.015)
    features = [looked_up("down", "a", required=True), looked_up("slow", "b")]
    computing = Computing(
        declared(features, tables=[a_table("down"), a_table("slow")]),
        {"down": failing(0.002), "slow": slow},
    )

    (found,) = await computing.fetch(computing.lookup())

    assert computing.clock() == pytest.approx(0.002)
    assert found.lacking == ["risk:a"]
    assert found.status is TIMED_OUT
    await asyncio.sleep(0)
    assert slow.cancelled == 1


async def test_what_is_lacking_for_good_is_not_called_late_because_the_rest_was_given_up() -> None:
    features = [looked_up("empty", "a", required=True), looked_up("slow", "b")]
    computing = Computing(
        declared(features, tables=[a_table("empty"), a_table("slow")]),
        {"empty": SlowTable(only=[]), "slow": SlowTable(0.015)},
    )

    (found,) = await computing.fetch(computing.lookup())

    assert computing.clock() == 0
    assert found.lacking == ["risk:a"]
    assert named(found)["a"].status is MISSING
    assert found.status is PRESENT


async def test_an_entity_without_a_required_feature_does_not_end_the_wait_for_others() -> None:
    slow = SlowTable(0.01)
    features = [looked_up("some", "a", required=True), looked_up("slow", "b")]
    computing = Computing(
        declared(features, tables=[a_table("some"), a_table("slow")]),
        {"some": SlowTable(0.001, only=[7]), "slow": slow},
    )

    whole, lacking = await computing.fetch(computing.lookup(id=7), computing.lookup(id=8))

    assert [value.value for value in whole.values] == [70, 70]
    assert lacking.lacking == ["risk:a"]


async def test_what_is_given_up_for_one_entity_is_looked_up_for_another_that_comes_later() -> None:
    features = [
        looked_up("some", "a", required=True),
        looked_up("keys", "b"),
        looked_up("shared", "c", key="request.other"),
        looked_up("shared", "d", key="risk.b"),
    ]
    names = ("some", "keys", "shared")
    computing = Computing(
        declared(features, tables=map(a_table, names), request=[a_column("other")]),
        {"some": SlowTable(0.001, only=[]), "keys": SlowTable(0.002), "shared": SlowTable(0.01)},
    )

    _, late = await computing.fetch(
        computing.lookup("a", "c", id=8, given={"other": 70}), computing.lookup("b", "d", id=7)
    )

    assert named(late)["d"] == Value(700, PRESENT, EVENT_US, "computed")
    assert computing.clock() == pytest.approx(0.012)


async def test_a_required_feature_that_is_not_read_has_nothing_looked_up() -> None:
    slow = SlowTable(0.01)
    features = [log_of("a", "user.age", required=True), looked_up("slow", "b")]
    computing = Computing(declared(features, tables=[a_table("slow")]), {"slow": slow})
    computing.users.found = Value(None, TIMED_OUT, None, "")

    (found,) = await computing.fetch(computing.lookup())

    assert slow.asked == []
    assert found.lacking == ["risk:a"]


def takes(computing: Computing, each_s: float) -> None:
    """Have the engine's clock tell that every entity takes so long."""
    looks = count()
    computing.engine._clock = lambda: computing.clock() + next(looks) * each_s


async def test_who_computes_for_many_lets_others_have_their_turn() -> None:
    turns = 0

    async def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    computing = Computing(declared([log_of("a", "user.age")]))
    takes(computing, TURN_S / 10)
    other = asyncio.create_task(another())

    await computing.fetch(*(computing.lookup(id=id) for id in range(200)))

    other.cancel()
    assert turns >= 15


async def test_a_slow_expression_is_computed_for_one_entity_at_a_time() -> None:
    computing = Computing(declared([log_of("a", "user.age")]))
    takes(computing, 10 * TURN_S)
    within = Deadline.after(25 * TURN_S, now=computing.clock())

    lookups = [computing.lookup(id=id) for id in range(9)]
    found = await computing.engine.fetch(CALL, within, lookups)

    assert {each.values[0].status for each in found} == {PRESENT, TIMED_OUT}


async def test_what_there_is_no_time_to_compute_is_late_and_the_rest_is_given() -> None:
    computing = Computing(declared([log_of("a", "user.age", default=0.0)]))
    takes(computing, TURN_S / 10)
    within = Deadline.after(10 * TURN_S, now=computing.clock())

    lookups = [computing.lookup(id=id) for id in range(200)]
    found = await computing.engine.fetch(CALL, within, lookups)

    statuses = [each.values[0].status for each in found]
    assert 50 < statuses.count(PRESENT) < 100
    assert statuses == sorted(statuses, key=[PRESENT, TIMED_OUT].index)
    assert found[-1].values[0] == Value(0.0, TIMED_OUT, None, "default")
    assert found[-1].status is TIMED_OUT


async def test_computing_for_many_is_no_waiting() -> None:
    """Only waiting is limited to less than the caller's deadline."""
    computing = Computing(declared([log_of("a", "user.age")]))
    takes(computing, BUDGET_S / 10)
    within = Deadline.after(30.0, now=computing.clock())

    lookups = [computing.lookup(id=id) for id in range(200)]
    found = await computing.engine.fetch(CALL, within, lookups)

    assert {each.values[0].status for each in found} == {PRESENT}


async def test_a_view_that_is_asked_for_in_parts_is_looked_up_although_something_is_lacking() -> (
    None
):
    features = [looked_up("empty", "a", required=True), looked_up("slow", "b")]
    computing = Computing(
        declared(features, tables=[a_table("empty"), a_table("slow")]),
        {"empty": SlowTable(only=[]), "slow": SlowTable(0.015)},
    )
    within = Deadline.after(30.0, now=computing.clock())

    (found,) = await computing.engine.fetch(CALL, within, [computing.lookup()], part_by_part=True)

    assert named(found)["a"].status is MISSING
    assert named(found)["b"].status is PRESENT


async def test_a_caller_who_leaves_leaves_nothing_behind() -> None:
    tables = {"a": SlowTable(0.01), "b": SlowTable(0.01)}
    computing = Computing(
        declared([looked_up("a", "x"), looked_up("b", "y")], tables=[a_table("a"), a_table("b")]),
        tables,
    )
    caller = asyncio.create_task(computing.get())
    await asyncio.sleep(0.005)

    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await asyncio.sleep(0)

    assert others() == []
    assert [table.cancelled for table in tables.values()] == [1, 1]


async def test_a_caller_who_leaves_while_views_are_read_leaves_nothing_behind() -> None:
    table = SlowTable(0.02)
    computing = Computing(
        declared(
            [looked_up("t", "a", key="request.other"), log_of("b", "user.age")],
            tables=[a_table("t")],
            request=[a_column("other")],
        ),
        {"t": table},
        Users(0.01),
    )
    caller = asyncio.create_task(computing.get(given={"other": 1}))
    await asyncio.sleep(0.005)

    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await asyncio.sleep(0)

    assert (table.cancelled, others()) == (1, [])


async def test_a_table_that_fails_when_it_is_given_up_troubles_nobody() -> None:
    complaints: list[Mapping[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))

    class Sulking(SlowTable):
        async def get(self, call: Call, deadline: Deadline, keys: Sequence[Held]) -> Rows:
            try:
                return await super().get(call, deadline, keys)
            except asyncio.CancelledError:
                raise ValueError("do not interrupt me") from None

    computing = Computing(
        declared([looked_up("t", "a")], tables=[a_table("t")]), {"t": Sulking(0.1)}
    )

    values = await computing.get()
    await asyncio.sleep(0.001)
    gc.collect()

    assert values["a"].status is TIMED_OUT
    assert complaints == []


async def test_a_bug_in_a_table_is_not_taken_for_a_late_answer() -> None:
    broken, other = SlowTable(), SlowTable(0.01)
    broken.error = AssertionError("a bug")
    computing = Computing(
        declared([looked_up("a", "x"), looked_up("b", "y")], tables=[a_table("a"), a_table("b")]),
        {"a": broken, "b": other},
    )

    with pytest.raises(AssertionError, match="a bug"):
        await computing.get()
    await asyncio.sleep(0)

    assert others() == []


async def test_rows_at_hand_take_no_time_and_no_task() -> None:
    features = [looked_up("t", "a"), looked_up("t", "b", key="risk.a", default=-1)]
    computing = Computing(
        declared(features, tables=[a_table("t")]), {"t": TableAtHand({7: {"x": 1}})}
    )

    values = await computing.get()

    assert (values["a"].value, values["b"]) == (1, Value(-1, MISSING, None, "default"))


async def test_without_a_key_nothing_is_looked_up() -> None:
    table = SlowTable()
    computing = Computing(
        declared([looked_up("t", "a", key="user.age")], tables=[a_table("t")]), {"t": table}
    )
    computing.users.found = Value(None, Status.EXPIRED, None, "")

    values = await computing.get()

    assert values["a"].status is Status.EXPIRED
    assert table.asked == []


async def test_a_failing_table_leaves_no_garbage() -> None:
    computing = Computing(
        declared([looked_up("t", "a"), looked_up("u", "b")], tables=[a_table("t"), a_table("u")]),
        {"t": failing(), "u": SlowTable(0.1)},
    )

    async def act() -> None:
        await computing.get()
        await asyncio.sleep(0.001)

    assert await garbage_left_by(act) == 0
