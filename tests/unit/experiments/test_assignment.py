"""Who is in which arm, and who is in none."""

from collections import Counter

import pytest

from inferd.errors import InvalidRequest, NotFound
from inferd.experiments.hashing import growthbook
from support.experiments import ARMS, arms_of, experiment, in_force, text

USERS = [f"user-{number}" for number in range(4000)]


def test_the_same_user_gets_the_same_arm_from_any_server() -> None:
    one, other = in_force(experiment()), in_force(experiment(), experiment("another"))

    again = {user: arms["mmr"] for user, arms in arms_of(other, USERS).items()}

    assert again == {user: arms["mmr"] for user, arms in arms_of(one, USERS).items()}


def test_arms_get_their_shares() -> None:
    weighted = [{"name": "control", "weight": 0.8}, {"name": "treatment", "weight": 0.2}]

    arms = arms_of(in_force(experiment(arms=weighted)), USERS)

    counts = Counter(each["mmr"] for each in arms.values())
    assert counts["control"] + counts["treatment"] == len(USERS)
    assert 0.17 < counts["treatment"] / len(USERS) < 0.23


def test_a_coverage_leaves_the_others_out() -> None:
    arms = arms_of(in_force(experiment(coverage=0.1)), USERS)

    assert 0.08 < sum(map(bool, arms.values())) / len(USERS) < 0.12


def test_experiments_without_a_layer_have_nothing_to_do_with_each_other() -> None:
    arms = arms_of(in_force(experiment("one"), experiment("other")), USERS)

    counts = Counter((each["one"], each["other"]) for each in arms.values())
    assert len(counts) == 4
    assert all(900 < each < 1100 for each in counts.values())


def test_with_growthbooks_hash_everybody_is_where_growthbook_has_them() -> None:
    there = in_force(experiment(hash="growthbook_2", seed="seed"))

    arms = arms_of(there, USERS[:200])

    for user, each in arms.items():
        place = growthbook("seed", user, 2)
        assert place is not None
        assert each["mmr"] == ("control" if place < 0.5 else "treatment")


LAYER = {"layers": [{"name": "ranking", "unit": "user_id"}]}


def test_a_user_is_in_one_experiment_of_a_layer_at_most() -> None:
    there = in_force(
        experiment("one", layer="ranking", range=[0, 0.3]),
        experiment("other", layer="ranking", range=[0.3, 0.6]),
        more=LAYER,
    )

    arms = arms_of(there, USERS)

    counts = Counter(tuple(each) for each in arms.values())
    assert set(counts) == {("one",), ("other",), ()}
    assert all(abs(counts[each,] / len(USERS) - 0.3) < 0.03 for each in ("one", "other"))


def test_within_its_part_of_a_layer_an_experiment_splits_evenly() -> None:
    there = in_force(experiment(layer="ranking", range=[0.2, 0.4]), more=LAYER)

    counts = Counter(each.get("mmr") for each in arms_of(there, USERS).values())

    assert abs(counts["control"] - counts["treatment"]) < 120


def test_the_holdout_of_a_layer_is_in_none_of_its_experiments() -> None:
    held = {"layers": [{"name": "ranking", "unit": "user_id", "holdout": 0.2}]}
    layered, alone = experiment("layered", layer="ranking"), experiment("alone")

    arms = arms_of(in_force(layered, alone, more=held), USERS)

    assert 0.17 < sum("layered" not in each for each in arms.values()) / len(USERS) < 0.23
    assert all("alone" in each for each in arms.values())


def test_who_is_held_out_is_in_nothing_whatever_its_unit() -> None:
    holdouts = {"holdouts": [{"name": "all", "unit": "user_id", "share": 0.3}]}
    there = in_force(experiment("users"), experiment("visits", unit="session_id"), more=holdouts)
    assign = there.surfaces["home"].assign

    parts = [len(assign({"session_id": f"s{user}", "user_id": user}, {}).arms) for user in USERS]

    assert set(parts) == {0, 2}
    assert 0.27 < parts.count(0) / len(USERS) < 0.33


def test_without_its_unit_nobody_is_in_an_experiment() -> None:
    there = in_force(experiment("users"), experiment("visits", unit="session_id"))

    found = there.surfaces["home"].assign({"user_id": "", "session_id": "s1"}, {})

    assert [each.experiment for each in found.arms] == ["visits"]


def test_each_surface_has_its_own_experiments() -> None:
    there = in_force(experiment("one"), experiment("other", surface="search"))

    assert list(arms_of(there, ["u"], surface="search")["u"]) == ["other"]


def test_targeting_decides_who_is_meant() -> None:
    there = in_force(experiment(when='country == "FR" && orders > 3'))

    assert arms_of(there, ["u"], {"country": "FR", "orders": 4})["u"]
    assert not arms_of(there, ["u"], {"country": "DE", "orders": 4})["u"]


def test_where_targeting_cannot_tell_nobody_is_meant() -> None:
    there = in_force(experiment(when="orders < 3"))

    assert arms_of(there, ["u"], {"orders": 2})["u"]
    assert not arms_of(there, ["u"], {"orders": None})["u"]
    assert not arms_of(there, ["u"], {})["u"]


def test_the_parameters_of_all_arms_come_together() -> None:
    one = [{"name": "a", "parameters": {"diversity": 0.3}}, {"name": "b", "weight": None}]
    other = [{"name": "a", "parameters": {"depth": 5}}, {"name": "b"}]
    there = in_force(
        experiment("one", arms=one, forced={"ann": "a"}),
        experiment("other", arms=other, forced={"ann": "a"}),
    )

    found = there.surfaces["home"].assign({"user_id": "ann"}, {})

    assert found.parameters == {"diversity": 0.3, "depth": 5}


