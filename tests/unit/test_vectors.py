"""`inferd vectors`: a log in, vectors out, and what is wrong told with its line and field."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from inferd.app import main

T0_US = 1_760_000_000_000_000
MINUTE_US = 60_000_000

DEFINITIONS = """
entities: [{name: user, id: int64}, {name: shop}]
events:
  - name: payment
    fields:
      - {name: user, type: int64, required: true}
      - {name: at, type: string}
      - {name: amount, type: float64}
      - {name: token, type: bytes}
tables:
  - name: far
    redis_hash: "country:{}"
    key: {name: country, type: string}
    columns: [{name: v, type: float64}]
views:
  - name: profile
    entity: user
    features:
      - {name: country, type: string, default: XX}
      - {name: premium, type: bool}
      - {name: taste, type: "float_list[2]"}
      - {name: token, type: bytes}
  - name: spending
    entity: user
    events: payment
    features:
      - {name: spent, type: float64, aggregate: {function: sum, of: amount, window: 1h}}
      - {name: tokens, type: int64, aggregate: {function: distinct, of: token, window: 1h}}
  - name: takings
    entity: shop
    events: payment
    by: at
    features: [{name: taken, type: float64, aggregate: {function: sum, of: amount, window: 1h}}]
  - name: basket
    entity: user
    request: [{name: worth, type: float64}]
    features: [{name: share, type: float64, cel: "request.worth / spending.spent"}]
  - name: elsewhere
    entity: user
    features: [{name: v, type: float64, lookup: {table: far, key: profile.country, column: v}}]
"""


def a_row(minute: int, **values: Any) -> dict[str, Any]:
    at_us = T0_US + minute * MINUTE_US
    return {"row": {"view": "profile", "id": 7, "event_time_us": at_us, "values": values}}


def a_payment(minute: int, amount: Any = 2.0, **fields: Any) -> dict[str, Any]:
    at_us = T0_US + minute * MINUTE_US
    fields = {"user": 7, "amount": amount, **fields}
    named = {"event": "payment", "event_id": f"e{minute}", "event_time_us": at_us}
    return {"event": {**named, "fields": fields}}


def a_question(minute: int, id: Any = 7, entity: str = "user", **request: Any) -> dict[str, Any]:
    at_us = T0_US + minute * MINUTE_US
    return {"ask": {"entity": entity, "id": id, "at_us": at_us, "request": request}}


class Files:
    """What the command reads and writes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "definitions.yaml").write_text(DEFINITIONS)
        (directory / "config.yaml").write_text("features: {definitions: definitions.yaml}\n")

    def run(self, lines: Sequence[Any], features: str, *more: str) -> int:
        written = (each if isinstance(each, str) else json.dumps(each) for each in lines)
        log = self.directory / "log.jsonl"
        log.write_text("\n".join(written) + "\n")
        config = self.directory / "config.yaml"
        told = ("--config", str(config), "--log", str(log), "--features", features)
        return main(["vectors", *told, *more])


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_each_question_is_a_line_with_values_and_statuses(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        a_row(0, country="NL", token="AAEC", taste=[0.5, 1]),
        a_payment(1),
        a_payment(1),
        a_question(2, worth=1),
        "",
        a_payment(3, at="bakery"),
        a_question(3, "7"),
        a_question(3, "bakery", entity="shop"),
    ]

    assert files.run(lines, "profile,spending:spent,basket:share,takings:taken") == 0

    first, second, third = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {
        "entity": "user",
        "id": 7,
        "at_us": T0_US + 2 * MINUTE_US,
        "values": {
            "profile:country": "NL",
            "profile:premium": None,
            "profile:taste": [0.5, 1.0],
            "profile:token": "AAEC",
            "spending:spent": 2.0,
            "basket:share": 0.5,
        },
        "statuses": {
            "profile:country": "PRESENT",
            "profile:premium": "MISSING",
            "profile:taste": "PRESENT",
            "profile:token": "PRESENT",
            "spending:spent": "PRESENT",
            "basket:share": "PRESENT",
        },
    }
    assert second["values"]["spending:spent"] == 4.0
    assert second["statuses"]["basket:share"] == "MISSING"
    assert third["values"] == {"takings:taken": 2.0}


