"""What everybody does with what they find: counts that fade, by document and by query, bounded.

Files are written by threads, so those tests run in real time.
"""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from inferd.cache.kept import Kept
from inferd.config.search.behaviour import SearchBehaviour as Settings
from inferd.services.search.behaviour import DAY_US, Act, SearchBehaviour

NOW = 20_000 * DAY_US
EXAMINED = (1.0, 0.5, 0.25)


def behaviour(**settings: object) -> SearchBehaviour:
    return SearchBehaviour(Settings.model_validate({"examined": EXAMINED, **settings}))


def count(of: SearchBehaviour, id: str, act: Act, window: str = "7d", now: int = NOW) -> float:
    return float(of.counts(of.slots([id]), window, now)[0, act])


def test_what_is_shown_counts_as_likely_as_its_place_is_looked_at() -> None:
    it = behaviour()

    it.shown(["a", "b", "c", "d"], NOW)
    it.shown(["e"], NOW, first=1)

    assert [count(it, each, Act.LOOK) for each in "abcde"] == [1.0, 0.5, 0.25, 0.25, 0.5]


def test_counts_halve_in_a_half_life() -> None:
    it = behaviour()

    it.record("", "a", Act.CART, NOW - 7 * DAY_US)
    it.record("", "a", Act.CART, NOW)

    assert count(it, "a", Act.CART) == pytest.approx(1.5)
    assert count(it, "a", Act.CART, "1d") == pytest.approx(1 + 2**-7)
    assert count(it, "a", Act.CART, "7d", NOW + 7 * DAY_US) == pytest.approx(0.75)


def test_events_may_come_in_any_order() -> None:
    events = [
        ("a", Act.CLICK, NOW - 5 * DAY_US),
        ("a", Act.PURCHASE, NOW - 3 * DAY_US),
        ("b", Act.CLICK, NOW - DAY_US),
        ("a", Act.CLICK, NOW),
    ]
    asked = ["a", "b"]

    made = []
    for order in itertools.permutations(events):
        it = behaviour()
        for id, act, at_us in order:
            it.record("lamp", id, act, at_us)
        made.append(it)

    first, *others = made
    for other in others:
        assert other.counts(other.slots(asked), "30d", NOW) == pytest.approx(
            first.counts(first.slots(asked), "30d", NOW), rel=1e-5
        )
        assert other.clicks_for("lamp", asked, NOW) == pytest.approx(
            first.clicks_for("lamp", asked, NOW), rel=1e-5
        )


def test_who_is_clicked_where_few_look_has_the_higher_rate() -> None:
    it = behaviour(ctr_clicks=1, ctr_looks=10)
    for _ in range(100):
        it.shown(["top", "middle", "low"], NOW)
    for each in ("top", "low"):
        for _ in range(25):
            it.record("", each, Act.CLICK, NOW)

    top, low, unknown = it.ctr(it.slots(["top", "low", "new"]), "7d", NOW).tolist()

    assert low == pytest.approx(26 / 35)
    assert top == pytest.approx(26 / 110)
    assert unknown == pytest.approx(0.1)


def test_a_click_counts_for_its_query_and_no_other() -> None:
    it = behaviour(pair_clicks=5)
    it.record("lamp", "a", Act.CLICK, NOW, place=0)
    it.record("lamp", "b", Act.CLICK, NOW, place=2)
    it.record("lamp", "b", Act.CART, NOW, place=2)

    assert it.clicks_for("lamp", ["a", "b", "c"], NOW).tolist() == [1.0, 4.0, 0.0]
    assert it.share_for("lamp", ["a", "b", "c"], NOW) == pytest.approx([0.1, 0.4, 0.0])
    assert it.clicks_for("desk", ["a"], NOW).tolist() == [0.0]
    assert it.share_for("desk", ["a"], NOW).tolist() == [0.0]


def test_clicks_of_a_query_fade() -> None:
    it = behaviour()
    it.record("lamp", "a", Act.CLICK, NOW - 30 * DAY_US)
    it.record("lamp", "b", Act.CLICK, NOW)

    assert it.clicks_for("lamp", ["a", "b"], NOW) == pytest.approx([0.5, 1.0])
    assert it.clicks_for("lamp", ["a", "b"], NOW + 30 * DAY_US) == pytest.approx([0.25, 0.5])


