"""What may be recorded, and what whoever records something else is told."""

import math
from typing import Any

import pytest

from inferd.errors import InvalidRequest
from inferd.features.aggregates.events import CheckedEvent, EventWrite, checked_event
from inferd.features.aggregates.views import AggregatedView
from inferd.features.definitions import US, Definitions
from inferd.features.writing import EARLIEST_US, REMEMBERED_US, Limits
from support.aggregates import DECLARED

NOW_US = 1_800_000_000 * US
LIMITS = Limits(max_bytes=100, ahead_us=300 * US)
DEFINITIONS = Definitions.read(DECLARED)
VIEWS = [
    AggregatedView(DEFINITIONS.views[name], ahead_us=LIMITS.ahead_us)
    for name in ("spending", "takings")
]


def check(
    event: str = "payment", *, ago_us: int = 0, id: str = "e", of: Any = VIEWS, **fields: Any
) -> CheckedEvent:
    write = EventWrite(DEFINITIONS.events[event], id, NOW_US - ago_us, fields)
    return checked_event(write, of, now_us=NOW_US, limits=LIMITS, field="events[3]")


def refused(**given: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as error:
        check(**given)
    return error.value


def test_each_view_gets_the_fields_that_it_reads_for_the_entity_that_the_event_names() -> None:
    event = check(user=7, shop="ü:1", amount=2, online=True)

    assert event[:3] == ("payment", "e", NOW_US)
    assert [(each.of, each.key, each.values) for each in event.shares] == [
        (VIEWS[0], "spending:1:7", (2.0, None)),
        (VIEWS[1], "takings:1:ü:1", (2.0, 7)),
    ]


def test_an_event_is_not_of_the_entity_that_it_does_not_name() -> None:
    assert [each.of for each in check(user=7).shares] == [VIEWS[0]]
    assert [each.of for each in check(user=7, shop=None).shares] == [VIEWS[0]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"amount": "7"}, "payment.amount: expected float64, got string"),
        ({"amount": math.nan}, "payment.amount: expected a finite float64, got nan"),
        ({"amount": -math.inf}, "payment.amount: expected a finite float64, got -inf"),
        ({"amount": 10**400}, "payment.amount: expected a finite float64, got inf"),
        ({"items": 1.0}, "payment.items: expected int64, got float64"),
        ({"items": 2**63}, "payment.items: expected int64, got a number that is larger"),
        ({"online": 1}, "payment.online: expected bool, got int64"),
        ({"device": "\ud800"}, "payment.device: expected string, got text that has no UTF-8"),
        ({"token": "x"}, "payment.token: expected bytes, got string"),
        ({"amuont": 1}, "event payment has no field 'amuont'; did you mean amount?"),
        ({"user": None}, "payment.user: it is required, and left out or null"),
        ({"user": "7"}, "payment.user: expected int64, got string"),
        ({"shop": ""}, "ids of entity merchant are strings of 1 to 512 bytes, not ''"),
    ],
)
def test_a_field_that_is_wrong_is_told_by_name(fields: dict[str, Any], message: str) -> None:
    error = refused(**{"user": 1, **fields})

    (violation,) = error.violations
    assert violation.description.startswith(message)
    assert violation.field == f"events[3].fields.{next(iter(fields))}"


def test_all_that_is_wrong_with_an_event_is_told_at_once() -> None:
    error = refused(id="", ago_us=-301 * US, amount="x", items="x", nobody=1)

    assert {each.field for each in error.violations} == {
        "events[3].event_id",
        "events[3].event_time_us",
        "events[3].fields.user",
        "events[3].fields.amount",
        "events[3].fields.items",
        "events[3].fields.nobody",
    }


@pytest.mark.parametrize("id", ["", "x" * 129, "ü" * 65, "\ud800"])
def test_ids_of_events_are_of_1_to_128_bytes(id: str) -> None:
    (violation,) = refused(user=1, id=id).violations

    assert violation.field == "events[3].event_id"
    assert check(user=1, id="ü" * 64).event_id == "ü" * 64


def test_an_event_is_neither_from_the_future_nor_from_before_2000() -> None:
    assert check(user=1, ago_us=-300 * US).event_us == NOW_US + 300 * US
    assert check(user=1, ago_us=NOW_US - EARLIEST_US).event_us == EARLIEST_US
    assert "301 s in the future; 300 s may be" in str(refused(user=1, ago_us=-301 * US))
    assert "is that the right unit?" in str(refused(user=1, ago_us=NOW_US - EARLIEST_US + 1))


def test_texts_that_are_too_large_together_are_refused_by_the_name_of_the_largest() -> None:
    error = refused(user=1, shop="x", device="ü" * 40, token=b"x" * 20)

    assert error.violations[0].field == "events[3].fields.device"
    assert "may have 100 bytes together, these have 101; device is the largest" in str(error)


def test_an_event_of_nobody_is_refused() -> None:
    assert "it says none of shop" in str(refused(user=1, of=VIEWS[1:]))
    assert "no view is of events visit" in str(refused(event="visit", page="x", of=[]))


def test_a_state_is_kept_until_even_an_event_from_the_future_is_in_no_window() -> None:
    assert VIEWS[0].keep_s == 3600 + 300 + REMEMBERED_US / US
