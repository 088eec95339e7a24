"""Lists and snoozes: until a time, a bounded number, and none is dropped early."""

import pytest

from inferd.services.fraud.expiring import FOREVER_US, Expiring, NoRoom
from inferd.services.fraud.lists import VARIABLES, Entry, ListName, Lists
from inferd.services.fraud.snoozes import Snooze, Snoozes
from inferd.services.fraud.vocabulary import EntityKind

BLOCK, ALLOW = ListName.BLOCK, ListName.ALLOW
USER, IP, COUNTRY = EntityKind.USER, EntityKind.IP, EntityKind.COUNTRY


def seen(lists: Lists, now_us: int = 0, **involved: str) -> list[str]:
    entities = {EntityKind(kind): value for kind, value in involved.items()}
    return [name for name, there in lists.facts(entities, now_us).items() if there]


def test_rules_see_whether_who_is_involved_is_on_a_list() -> None:
    lists = Lists()
    lists.add(Entry(BLOCK, USER, "eve"), 0)
    lists.add(Entry(ALLOW, EntityKind.CARD, "eve"), 0)

    assert seen(lists, user="eve", card="c1") == ["lists.blocked_user"]
    assert seen(lists, user="bob", card="eve") == ["lists.allowed_card"]
    assert seen(lists) == []
    assert lists.facts({}, 0).keys() == VARIABLES.keys()


def test_an_entry_is_there_until_its_time() -> None:
    lists = Lists()
    lists.add(Entry(BLOCK, USER, "eve"), 0, until_us=10)

    assert seen(lists, 9, user="eve") == ["lists.blocked_user"]
    assert seen(lists, 10, user="eve") == []
    assert lists.of(USER, "eve", 9) == {BLOCK: 10}
    assert lists.of(USER, "eve", 10) == {}
    assert [*lists.entries(9)] == [(Entry(BLOCK, USER, "eve"), 10)]


def test_what_is_added_again_has_its_new_time() -> None:
    lists = Lists()
    entry = Entry(BLOCK, USER, "eve")

    assert lists.add(entry, 0, until_us=10)
    assert not lists.add(entry, 0, until_us=20)
    lists.add(Entry(BLOCK, USER, "bob"), 15)
    assert lists.of(USER, "eve", 19) == {BLOCK: 20}
    lists.add(entry, 15)
    assert lists.of(USER, "eve", FOREVER_US - 1) == {BLOCK: FOREVER_US}
    lists.add(entry, 15, until_us=15)
    assert lists.of(USER, "eve", 15) == {}


def test_what_is_removed_is_gone() -> None:
    lists = Lists()
    entry = Entry(BLOCK, USER, "eve")
    lists.add(entry, 0)

    assert lists.remove(entry, 0)
    assert not lists.remove(entry, 0)
    assert seen(lists, user="eve") == []


@pytest.mark.parametrize(
    ("kind", "written", "meant"),
    [
        (IP, "2001:DB8::0:1", "2001:db8::1"),
        (IP, "::ffff:192.0.2.1", "192.0.2.1"),
        (COUNTRY, "nl", "NL"),
    ],
)
def test_one_thing_in_two_spellings_is_one_thing(
    kind: EntityKind, written: str, meant: str
) -> None:
    lists = Lists()

    lists.add(Entry(BLOCK, kind, written), 0)

    assert seen(lists, 0, **{kind.value: meant}) == [f"lists.blocked_{kind}"]
    assert lists.remove(Entry(BLOCK, kind, meant), 0)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(USER, ""), (USER, "x" * 513), (IP, "192.0.2"), (COUNTRY, "NLD"), (COUNTRY, "ÄÖ")],
)
def test_a_value_that_is_none_of_its_kind_is_refused(kind: EntityKind, value: str) -> None:
    lists = Lists()

    with pytest.raises(ValueError, match=r"."):
        lists.add(Entry(BLOCK, kind, value), 0)
    assert len(lists) == 0


def test_where_there_is_no_room_nobody_is_dropped_until_something_ends() -> None:
    lists = Lists(max_entries=2)
    lists.add(Entry(BLOCK, USER, "eve"), 0, until_us=10)
    lists.add(Entry(BLOCK, USER, "mallory"), 0)

    with pytest.raises(NoRoom, match="there are 2 already"):
        lists.add(Entry(BLOCK, USER, "trudy"), 9)
    lists.add(Entry(BLOCK, USER, "mallory"), 9)
    lists.add(Entry(BLOCK, USER, "trudy"), 10)

    assert [entry.value for entry, _ in lists.entries(10)] == ["mallory", "trudy"]


def test_what_is_added_again_and_again_takes_no_more_room() -> None:
    there: Expiring[str] = Expiring(10)

    for until in range(1000):
        there.add("one", 10_000 + until, now_us=0)

    assert len(there) == 1
    assert len(there._ends) < 100
    there.add("other", 20_000, now_us=10_999)
    assert [*there.items(0)] == [("other", 20_000)]


def test_a_rule_is_snoozed_for_somebody_until_a_time() -> None:
    snoozes = Snoozes()
    snoozes.snooze(Snooze("fast", USER, "bob"), until_us=10, now_us=0)

    assert snoozes.of({USER: "bob", COUNTRY: "NL"}, 9) == {"fast"}
    assert snoozes.of({USER: "eve", EntityKind.CARD: "bob"}, 9) == set()
    assert snoozes.of({USER: "bob"}, 10) == set()


def test_a_snooze_ends_early_when_somebody_says_so() -> None:
    snoozes = Snoozes(most=1)
    snoozes.snooze(Snooze("fast", IP, "::1"), until_us=10, now_us=0)
    with pytest.raises(NoRoom):
        snoozes.snooze(Snooze("slow", IP, "::1"), until_us=10, now_us=0)

    snoozes.snooze(Snooze("fast", IP, "0::1"), until_us=0, now_us=5)

    assert snoozes.of({IP: "::1"}, 5) == set()
