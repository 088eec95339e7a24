"""What was known when, told from what happened: as a server would have told it, and no earlier."""

from collections.abc import Mapping
from typing import Any

import pytest

from inferd.cache.blobs import Written
from inferd.errors import InvalidRequest
from inferd.features.aggregates.backlog import Recorded
from inferd.features.aggregates.events import EventWrite
from inferd.features.compute.work import Rows
from inferd.features.definitions import US, Definitions
from inferd.features.history import History
from inferd.features.values import Lookup, Status, Value
from inferd.features.writing import Limits, Write

T0_US = 1_760_000_000 * US
HOUR_S = 3600

DECLARED: Mapping[str, Any] = {
    "entities": [{"name": "user", "id": "int64"}],
    "events": [
        {
            "name": "payment",
            "fields": [
                {"name": "user", "type": "int64", "required": True},
                {"name": "amount", "type": "float64"},
            ],
        },
        {"name": "visit", "fields": [{"name": "user", "type": "int64"}]},
    ],
    "tables": [
        {
            "name": name,
            "key": {"name": "country", "type": "string"},
            "columns": [{"name": "risk", "type": "float64"}],
            **source,
        }
        for name, source in {
            "near": {"file": "/countries.csv"},
            "far": {"redis_hash": "country:{}"},
        }.items()
    ],
    "views": [
        {
            "name": "profile",
            "entity": "user",
            "ttl_s": HOUR_S,
            "features": [{"name": "country", "type": "string", "default": "XX"}],
        },
        {
            "name": "spending",
            "entity": "user",
            "events": "payment",
            "features": [
                {
                    "name": "payments",
                    "type": "int64",
                    "default": -1,
                    "aggregate": {"function": "count", "window": "10m"},
                },
                {
                    "name": "spent",
                    "type": "float64",
                    "aggregate": {"function": "sum", "of": "amount", "window": "10m"},
                },
            ],
        },
        {
            "name": "risk",
            "entity": "user",
            "cache_ttl_s": HOUR_S,
            "features": [
                {
                    "name": "country",
                    "type": "float64",
                    "default": 0.5,
                    "lookup": {"table": "near", "key": "profile.country", "column": "risk"},
                },
                {"name": "score", "type": "float64", "cel": "risk.country * spending.spent"},
            ],
        },
        {
            "name": "far",
            "entity": "user",
            "cache_ttl_s": 1,
            "features": [
                {
                    "name": "risk",
                    "type": "float64",
                    "default": 0.75,
                    "lookup": {"table": "far", "key": "profile.country", "column": "risk"},
                }
            ],
        },
        {
            "name": "farther",
            "entity": "user",
            "features": [{"name": "risk", "type": "float64", "cel": "far.risk * 2.0"}],
        },
    ],
}
COUNTRIES: Rows = {"NL": {"risk": 0.125}}


class Told:
    """A history as it is asked in tests. Times are seconds."""

    def __init__(self) -> None:
        self.definitions = Definitions.read(DECLARED)
        limits = Limits(1000, 300 * US)
        self.history = History(self.definitions, {"near": COUNTRIES}, limits=limits)

    def row(self, at_s: float, user: int = 1, **values: object) -> Written:
        view = self.definitions.views["profile"]
        return self.history.write(Write(view, user, us(at_s), values))

    def pay(self, at_s: float, amount: object = 1.0, *, id: str = "", user: int = 1) -> Recorded:
        fields = {"user": user, "amount": amount}
        event = self.definitions.events["payment"]
        return self.history.record(EventWrite(event, id or f"e{at_s}", us(at_s), fields))

    def values(self, at_s: float, view: str, user: int = 1) -> dict[str, Value]:
        it = self.definitions.views[view]
        (found,) = self.history.ask([Lookup(it, user, it.everything)], us(at_s))
        return dict(zip(it.places, found.values, strict=True))

    def ask(self, at_s: float, name: str, user: int = 1) -> tuple[object, Status]:
        view, _, feature = name.partition(":")
        value = self.values(at_s, view, user)[feature]
        return value.value, value.status


def us(at_s: float) -> int:
    return T0_US + round(at_s * US)


