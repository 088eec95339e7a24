from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from inferd.cache.kept import Kept
from inferd.config.recommendation.catalogue import Behaviour as Settings
from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.vocabulary import Act
from support.recommendation import DAY, HOUR, NOW, S, filled, item, nobody_did_anything

ONE = np.ones(1, np.float32)


def counted(behaviour: Behaviour, id: str, act: Act, half_life: str, now_us: int) -> float:
    return float(behaviour.counts(behaviour.slots([id]), half_life, now_us)[0, act - 1])


def visits(behaviour: Behaviour, *sessions: Iterable[str], at_us: int = NOW) -> None:
    """Have a user for each session, who looks at items one second after the other."""
    for number, session in enumerate(sessions):
        for second, id in enumerate(session):
            behaviour.record(f"u{at_us}-{number}", id, Act.VIEW, at_us + second * S)


def together(behaviour: Behaviour, id: str, others: Iterable[str], now_us: int) -> list[float]:
    near = behaviour.near([id], ONE, now_us)
    found: list[float] = behaviour.covisits(near, behaviour.slots(others)).tolist()
    return found


def test_what_happened_a_half_life_ago_counts_half() -> None:
    behaviour = nobody_did_anything()
    behaviour.record("u", "a", Act.CLICK, NOW)
    behaviour.record("u", "a", Act.CLICK, NOW)
    assert counted(behaviour, "a", Act.CLICK, "1h", NOW) == 2
    assert counted(behaviour, "a", Act.CLICK, "1h", NOW + HOUR) == pytest.approx(1)
    assert counted(behaviour, "a", Act.CLICK, "1d", NOW + DAY) == pytest.approx(1)
    assert counted(behaviour, "a", Act.CLICK, "7d", NOW + 14 * DAY) == pytest.approx(0.5)
    assert counted(behaviour, "a", Act.VIEW, "7d", NOW) == 0


def test_the_order_in_which_events_come_makes_no_difference() -> None:
    events = [(Act.CLICK, NOW), (Act.VIEW, NOW + HOUR), (Act.CLICK, NOW + 3 * HOUR)]
    counts = []
    for order in (events, events[::-1], [events[1], events[2], events[0]]):
        behaviour = nobody_did_anything()
        for act, at_us in order:
            behaviour.record("u", "a", act, at_us)
        counts.append(behaviour.counts(behaviour.slots(["a"]), "1h", NOW + 4 * HOUR))
    assert counts[1] == pytest.approx(counts[0])
    assert counts[2] == pytest.approx(counts[0])
    assert counts[0][0, Act.CLICK - 1] == pytest.approx(1 / 16 + 1 / 2)


def test_nothing_is_counted_of_an_item_that_nobody_had_to_do_with() -> None:
    behaviour = nobody_did_anything()
    behaviour.record("u", "a", Act.CLICK, NOW)
    assert behaviour.slots(["x", "a"]).tolist() == [0, 1]
    assert not behaviour.counts(behaviour.slots(["x"]), "1d", NOW).any()


def test_a_rate_of_clicks_begins_at_what_is_usual() -> None:
    behaviour = nobody_did_anything(ctr_clicks=1, ctr_impressions=20)
    behaviour.record("u", "a", Act.IMPRESSION, NOW)
    behaviour.record("u", "a", Act.CLICK, NOW)
    rates = behaviour.ctr(behaviour.slots(["nobody's", "a"]), "1d", NOW)
    assert rates.tolist() == pytest.approx([1 / 20, 2 / 21])


def test_demand_is_the_weighted_sum_of_what_was_done() -> None:
    behaviour = nobody_did_anything()
    behaviour.record("u", "a", Act.VIEW, NOW)
    behaviour.record("u", "b", Act.PURCHASE, NOW - DAY)
    behaviour.record("u", "c", Act.DISLIKE, NOW)
    weights = np.array([0, 1, 0, 0, 5, -1], np.float32)
    assert behaviour.demand(weights, "1d", NOW).tolist() == pytest.approx([0, 1, 2.5, -1])