def test_where_there_is_no_more_room_those_with_the_least_are_forgotten() -> None:
    it = behaviour(max_documents=8)
    for number in range(8):
        for _ in range(1 + (number * 3) % 8):
            it.record("", f"d{number}", Act.CLICK, NOW)

    it.record("", "new", Act.CLICK, NOW)

    kept = {id: count(it, id, Act.CLICK) for id in [*(f"d{n}" for n in range(8)), "new"]}
    assert {id for id, clicks in kept.items() if clicks == 0} == {"d0", "d3"}
    assert (kept["d5"], kept["new"]) == (8, 1)


def test_a_page_may_be_longer_than_there_is_room() -> None:
    it = behaviour(max_documents=4)

    it.shown([f"d{number}" for number in range(20)], NOW)

    assert count(it, "never seen", Act.LOOK) == 0


def test_queries_and_their_documents_are_bounded() -> None:
    it = behaviour(max_queries=2, query_documents=2)
    for query in ("old", "lamp", "old", "desk"):
        it.record(query, "a", Act.CLICK, NOW)
    for id, clicks in (("b", 3), ("c", 2)):
        for _ in range(clicks):
            it.record("desk", id, Act.CLICK, NOW)

    assert it.clicks_for("lamp", ["a"], NOW).tolist() == [0.0]
    assert it.clicks_for("old", ["a"], NOW).tolist() == [2.0]
    assert it.clicks_for("desk", ["a", "b", "c"], NOW).tolist() == [0.0, 3.0, 2.0]


def known() -> SearchBehaviour:
    it = behaviour()
    for number in range(2500):
        it.record(f"q{number % 1300}", f"d{number}", Act(1 + number % 3), NOW + number)
    return it


def same(one: SearchBehaviour, other: SearchBehaviour, count: int = 2500) -> bool:
    ids = [f"d{number}" for number in range(count)]
    counts = [it.counts(it.slots(ids), "7d", NOW).tolist() for it in (one, other)]
    pairs = [
        [it.clicks_for(f"q{number}", ids, NOW).tolist() for number in (0, 1, 1299)]
        for it in (one, other)
    ]
    return counts[0] == counts[1] and pairs[0] == pairs[1]


def test_what_is_known_is_known_after_a_restart(tmp_path: Path) -> None:
    before, after = known(), behaviour()
    asyncio.run(Kept(before, tmp_path / "kept" / "behaviour", snapshot_s=60).save())

    Kept(after, tmp_path / "kept" / "behaviour", snapshot_s=60).load()

    assert same(before, after)
    assert (tmp_path / "kept" / "behaviour").exists()


def test_what_changes_while_it_is_written_does_no_harm() -> None:
    before, after = behaviour(max_documents=2000), behaviour(max_documents=2000)
    for number in range(2000):
        before.record("", f"d{number}", Act.CLICK, NOW)

    def pieces() -> Iterator[bytes]:
        for number, piece in enumerate(before.pieces()):
            yield piece
            before.record("", f"new {number}", Act.CLICK, NOW)

    after.restore(pieces())

    assert {count(after, f"d{number}", Act.CLICK) for number in range(2000)} <= {0.0, 1.0}
    assert sum(count(after, f"d{number}", Act.CLICK) for number in range(2000)) >= 1400


def test_a_damaged_file_is_read_as_far_as_it_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "behaviour"
    before, after = known(), behaviour()
    asyncio.run(Kept(before, path, snapshot_s=60).save())
    path.write_bytes(path.read_bytes()[:-10])

    Kept(after, path, snapshot_s=60).load()

    assert count(after, "d0", Act.CLICK) == count(before, "d0", Act.CLICK) > 0
    assert "cannot be read to its end" in caplog.text


def test_without_a_file_nothing_is_known_and_where_it_cannot_be_written_life_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    it = behaviour()
    (tmp_path / "file").write_text("")

    Kept(it, tmp_path / "none", snapshot_s=60).load()
    assert not caplog.text
    asyncio.run(Kept(it, tmp_path / "file" / "in a file", snapshot_s=60).save())

    assert "cannot be written" in caplog.text


def test_what_no_behaviour_made_is_refused() -> None:
    with pytest.raises(msgspec.MsgspecError):
        behaviour().restore([b"\x93\x01\x02\x03"])
    piece = msgspec.msgpack.encode(["documents", ["a"], b"", b""])
    with pytest.raises(ValueError, match="reshape"):
        behaviour().restore([piece])
