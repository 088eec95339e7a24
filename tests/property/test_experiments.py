"""A ramp moves nobody who is in; arms fill what they should; two rankings make one fair list."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from inferd.experiments.interleaving import team_draft
from support.experiments import arms_of, experiment, in_force

USERS = st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=40, unique=True)
HASH = st.sampled_from(["blake2b", "growthbook_1", "growthbook_2"])
SHARE = st.floats(0, 1)


@st.composite
def weights(draw: st.DrawFn) -> list[float]:
    parts = draw(st.lists(st.integers(1, 100), min_size=2, max_size=6))
    return [each / sum(parts) for each in parts]


def arms(shares: list[float]) -> list[dict[str, Any]]:
    return [{"name": f"a{at}", "weight": share} for at, share in enumerate(shares)]


@given(USERS, weights(), SHARE, SHARE, HASH)
def test_when_a_coverage_grows_nobody_who_is_in_moves(
    users: list[str], shares: list[float], one: float, other: float, hash: str
) -> None:
    low, high = sorted([one, other])
    said: dict[str, Any] = {"arms": arms(shares), "hash": hash}

    before = arms_of(in_force(experiment(coverage=low, **said)), users)
    after = arms_of(in_force(experiment(coverage=high, **said)), users)

    assert all(after[user] == was for user, was in before.items() if was)


@given(USERS, weights(), st.lists(SHARE, min_size=4, max_size=4, unique=True))
def test_when_its_part_of_a_layer_grows_nobody_who_is_in_moves(
    users: list[str], shares: list[float], edges: list[float]
) -> None:
    begin, low, high, end = sorted(edges)
    layers = {"layers": [{"name": "one", "unit": "user_id"}]}
    said: dict[str, Any] = {"arms": arms(shares), "layer": "one"}

    before = arms_of(in_force(experiment(range=[low, high], **said), more=layers), users)
    after = arms_of(in_force(experiment(range=[begin, end], **said), more=layers), users)

    assert all(after[user] == was for user, was in before.items() if was)


@given(USERS, weights())
def test_with_a_coverage_of_1_everybody_is_in_exactly_one_arm(
    users: list[str], shares: list[float]
) -> None:
    there = arms_of(in_force(experiment(arms=arms(shares))), users)

    assert all(set(each) == {"mmr"} for each in there.values())


@given(USERS, st.lists(SHARE, min_size=2, max_size=5, unique=True))
def test_nobody_is_in_two_experiments_of_a_layer(users: list[str], edges: list[float]) -> None:
    cuts = sorted(edges)
    parts = [*pairwise(cuts)]
    layers = {"layers": [{"name": "one", "unit": "user_id"}]}
    there = in_force(
        *(experiment(f"e{at}", layer="one", range=[*part]) for at, part in enumerate(parts)),
        more=layers,
    )

    assert all(len(each) <= 1 for each in arms_of(there, users).values())


RANKING = st.lists(st.integers(0, 20), max_size=20, unique=True)


@given(RANKING, RANKING, st.integers(0, 30), st.text(max_size=10))
def test_an_interleaved_list_has_no_item_twice_and_as_many_as_it_can(
    one: list[int], other: list[int], count: int, request: str
) -> None:
    made = team_draft({"one": one, "other": other}, count, request=request)

    assert len(set(made.items)) == len(made.items) == min(count, len({*one, *other}))
    for team, ranking in (("one", one), ("other", other)):
        mine = made.picks().get(team, [])
        assert mine == [each for each in ranking if each in mine]


@given(st.permutations(range(12)), st.permutations(range(12)), st.text(max_size=10))
def test_after_each_round_teams_are_of_one_size(
    one: list[int], other: list[int], request: str
) -> None:
    teams = team_draft({"one": one, "other": other}, 12, request=request).teams

    for rounds in range(0, 13, 2):
        assert teams[:rounds].count("one") == teams[:rounds].count("other")
