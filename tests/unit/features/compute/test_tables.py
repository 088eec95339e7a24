"""Tables: files that are read at the start, functions that are asked, and what is refused."""

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from inferd.deadline import Deadline
from inferd.errors import CircuitOpen, DependencyFailed, InferdError, TimedOut
from inferd.features.compute.tables import MOST_KEYS, Tables
from inferd.features.compute.work import Rows
from inferd.features.declaration import DeclarationError
from inferd.features.kinds import Held
from inferd.features.values import Status
from inferd.telemetry.tables import TableMetrics
from support.computing import (
    CALL,
    Computing,
    a_column,
    a_table,
    a_toolbox,
    declared,
    log_of,
    looked_up,
)

COLUMNS = (
    a_column("x"),
    a_column("price", "float64"),
    a_column("open", "bool"),
    a_column("name", "string"),
    a_column("token", "bytes"),
    a_column("taste", "float_list[2]"),
)
WHOLE = {"x": 1, "price": 1.5, "open": True, "name": "é", "token": b"\0", "taste": (0.5, 1.0)}

Provided = Callable[[Callable[..., Any]], str]


@pytest.fixture
def provided(monkeypatch: pytest.MonkeyPatch) -> Provided:
    """Return what has a function found by a name, and returns the name."""

    def provide(function: Callable[..., Any]) -> str:
        module = ModuleType("shop")
        monkeypatch.setattr(module, "prices", function, raising=False)
        monkeypatch.setitem(sys.modules, "shop", module)
        return "shop:prices"

    return provide


def tables(*declarations: Any) -> Tables:
    definitions = declared([log_of("a", "user.age")], tables=declarations)
    return Tables(definitions, toolbox=a_toolbox(), redis=None)


def refusal(*declarations: Any) -> Sequence[str]:
    with pytest.raises(DeclarationError) as refused:
        tables(*declarations)
    return refused.value.problems


async def ask(it: Tables, *keys: Held, within_s: float = 30.0) -> Rows:
    now = asyncio.get_running_loop().time()
    return await it.sources["t"].get(CALL, Deadline.after(within_s, now=now), keys)


class TestFiles:
    async def test_csv_is_read_by_its_header_and_an_empty_cell_is_no_value(
        self, tmp_path: Path
    ) -> None:
        file = tmp_path / "shops.csv"
        file.write_text(
            "\ufeffnote,taste,token,name,open,price,x,id\r\n"
            'any,"[0.5, 1]",AA==,é,true,1.5,1,7\r\n'
            "\r\n"
            ",,,,,,,8\r\n"
        )

        it = tables(a_table("t", *COLUMNS, file=file))

        assert it.sources["t"].rows == {7: WHOLE, 8: {}}

    async def test_jsonl_is_read_and_null_is_no_value(self, tmp_path: Path) -> None:
        file = tmp_path / "shops.jsonl"
        file.write_text(
            '{"id":7,"x":1,"price":1.5,"open":true,"name":"é","token":"AA==","taste":[0.5,1]}\n'
            "\n"
            '{"id":8,"x":null,"note":"any"}\n'
        )

        it = tables(a_table("t", *COLUMNS, file=file))

        assert it.sources["t"].rows == {7: WHOLE, 8: {}}

    async def test_a_text_in_jsonl_may_have_what_elsewhere_ends_a_line(
        self, tmp_path: Path
    ) -> None:
        file = tmp_path / "shops.jsonl"
        file.write_text('{"id":7,"name":"a\u2028b\x85c"}\r\n{"id":8}\r\n', newline="")

        it = tables(a_table("t", *COLUMNS, file=file))

        assert it.sources["t"].rows == {7: {"name": "a\u2028b\x85c"}, 8: {}}

    async def test_every_wrong_line_is_named(self, tmp_path: Path) -> None:
        csv, jsonl = tmp_path / "a.csv", tmp_path / "b.jsonl"
        csv.write_text("id,x\n1,2\n1,3\n4\n,5\n6,1.5\nx,1\n9223372036854775808,1\n7,\n")
        jsonl.write_text('{"id":1,"x":1.5}\n7\n{"x":1}\n[]\n{"id":2,"x":true}\n')

        problems = refusal(a_table("a", file=csv), a_table("b", file=jsonl))

        assert [each.replace(str(tmp_path), "") for each in problems] == [
            "tables.a.file: /a.csv:3: 1 has a row already",
            "tables.a.file: /a.csv:4: expected 2 cells, got 1",
            "tables.a.file: /a.csv:5: id: a row has a key",
            "tables.a.file: /a.csv:6: x: expected int64, got '1.5'",
            "tables.a.file: /a.csv:7: id: expected int64, got 'x'",
            "tables.a.file: /a.csv:8: id: expected int64, got a number that is larger",
            "tables.b.file: /b.jsonl:1: x: expected int64, got float64",
            "tables.b.file: /b.jsonl:2: expected a JSON object (Expected `object`, got `int`)",
            "tables.b.file: /b.jsonl:3: id: a row has a key",
            "tables.b.file: /b.jsonl:4: expected a JSON object (Expected `object`, got `array`)",
            "tables.b.file: /b.jsonl:5: x: expected int64, got bool",
        ]

    async def test_of_a_file_that_is_all_wrong_the_first_problems_are_told(
        self, tmp_path: Path
    ) -> None:
        file = tmp_path / "a.csv"
        file.write_text("id,x\n" + "1,no\n" * 1000)

        assert len(refusal(a_table("t", file=file))) == 10

    @pytest.mark.parametrize(
        ("name", "content", "problem"),
        [
            ("a.csv", b"id,price\n", ":1: there is no column 'x'; there are id, price"),
            ("a.csv", b"", ":1: there is no column 'id'; there are none"),
            ("a.csv", b'id,x\n1,"2\n', ":2: unexpected end of data"),
            ("a.csv", b"id,x\n\xff,1\n", ": not valid UTF-8 (invalid start byte)"),
            ("a.tsv", b"", ": a table is .csv or .jsonl"),
            ("none.csv", None, ": No such file or directory"),
        ],
    )
    async def test_a_file_that_is_no_table_is_refused(
        self, tmp_path: Path, name: str, content: bytes | None, problem: str
    ) -> None:
        file = tmp_path / name
        if content is not None:
            file.write_bytes(content)

        assert refusal(a_table("t", file=file))[0] == f"tables.t.file: {file}{problem}"


