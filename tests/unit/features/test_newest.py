"""Lists of what somebody did last: how they are declared, and what is in them."""

import copy
from typing import Any

import pytest

from inferd.errors import InvalidRequest
from inferd.features.aggregates.events import EventWrite
from inferd.features.declaration import DeclarationError
from inferd.features.definitions import US, Definitions
from inferd.features.history import History
from inferd.features.kinds import MAX_TEXTS, Kind
from inferd.features.values import Lookup
from inferd.features.windows import Aggregate, Function, Newest, Plan, State
from inferd.features.writing import Limits

NOW = 1_760_000_000 * US
LIMITS = Limits(10_000, 300 * US)


def a_list(name: str, of: str, *, count: int = 100, window: str = "90d") -> dict[str, Any]:
    aggregate = {"function": "newest", "of": of, "count": count, "window": window}
    return {"name": name, "type": "string_list", "default": [], "aggregate": aggregate}


DECLARED: dict[str, Any] = {
    "entities": [{"name": "user"}],
    "events": [
        {
            "name": "page_view",
            "fields": [
                {"name": "user", "type": "string"},
                {"name": "item", "type": "string"},
                {"name": "seconds", "type": "int64"},
            ],
        },
        {
            "name": "purchase",
            "fields": [
                {"name": "user", "type": "string", "required": True},
                {"name": "item", "type": "string", "required": True},
                {"name": "amount", "type": "float64"},
            ],
        },
        {"name": "ping", "fields": [{"name": "item", "type": "int64"}]},
    ],
    "views": [
        {
            "name": "recent",
            "entity": "user",
            "events": ["page_view", "purchase"],
            "features": [
                a_list("items", "item"),
                a_list("kinds", "event.name"),
                a_list("times", "event.time_us"),
                a_list("last_two", "item", count=2, window="1h"),
                {
                    "name": "kinds_1h",
                    "type": "int64",
                    "aggregate": {"function": "distinct", "of": "event.name", "window": "1h"},
                },
            ],
        },
        {
            "name": "likes",
            "entity": "user",
            "features": [
                {"name": "brands", "type": "string_list", "default": ["none"]},
            ],
        },
        {
            "name": "made",
            "entity": "user",
            "features": [
                {
                    "name": "again",
                    "type": "bool",
                    "default": False,
                    "cel": "recent.items[0] in recent.items.filter(each, each == 'b')",
                },
            ],
        },
    ],
}
DEFINITIONS = Definitions.read(DECLARED)


GOLDEN = (
    "92cf0004000000000000c429584a7e5494cf000640b5eece000091cff6fc42039fba37769192cf"
    "000640b5eece000092a161c39190"
)
"""The state of that event, as bytes."""


def a_history() -> History:
    return History(DEFINITIONS, {}, limits=LIMITS)


def happen(history: History, name: str, id: str, ago_s: float = 0, **fields: object) -> str:
    write = EventWrite(DEFINITIONS.events[name], id, NOW - round(ago_s * US), fields)
    return history.record(write).name


def asked(history: History, view: str = "recent") -> dict[str, Any]:
    it = DEFINITIONS.views[view]
    (found,) = history.ask([Lookup(it, "u", it.everything)], NOW)
    return {name: found.values[place].value for name, place in it.places.items()}


def problems(*path: str | int, of: Any) -> list[str]:
    """Return what is wrong once something is declared otherwise."""
    data = copy.deepcopy(DECLARED)
    at: Any = data
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = of
    with pytest.raises(DeclarationError) as wrong:
        Definitions.read(data)
    return [*wrong.value.problems]


def test_what_somebody_did_is_told_the_newest_first_each_with_its_kind_and_time() -> None:
    history = a_history()
    happen(history, "page_view", "1", 50, user="u", item="a")
    happen(history, "purchase", "2", 30, user="u", item="b", amount=2.5)
    happen(history, "page_view", "3", 40, user="u", item="c")  # it comes late

    told = asked(history)
    assert told["items"] == ("b", "c", "a")
    assert told["kinds"] == ("purchase", "page_view", "page_view")
    assert told["times"] == tuple(str(NOW - ago * US) for ago in (30, 40, 50))
    assert told["last_two"] == ("b", "c")
    assert told["kinds_1h"] == 2
    assert asked(history, "made") == {"again": True}


def test_an_event_that_lacks_one_of_the_fields_is_in_no_list() -> None:
    history = a_history()
    happen(history, "page_view", "1", 50, user="u", item="a")
    happen(history, "page_view", "2", 40, user="u", seconds=3)

    told = asked(history)
    assert (told["items"], told["kinds"]) == (("a",), ("page_view",))


def test_the_same_event_is_in_a_list_once() -> None:
    history = a_history()
    assert happen(history, "page_view", "1", 50, user="u", item="a") == "ADDED"
    assert happen(history, "page_view", "1", 50, user="u", item="a") == "DUPLICATE"
    assert happen(history, "page_view", "2", 50, user="u", item="a") == "ADDED"

    assert asked(history)["items"] == ("a", "a")