def test_what_the_same_people_look_at_goes_together() -> None:
    behaviour = nobody_did_anything()
    visits(behaviour, "ab", "ab", "ab", "ac", "de")
    b, c, d = together(behaviour, "a", "bcd", NOW)
    assert b > c > d == 0
    assert together(behaviour, "b", "a", NOW)[0] == pytest.approx(b, rel=1e-3)


def test_what_everybody_looks_at_anyway_goes_less_together_with_each() -> None:
    behaviour = nobody_did_anything()
    visits(behaviour, *["ab"] * 5, *["ax"] * 5, *["cx"] * 30, *["dx"] * 30)
    b, x = together(behaviour, "a", "bx", NOW)
    assert b > 1.5 * x


def test_impressions_and_other_sessions_bring_nothing_together() -> None:
    behaviour = nobody_did_anything(session_s=60)
    behaviour.record("u", "a", Act.VIEW, NOW)
    behaviour.record("u", "b", Act.IMPRESSION, NOW)
    behaviour.record("u", "c", Act.VIEW, NOW + 61 * S)
    behaviour.record("w", "d", Act.VIEW, NOW)
    assert together(behaviour, "a", "bcd", NOW) == [0, 0, 0]


def test_going_together_fades() -> None:
    behaviour = nobody_did_anything(covisits_half_life_s=3600)
    visits(behaviour, *["ab"] * 50)
    visits(behaviour, *["ac"] * 10, at_us=NOW + 5 * HOUR)
    b, c = together(behaviour, "a", "bc", NOW + 5 * HOUR)
    assert c > 2 * b > 0


def test_the_strongest_neighbours_stay_however_many_there_are() -> None:
    behaviour = nobody_did_anything(neighbours=4)
    for number in range(100):
        visits(behaviour, "ab", "ac", at_us=NOW + number * S)
        behaviour.record(f"w{number}", "a", Act.VIEW, NOW)
        behaviour.record(f"w{number}", f"once{number}", Act.VIEW, NOW)
    near = behaviour.near(["a"], ONE, NOW)
    assert len(near.slots) == 4
    strongest = [behaviour.ids[slot] for slot in near.slots[np.argsort(-near.strength)][:2]]
    assert sorted(strongest) == ["b", "c"]


def test_only_so_many_sessions_are_remembered() -> None:
    behaviour = nobody_did_anything(max_users=2)
    behaviour.record("u", "a", Act.VIEW, NOW)
    behaviour.record("v", "b", Act.VIEW, NOW)
    behaviour.record("w", "c", Act.VIEW, NOW)
    behaviour.record("u", "x", Act.VIEW, NOW)
    behaviour.record("w", "y", Act.VIEW, NOW)
    assert together(behaviour, "a", "x", NOW) == [0]
    assert together(behaviour, "c", "y", NOW)[0] > 0


def test_what_nobody_knows_is_known_once_somebody_does_something_with_it() -> None:
    behaviour = nobody_did_anything()
    table = filled([item("a"), item("b")]).table
    rows = np.arange(2)
    assert behaviour.slots_of(table, rows).tolist() == [0, 0]
    assert behaviour.slots_of(table, rows).tolist() == [0, 0]
    behaviour.record("u", "b", Act.VIEW, NOW)
    assert behaviour.slots_of(table, rows).tolist() == [0, 1]
    behaviour.record("u", "a", Act.VIEW, NOW)
    assert behaviour.slots_of(table, rows).tolist() == [2, 1]


def test_when_there_is_no_room_the_least_is_forgotten() -> None:
    behaviour = Behaviour(Settings(), max_items=10)
    visits(behaviour, *["ab"] * 20)
    table = filled([item("a"), item("b"), item("n0")]).table
    before = behaviour.slots_of(table, np.arange(3)).tolist()
    for number in range(30):
        behaviour.record("u", f"n{number}", Act.IMPRESSION, NOW)
    assert len(behaviour) <= 21
    assert counted(behaviour, "b", Act.VIEW, "7d", NOW) == pytest.approx(20, rel=1e-3)
    assert together(behaviour, "a", "b", NOW)[0] > 0.5
    assert 0 not in behaviour.slots(["a", "b"])
    assert before[2] == 0
    assert (
        behaviour.slots_of(table, np.arange(3)).tolist()
        == behaviour.slots(["a", "b", "n0"]).tolist()
    )