def test_a_table_has_a_column_for_each_feature_and_for_its_status(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    out = files.directory / "out.csv"
    lines = [
        a_row(0, country="Côte d'Ivoire, Abidjan", premium=True, token="AAEC", taste=[0.5, 1]),
        a_question(1),
        a_question(1, "bakery", entity="shop"),
    ]

    assert files.run(lines, "profile,takings", "--out", str(out)) == 0

    with out.open(newline="") as table:
        user, shop = csv.DictReader(table)
    assert user["id"] == "7"
    assert user["profile:country"] == "Côte d'Ivoire, Abidjan"
    assert user["profile:premium"] == "true"
    assert user["profile:premium.status"] == "PRESENT"
    assert user["profile:taste"] == "[0.5,1.0]"
    assert user["profile:token"] == "AAEC"
    assert (user["takings:taken"], user["takings:taken.status"]) == ("", "")
    assert (shop["takings:taken"], shop["takings:taken.status"]) == ("", "MISSING")
    assert capsys.readouterr().out == f"{out}: 2 questions, 1 rows STORED\n"


def test_events_of_a_stream_are_events_too(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    event = {
        "id": "s1",
        "timestamp": "2025-10-09T08:54:00.5Z",
        "event_type": "payment",
        "user_id": "7",
        "data": {"amount": 2.5, "token": "AAEC", "at": "bakery", "whatever": [1]},
    }
    other = {**event, "id": "s2", "event_type": "page_view"}

    assert files.run([event, other, a_question(1)], "spending") == 0

    (told,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert told["values"] == {"spending:spent": 2.5, "spending:tokens": 1}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (a_payment(1, "much"), "event.fields.amount: payment.amount: expected float64, got string"),
        (a_payment(1, token="%"), "event.fields.token: token: "),
        (a_payment(0), "event.event_time_us: it is 120 s older than what came before; 60 s may be"),
        ({"event": {"event": "payment"}}, "missing required field `event_id` - at `$.event`"),
        (a_row(1, county="NL"), "row.values.county: view profile has no feature 'county'"),
        (a_row(10**9), "row.event_time_us: the event is "),
        ({"row": {**a_row(1)["row"], "id": "x"}}, "row.id: ids of entity user are int64, not 'x'"),
        ({"row": {**a_row(1)["row"], "view": "prof"}}, "row.view: there is no view 'prof'"),
        (a_question(2, "x"), "ask.id: ids of entity user are int64"),
        (a_question(1), ":3: ask.at_us: something 60 s newer came before"),
        (a_question(2, entity="usr"), "ask.entity: no feature of 'usr' is asked for"),
        (a_question(2, wort=1), "ask.request.wort: nothing is computed with 'wort'; did you mean"),
        ({"id": "s1", "event_type": "payment"}, "the event is no event"),
        ({"fact": 1}, "a line is a row, an event, or a question (ask)"),
        (a_row(1) | a_payment(1), "a line is a row, an event, or a question (ask), not row and ev"),
        (a_question(2) | {"event_type": "payment"}, "(ask), not ask and event_type"),
        ("{", "Input data was truncated"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_field_and_nothing_is_written(
    files: Files, capsys: pytest.CaptureFixture[str], wrong: Any, says: str
) -> None:
    out = files.directory / "out.jsonl"

    assert files.run([a_question(1), a_row(2), wrong], "profile,spending", "--out", str(out)) == 2

    told = capsys.readouterr().err
    assert "log.jsonl:3: " in told
    assert says in told
    assert sorted(each.name for each in files.directory.iterdir()) == [
        "config.yaml",
        "definitions.yaml",
        "log.jsonl",
    ]


@pytest.mark.parametrize(
    ("features", "says"),
    [
        ("profil", "there is no view 'profil'; did you mean profile?"),
        ("profile:county", "view profile has no feature 'county'"),
        ("profile,profile:country", "profile:country is asked for twice"),
        ("profile,", "there is no view ''"),
        ("elsewhere", "view elsewhere needs what tables said that are no files"),
    ],
)
def test_features_that_cannot_be_told_are_refused_before_anything_is_read(
    files: Files, capsys: pytest.CaptureFixture[str], features: str, says: str
) -> None:
    assert files.run(["{"], features) == 2

    assert says in capsys.readouterr().err


def test_events_of_a_type_that_is_known_nowhere_are_told_at_the_end(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    route = {"model": "m", "inputs": {"x": ["data.amount"]}}
    declared = {"definitions": "definitions.yaml"}
    config = {"features": declared, "stream": {"routes": {"page_view": route}}}
    (files.directory / "config.yaml").write_text(json.dumps(config))
    event = {"id": "s1", "timestamp": "2025-10-09T08:54:00Z", "data": {}}
    types = ["paymnt", "page_view", "zz\x1b[2J", "paymnt"]

    lines = [{**event, "event_type": type} for type in types]
    assert files.run([*lines, a_question(1)], "profile") == 0

    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(
        "log.jsonl: events of type 'paymnt' are not declared, 2 left out; did you mean payment?"
    )
    assert "events of type 'zz\\x1b[2J' are not declared, 1 left out" in second


def test_a_file_that_is_no_table_and_no_lines_is_refused_before_anything_is_read(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    out = files.directory / "out.parquet"

    assert files.run(["{"], "profile", "--out", str(out)) == 2

    assert capsys.readouterr().err == (
        "inferd: --out: a file is .csv or .jsonl, got 'out.parquet'\n"
    )


def test_there_may_be_spaces_between_features(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    assert files.run([a_question(1)], " profile:country, spending:spent ") == 0

    (told,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert [*told["values"]] == ["profile:country", "spending:spent"]


def test_more_may_come_late_if_that_is_said(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [a_payment(30), a_payment(1), a_question(30)]

    assert files.run(lines, "spending:spent", "--slack-s", "1800") == 0

    (told,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert told["values"] == {"spending:spent": 4.0}