class TestFunctions:
    async def test_a_coroutine_function_is_asked_once_for_the_keys_of_one_turn(
        self, provided: Provided
    ) -> None:
        asked = []

        async def prices(keys: list[int]) -> list[dict[str, int] | None]:
            asked.append(keys)
            await asyncio.sleep(0.001)
            return [None if key == 0 else {"x": key * 10} for key in keys]

        it = tables(a_table("t", function=provided(prices)))

        answers = await asyncio.gather(ask(it, 1, 2), ask(it, 2, 0), ask(it, 1))

        assert asked == [[1, 2, 0]]
        assert [*answers] == [{1: {"x": 10}, 2: {"x": 20}}, {2: {"x": 20}}, {1: {"x": 10}}]
        assert it.statistics["t"].sizes.count == 1

    async def test_more_keys_than_a_call_may_have_are_asked_for_in_parts(
        self, provided: Provided
    ) -> None:
        asked = []

        async def prices(keys: list[int]) -> list[dict[str, int]]:
            asked.append(len(keys))
            return [{"x": key} for key in keys]

        it = tables(a_table("t", function=provided(prices)))

        rows = await ask(it, *range(MOST_KEYS + 1))

        assert asked == [MOST_KEYS, 1]
        assert rows[MOST_KEYS] == {"x": MOST_KEYS}

    async def test_a_value_of_another_type_is_none_and_counted(self, provided: Provided) -> None:
        async def prices(keys: list[int]) -> list[dict[str, object]]:
            return [{"x": 1, "price": float("nan"), "open": 1, "name": "a", "taste": [1.0]}]

        it = tables(a_table("t", *COLUMNS, function=provided(prices)))

        assert await ask(it, 7) == {7: {"x": 1, "name": "a"}}
        assert it.statistics["t"].wrong == 3
        samples = {
            sample.name: sample.value
            for family in TableMetrics(it).collect()
            for sample in family.samples
        }
        assert samples["inferd_feature_table_wrong_total"] == 3

    async def test_values_of_numpys_are_taken(self, provided: Provided) -> None:
        async def prices(keys: list[int]) -> list[dict[str, object]]:
            return [{"x": np.int64(1), "price": np.float32(1.5), "taste": np.array([0.5, 1.0])}]

        it = tables(a_table("t", *COLUMNS, function=provided(prices)))

        assert await ask(it, 7) == {7: {"x": 1, "price": 1.5, "taste": (0.5, 1.0)}}

    @pytest.mark.parametrize("answer", [None, [], [{}, {}], [7], {"x": 1}, "x"])
    async def test_an_answer_that_is_no_list_of_rows_is_a_failure(
        self, provided: Provided, answer: object
    ) -> None:
        async def prices(keys: list[int]) -> object:
            return answer

        it = tables(a_table("t", function=provided(prices)))

        with pytest.raises(DependencyFailed, match=r"^the function of table t failed"):
            await ask(it, 7)

    async def test_why_a_function_fails_is_logged_once_until_it_works_again(
        self, provided: Provided, caplog: pytest.LogCaptureFixture
    ) -> None:
        works = False

        async def prices(keys: list[int]) -> list[None]:
            if not works:
                raise KeyError("no such shop")
            return [None for _ in keys]

        it = tables(a_table("t", function=provided(prices)))

        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                with pytest.raises(DependencyFailed, match="KeyError"):
                    await ask(it, 7)
            works = True
            assert await ask(it, 7) == {}
            works = False
            with pytest.raises(DependencyFailed):
                await ask(it, 7)

        assert [each.message for each in caplog.records] == ["the function of table t fails"] * 2

    async def test_when_it_is_closed_what_is_under_way_is_given_up(
        self, provided: Provided
    ) -> None:
        async def prices(keys: list[int]) -> list[None]:
            await asyncio.sleep(3600)
            raise AssertionError("it was given up")

        it = tables(a_table("t", function=provided(prices), timeout_ms=10_000))
        caller = asyncio.create_task(ask(it, 7))
        await asyncio.sleep(0.001)

        await it.close()

        with pytest.raises(asyncio.CancelledError):
            await caller

    @pytest.mark.parametrize(
        ("name", "problem"),
        [
            ("nowhere:prices", "nowhere:prices: No module named 'nowhere'"),
            ("json:prices", "json:prices: module 'json' has no attribute 'prices'"),
            ("json", "json: module 'json' has no attribute ''"),
            ("sys:maxsize", "sys:maxsize is no function"),
            (":prices", ":prices: Empty module name"),
        ],
    )
    async def test_a_function_that_is_not_there_is_refused(self, name: str, problem: str) -> None:
        assert refusal(a_table("t", function=name)) == (f"tables.t.function: {problem}",)