def test_of_nobody_there_is_the_default_and_of_an_empty_window_an_empty_list() -> None:
    history = a_history()
    assert asked(history, "likes")["brands"] == ("none",)
    happen(history, "page_view", "1", 7200, user="u", item="a")

    told = asked(history)
    assert (told["items"], told["last_two"]) == (("a",), ())


def test_a_text_that_is_too_long_for_a_list_is_refused_with_its_field() -> None:
    history = a_history()
    happen(history, "purchase", "1", 2, user="u", item="ä" * 256)

    with pytest.raises(InvalidRequest, match="in lists of view recent, texts have up to 512") as no:
        happen(history, "purchase", "2", 1, user="u", item="ä" * 256 + "x")
    assert [each.field for each in no.value.violations] == ["fields.item"]


@pytest.mark.parametrize(
    ("aggregate", "said"),
    [
        ({"function": "newest", "of": "item", "window": "1d"}, "count: the newest have one"),
        ({"function": "newest", "count": 3, "window": "1d"}, "of: which field is newest of?"),
        ({"function": "count", "count": 3, "window": "1d"}, "count: the newest have one"),
        ({"function": "newest", "of": "item", "count": 0, "window": "1d"}, "greater than or"),
        ({"function": "newest", "of": "item", "count": 1001, "window": "1d"}, "less than or"),
        ({"function": "newest", "of": "amount", "count": 3, "window": "1d"}, "amount is float64"),
        ({"function": "newest", "of": "itm", "count": 3, "window": "1d"}, "no field 'itm'"),
        ({"function": "last", "of": "item", "window": "1d"}, "last is string here, not"),
    ],
)
def test_a_list_that_cannot_be_is_refused(aggregate: dict[str, Any], said: str) -> None:
    (problem,) = problems("views", 0, "features", 0, "aggregate", of=aggregate)

    assert problem.startswith("views.recent.features.items.")
    assert said in problem


@pytest.mark.parametrize(
    ("events", "said"),
    [
        (["page_view", "purchases"], "views.recent.events: there are no events 'purchases'"),
        (["page_view", "ping"], "views.recent.by: event ping has no field 'user'"),
        (["purchase", "page_view", "purchase"], "views.recent.events.purchase: declared 2 times"),
        ([], "views.recent.events: "),
    ],
)
def test_kinds_of_events_that_do_not_go_together_are_refused(events: list[str], said: str) -> None:
    assert any(each.startswith(said) for each in problems("views", 0, "events", of=events))


def test_what_kinds_of_events_have_in_common_is_of_one_type() -> None:
    fields = [{"name": "user", "type": "string"}, {"name": "item", "type": "int64"}]

    assert problems("events", 1, "fields", of=fields) == [
        "views.recent.events: item of purchase is int64, elsewhere it is string"
    ]


def test_an_event_itself_has_no_lists() -> None:
    fields = [{"name": "user", "type": "string"}, {"name": "item", "type": "string_list"}]

    (problem,) = problems("events", 1, "fields", of=fields)
    assert "an event has no lists" in problem


def test_a_list_of_texts_has_nothing_but_texts_and_not_too_many() -> None:
    kind = Kind.named("string_list")

    assert kind.checked(["a", ""], finite=True) == ("a", "")
    for wrong in ("a", ["a", 1], ["a", None], ["\ud800"], ["a"] * (MAX_TEXTS + 1)):
        with pytest.raises(ValueError, match="expected string"):
            kind.checked(wrong, finite=True)


def test_states_of_views_without_lists_are_what_they_were() -> None:
    count = Aggregate(Function.COUNT, None, US)
    state, other = State(Plan([count], ["item"])), Plan([count, Newest(0, US, 1)], ["item"])
    state.add(NOW, "1", ["a"], now_us=NOW)

    blob = state.encode(2**50)
    assert State.decode(other, blob) is None
    # It was written by a version that knew no lists.
    assert blob.hex() == GOLDEN


def test_a_list_can_be_made_longer_or_shorter_without_beginning_anew() -> None:
    state = State(Plan([Newest(0, US, 2)], ["item"]))
    for number in range(4):
        state.add(NOW + number, "", [str(number)], now_us=NOW + number)
    blob = state.encode(2**50)

    for count, expected in ((3, ("3", "2")), (1, ("3",))):
        decoded = State.decode(Plan([Newest(0, US, count)], ["item"]), blob)
        assert decoded is not None
        assert decoded.read(NOW + 3) == (expected,)


@pytest.mark.parametrize("wrong", [{"window_us": 1}, {"count": 0}])
def test_a_list_of_nothing_cannot_be_asked_for(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Newest(**{"of": 0, "window_us": US, "count": 1, **wrong})
