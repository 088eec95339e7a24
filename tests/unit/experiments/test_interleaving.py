"""Two rankings in one list: fair, the same for a request, and clicks are credited."""

from collections import Counter

from inferd.experiments.interleaving import credit, team_draft

OLD, NEW = ["a", "b", "c", "d"], ["d", "c", "b", "a"]


def test_each_round_gives_each_team_its_best_item_that_is_left() -> None:
    made = team_draft({"old": OLD, "new": NEW}, 4, request="r1")

    assert set(made.teams[:2]) == set(made.teams[2:]) == {"old", "new"}
    assert set(made.items[:2]) == {"a", "d"}
    assert sorted(made.items) == sorted(OLD)


def test_the_same_request_gets_the_same_list() -> None:
    lists = [team_draft({"old": OLD, "new": NEW}, 4, request="r1") for _ in range(2)]

    assert lists[0] == lists[1]


def test_either_team_begins_as_often() -> None:
    first = Counter(
        team_draft({"old": OLD, "new": NEW}, 1, request=f"r{n}").teams[0] for n in range(2000)
    )

    assert abs(first["old"] - first["new"]) < 200


def test_equal_rankings_stay_as_they_are_and_neither_wins() -> None:
    won: Counter[str] = Counter()
    for number in range(2000):
        made = team_draft({"old": OLD, "new": OLD}, 3, request=f"r{number}")
        assert made.items == OLD[:3]
        won.update(credit(made.picks(), ["a"]))

    assert abs(won["old"] - won["new"]) < 200


def test_when_one_ranking_ends_the_other_goes_on() -> None:
    made = team_draft({"old": ["a"], "new": ["b", "c", "d"]}, 10, request="r1")

    assert sorted(made.items) == ["a", "b", "c", "d"]
    assert made.picks() == {"old": ["a"], "new": ["b", "c", "d"]}


def test_clicks_count_for_the_team_that_the_item_is_in() -> None:
    picks = {"old": ["a", "c"], "new": ["b"]}

    assert credit(picks, ["a", "b", "c", "x"]) == {"old": 2, "new": 1}
    assert credit(picks, []) == {"old": 0, "new": 0}