@pytest.mark.parametrize("state", ["draft", "stopped"])
def test_in_what_does_not_run_nobody_is(state: str) -> None:
    assert not any(arms_of(in_force(experiment(state=state)), USERS[:50]).values())


@pytest.mark.parametrize("state", ["draft", "running"])
def test_who_is_forced_by_the_file_is_in_that_arm_and_does_not_count(state: str) -> None:
    there = in_force(
        experiment(state=state, coverage=0.0, when="false", forced={"ann": "treatment"})
    )

    (arm,) = there.surfaces["home"].assign({"user_id": "ann"}, {}).arms

    assert (arm.arm, arm.forced) == ("treatment", True)


def test_who_is_forced_into_an_experiment_is_in_no_other_of_its_layer() -> None:
    there = in_force(
        experiment(
            "one", layer="ranking", range=[0, 0.5], forced=dict.fromkeys(USERS[:200], "control")
        ),
        experiment("other", layer="ranking", range=[0.5, 1]),
        more=LAYER,
    )

    assert all(arms == {"one": "control"} for arms in arms_of(there, USERS[:200]).values())


def test_a_request_may_ask_for_arms_where_that_is_allowed() -> None:
    there = in_force(experiment(forced={"ann": "control"}), allow_forced=True)

    (arm,) = there.surfaces["home"].assign({"user_id": "ann"}, {}, {"mmr": "treatment"}).arms

    assert (arm.arm, arm.forced) == ("treatment", True)


@pytest.mark.parametrize(
    ("forced", "why"),
    [
        ({"mmr": "treatmnt"}, "no arm 'treatmnt'; there are control, treatment"),
        ({"mmx": "control"}, "'mmx': there is none that goes on"),
        ({"one": "control", "other": "control"}, "other excludes another that is asked for"),
    ],
)
def test_arms_that_cannot_be_had_are_refused(forced: dict[str, str], why: str) -> None:
    there = in_force(
        experiment(),
        experiment("one", layer="ranking", range=[0, 0.5]),
        experiment("other", layer="ranking", range=[0.5, 1]),
        more=LAYER,
        allow_forced=True,
    )

    with pytest.raises(InvalidRequest, match=why) as caught:
        there.surfaces["home"].assign({"user_id": "ann"}, {}, forced)

    assert caught.value.violations[0].field == "forced_arms"


def test_arms_cannot_be_asked_for_unless_that_is_allowed() -> None:
    with pytest.raises(InvalidRequest, match="allow_forced"):
        in_force(experiment()).surfaces["home"].assign({"user_id": "a"}, {}, {"mmr": "control"})


def test_interleaved_rankings_are_shown_to_everybody() -> None:
    arms = [
        {"name": "old", "parameters": {"ranker": "trees"}},
        {"name": "new", "parameters": {"ranker": "network"}},
    ]
    there = in_force(experiment(arms=arms, interleaved=True))

    (arm,) = there.surfaces["home"].assign({"user_id": "ann"}, {}).arms

    assert arm.arm == "interleaved"
    assert arm.teams == {"old": {"ranker": "trees"}, "new": {"ranker": "network"}}
    assert arm.parameters == {}


def test_nobody_is_in_a_stopped_arm_and_the_others_stay_where_they_are() -> None:
    there = in_force(experiment())
    before = arms_of(there, USERS)

    there.stop("mmr", "treatment", "it is slow", at_us=5)

    after = arms_of(there, USERS)
    assert all(
        after[user] == (arms if arms["mmr"] == "control" else {}) for user, arms in before.items()
    )


def test_what_is_stopped_stays_so_until_the_file_begins_anew() -> None:
    there = in_force(experiment())
    there.stop("mmr", "", "errors", at_us=5)

    there.replace(there.checked(text(experiment(coverage=0.5))))
    still = arms_of(there, USERS[:20])
    there.replace(there.checked(text(experiment(revision=2))))

    assert not any(still.values())
    assert all(arms_of(there, USERS[:20]).values())


def test_what_was_stopped_before_a_restart_is_stopped() -> None:
    before = in_force(experiment())
    before.stop("mmr", "", "errors", at_us=5)

    there = in_force(experiment(), stops=before.stops)

    assert not any(arms_of(there, USERS[:20]).values())


def test_the_first_reason_for_a_stop_is_kept() -> None:
    there = in_force(experiment())

    there.stop("mmr", "", "errors", at_us=5)

    assert there.stop("mmr", "", "again", at_us=6).why == "errors"


@pytest.mark.parametrize(
    ("name", "arm", "why"),
    [("mmx", "", "'mmx'; there are mmr"), ("mmr", "x", "no arm 'x'; there are control, treatment")],
)
def test_only_what_is_there_can_be_stopped(name: str, arm: str, why: str) -> None:
    with pytest.raises(NotFound, match=why):
        in_force(experiment()).stop(name, arm, "errors", at_us=5)


def test_a_surface_stays_the_same_when_experiments_change() -> None:
    there = in_force(experiment())
    home = there.surfaces["home"]

    reloaded = there.replace(there.checked(text(experiment("other", arms=ARMS))))

    assert reloaded.changed
    assert [each.experiment for each in home.assign({"user_id": "u"}, {}).arms] == ["other"]


def test_assignments_are_counted_across_reloads() -> None:
    there = in_force(experiment())
    arms_of(there, USERS[:100])
    there.replace(there.checked(text(experiment(description="the same"))))
    arms_of(there, USERS[:100])

    counts = {name: each.assigned for name, each in there.tallies.items()}

    assert sum(counts.values()) == 200
    assert set(counts) == {("mmr", "control"), ("mmr", "treatment")}