class TestGuards:
    async def test_a_table_that_sleeps_100_ms_costs_its_timeout_and_the_default_stands_in(
        self, provided: Provided
    ) -> None:
        async def prices(keys: list[int]) -> list[dict[str, int]]:
            await asyncio.sleep(0.1)
            return [{"x": 1} for _ in keys]

        features = [looked_up("t", "a", default=-1), looked_up("u", "b", default=-1)]
        name = provided(prices)
        definitions = declared(
            features,
            tables=[a_table("t", function=name), a_table("u", function=name, timeout_ms=1000)],
        )
        it = Tables(definitions, toolbox=a_toolbox(), redis=None)
        computing = Computing(definitions, it.sources)

        values = await computing.get()

        assert computing.clock() <= 0.025
        assert {value.status for value in values.values()} == {Status.TIMED_OUT}
        assert {value.value for value in values.values()} == {-1}

    async def test_a_table_that_keeps_failing_is_left_alone_and_tried_again(
        self, provided: Provided
    ) -> None:
        calls, error = 0, True

        async def prices(keys: list[int]) -> list[dict[str, int]]:
            nonlocal calls
            calls += 1
            if error:
                raise OSError("it is down")
            return [{"x": 1} for _ in keys]

        definitions = declared(
            [looked_up("t", "a", default=-1)], tables=[a_table("t", function=provided(prices))]
        )
        it = Tables(definitions, toolbox=a_toolbox(), redis=None)
        computing = Computing(definitions, it.sources)

        told: set[type[InferdError]] = set()
        for _ in range(100):
            try:
                await ask(it, 7)
            except InferdError as raised:
                told.add(type(raised))
        while_down, calls_while_down = await computing.get(), calls
        error = False
        await asyncio.sleep(1.5)
        again = await computing.get()

        assert told == {DependencyFailed, CircuitOpen}
        assert calls_while_down < 40
        assert while_down["a"].status is Status.TIMED_OUT
        assert again["a"].value == 1

    async def test_a_table_has_the_timeout_it_declares(self, provided: Provided) -> None:
        async def prices(keys: list[int]) -> list[None]:
            await asyncio.sleep(1)
            return [None for _ in keys]

        it = tables(a_table("t", function=provided(prices), timeout_ms=5))
        loop = asyncio.get_running_loop()

        with pytest.raises(TimedOut):
            await ask(it, 7)

        assert loop.time() == pytest.approx(0.005, abs=0.001)


async def test_a_table_in_redis_needs_a_redis() -> None:
    problems = refusal(a_table("t", redis_hash="shop:{}"), a_table("u", function="json:no"))

    assert problems == (
        "tables.t.redis_hash: the configuration has no redis.url",
        "tables.u.function: json:no: module 'json' has no attribute 'no'",
    )


async def test_a_list_is_no_key_and_a_column_is_declared_once() -> None:
    table = a_table("t", a_column("x"), a_column("x"), key="float_list[2]")

    assert refusal(table) == (
        "tables.t.columns.x: declared 2 times",
        "tables.t.key.type: a list is no key",
    )