def test_slots_of_rows_are_those_of_their_items() -> None:
    behaviour = nobody_did_anything()
    catalogue = filled([item("a"), item("b")])
    assert behaviour.slots_of(catalogue.table, np.arange(2)).tolist() == [0, 0]
    behaviour.record("u", "b", Act.VIEW, NOW)
    assert behaviour.slots_of(catalogue.table, np.arange(2)).tolist() == [0, 1]
    catalogue.upsert([item("b", title="B")], np.zeros((1, 2), np.float32), 1)
    assert behaviour.slots_of(catalogue.table, np.arange(3)).tolist() == [0, 1, 1]


def test_another_behaviour_asks_anew() -> None:
    table = filled([item("a"), item("b")]).table
    one, other = nobody_did_anything(), nobody_did_anything()
    one.record("u", "a", Act.VIEW, NOW)
    other.record("u", "b", Act.VIEW, NOW)
    assert one.slots_of(table, np.arange(2)).tolist() == [1, 0]
    assert other.slots_of(table, np.arange(2)).tolist() == [0, 1]


def known() -> Behaviour:
    behaviour = nobody_did_anything()
    for number in range(5000):  # several pieces
        behaviour.record(f"u{number // 3}", f"i{number % 4500}", Act(1 + number % 6), NOW + number)
    return behaviour


def same(one: Behaviour, other: Behaviour) -> bool:
    slots = np.arange(len(one))
    ids = one.ids[1:]
    now = NOW + DAY
    first, second = (each.near(ids, np.ones(len(ids), np.float32), now) for each in (one, other))
    return (
        one.ids == other.ids
        and bool((one.counts(slots, "1h", now) == other.counts(slots, "1h", now)).all())
        and first.slots.tolist() == second.slots.tolist()
        and first.strength.tolist() == pytest.approx(second.strength.tolist())
    )


def test_what_was_kept_is_known_again() -> None:
    behaviour, again = known(), nobody_did_anything()
    again.restore(behaviour.pieces())
    assert same(behaviour, again)
    again.record("u", "i7", Act.CLICK, NOW + DAY)
    assert not same(behaviour, again)


def test_what_comes_while_pieces_are_made_is_in_later_ones() -> None:
    behaviour, again = known(), nobody_did_anything()
    pieces = behaviour.pieces()
    made = [next(pieces)]
    visits(behaviour, ["i1", "new"])
    made += pieces
    again.restore(made)
    assert again.ids == behaviour.ids
    assert together(again, "new", ["i1"], NOW)[0] > 0


def test_fewer_neighbours_than_were_kept_are_the_strongest() -> None:
    behaviour = nobody_did_anything(neighbours=8)
    visits(behaviour, *["ab"] * 9, *["ac"] * 5, "ad", "ae")
    again = nobody_did_anything(neighbours=2)
    again.restore(behaviour.pieces())
    near = again.near(["a"], ONE, NOW)
    assert [again.ids[slot] for slot in near.slots] == ["b", "c"]


def kept(behaviour: Behaviour, path: Path) -> Kept:
    return Kept(behaviour, path, snapshot_s=60)


def test_a_file_that_is_not_there_is_nothing_known(tmp_path: Path) -> None:
    behaviour = nobody_did_anything()
    kept(behaviour, tmp_path / "none").load()
    assert len(behaviour) == 1


@pytest.mark.parametrize("damage", [lambda said: b"nonsense", lambda said: said[: len(said) // 2]])
def test_a_file_that_cannot_be_read_stops_nobody(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "behaviour"
    path.write_bytes(damage(b"".join(known().pieces())))
    behaviour = nobody_did_anything()
    kept(behaviour, path).load()
    behaviour.record("u", "a", Act.VIEW, NOW)
    assert counted(behaviour, "a", Act.VIEW, "1h", NOW) == 1