def test_an_answer_has_what_had_come_and_nothing_else() -> None:
    told = Told()

    assert told.ask(0, "profile:country") == ("XX", Status.MISSING)
    assert told.row(1, country="NL") is Written.STORED
    assert told.ask(1, "profile:country") == ("NL", Status.PRESENT)
    assert told.row(2, country=None) is Written.STORED
    assert told.ask(3, "profile:country") == (None, Status.NULL)
    assert told.row(1, country="BE") is Written.OLDER
    assert told.row(2, country="BE") is Written.SAME
    assert told.ask(3, "profile:country") == (None, Status.NULL)
    assert told.ask(3, "profile:country", user=2) == ("XX", Status.MISSING)


def test_a_window_has_what_the_definition_says() -> None:
    told, paid = Told(), list[float]()

    for at_s in range(0, 3000, 7):
        told.pay(at_s, at_s / 4)
        paid.append(at_s)
        if at_s % 10 == 0:  # a tile of ten seconds ends
            within = [each for each in paid if at_s - 600 < each <= at_s]
            told_now = told.values(at_s, "spending")
            assert told_now["payments"].value == len(within)
            assert told_now["spent"].value == sum(within) / 4
            assert told_now["spent"].event_us == us(at_s)


def test_an_event_counts_once_and_one_that_is_too_old_never() -> None:
    told = Told()

    assert told.pay(1000, id="a") is Recorded.ADDED
    assert told.pay(1000, id="a") is Recorded.DUPLICATE
    assert told.pay(990, id="late") is Recorded.ADDED
    assert told.pay(400, id="later") is Recorded.TOO_OLD
    assert told.ask(1000, "spending:payments") == (2, Status.PRESENT)


def test_what_a_store_forgets_is_forgotten() -> None:
    told = Told()
    told.row(0, country="NL")
    told.pay(0)

    keep_s = 600 + 300 + 600  # the window, how far ahead an event may be, and a while
    assert told.ask(keep_s - 1, "spending:payments") == (0, Status.PRESENT)
    assert told.ask(keep_s, "spending:payments") == (-1, Status.MISSING)
    assert told.ask(HOUR_S + 599, "profile:country") == ("XX", Status.EXPIRED)
    assert told.ask(HOUR_S + 600, "profile:country") == ("XX", Status.MISSING)

    told.pay(2 * HOUR_S)
    assert told.ask(2 * HOUR_S + 601, "spending:payments") == (0, Status.PRESENT)


def test_features_are_computed_when_they_are_asked_for_also_those_that_are_cached() -> None:
    told = Told()
    told.row(0, country="NL")
    told.pay(1, 8.0)

    assert told.ask(1, "risk:score") == (1.0, Status.PRESENT)
    told.pay(2, 8.0)
    assert told.ask(2, "risk:score") == (2.0, Status.PRESENT)
    told.row(3, country="DE")
    assert told.ask(3, "risk:country") == (0.5, Status.MISSING)


def test_what_nobody_wrote_down_is_as_good_as_not_read_in_time_and_can_be_known_before() -> None:
    told = Told()
    told.row(0, country="NL")
    views = told.definitions.views

    assert told.ask(1, "far:risk") == (0.75, Status.TIMED_OUT)
    assert {
        name: told.history.unknown_tables(view, view.everything) for name, view in views.items()
    } == {"profile": set(), "spending": set(), "risk": set(), "far": {"far"}, "farther": {"far"}}


def test_the_future_is_not_asked() -> None:
    told = Told()
    told.pay(10)

    with pytest.raises(InvalidRequest, match=r"something 0\.5 s newer came before") as caught:
        told.ask(9.5, "spending:payments")

    assert [each.field for each in caught.value.violations] == ["at_us"]
    assert told.ask(10, "spending:payments") == (1, Status.PRESENT)


def test_what_a_server_refuses_is_refused_and_changes_nothing() -> None:
    told = Told()
    told.pay(1)
    visit = told.definitions.events["visit"]

    with pytest.raises(InvalidRequest, match="expected float64, got string"):
        told.pay(100, "much")
    with pytest.raises(InvalidRequest, match="view profile has no feature 'county'"):
        told.row(100, county="NL")
    with pytest.raises(InvalidRequest, match="no view is of events visit"):
        told.history.record(EventWrite(visit, "v", us(100), {"user": 1}))
    with pytest.raises(InvalidRequest, match="view spending is aggregated"):
        told.history.write(Write(told.definitions.views["spending"], 1, us(100), {}))

    assert told.history.now_us == us(1)
    assert told.ask(1, "spending:payments") == (1, Status.PRESENT)
