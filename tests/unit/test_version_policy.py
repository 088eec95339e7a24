from collections.abc import Iterable

import pytest

from inferd.inference.repository.layout import ModelFiles, Snapshot, VersionFiles
from inferd.inference.repository.planner import Candidate, Key, Known, Plan, plan, wanted
from inferd.inference.repository.policy import select
from inferd.inference.repository.schema import All, Latest, Specific, VersionPolicy

LATEST_2 = VersionPolicy(latest=Latest(num_versions=2))
ALL = VersionPolicy(all=All())
ONE_AND_9 = VersionPolicy(specific=Specific(versions=(9, 1)))


@pytest.mark.parametrize(
    ("policy", "available", "chosen"),
    [
        (None, [3, 10, 2], (10,)),
        (LATEST_2, [3, 10, 2], (3, 10)),
        (LATEST_2, [3], (3,)),
        (ALL, [3, 10, 2], (2, 3, 10)),
        (ONE_AND_9, [9, 2, 1], (1, 9)),
        (ONE_AND_9, [2], ()),
        (ALL, [], ()),
        (None, [], ()),
    ],
)
def test_the_policy_chooses(
    policy: VersionPolicy | None, available: Iterable[int], chosen: tuple[int, ...]
) -> None:
    assert select(policy, available) == chosen


def candidates(*numbers: int, stamp: str = "a", age_s: float = 60.0) -> dict[int, Candidate]:
    return {number: Candidate(stamp, age_s) for number in numbers}


def stamps(*numbers: int, stamp: str = "a") -> dict[Key, str]:
    return {("m", number): stamp for number in numbers}


def test_a_new_version_is_loaded_before_the_old_one_goes() -> None:
    wanted = {"m": candidates(2)}

    before = plan(wanted, Known(ready=stamps(1)), settle_s=1.0)
    during = plan(wanted, Known(ready=stamps(1), loading=stamps(2)), settle_s=1.0)
    after = plan(wanted, Known(ready=stamps(1, 2)), settle_s=1.0)

    assert before == Plan(load=(("m", 2),))
    assert during == Plan()
    assert after == Plan(unload=(("m", 1),))


def test_the_newest_version_is_loaded_first() -> None:
    assert plan({"m": candidates(1, 2, 10)}, Known(), settle_s=0.0).load == (
        ("m", 10),
        ("m", 2),
        ("m", 1),
    )


def test_a_version_that_was_touched_a_moment_ago_waits() -> None:
    waiting = plan({"m": candidates(1, age_s=0.25)}, Known(), settle_s=1.0)

    assert waiting == Plan(wait=(("m", 1, 0.75),))
    assert waiting.wait_s == 0.75
    assert Plan().wait_s is None


def test_a_version_that_changed_is_loaded_anew_while_it_serves() -> None:
    wanted = {"m": candidates(1, stamp="b")}

    assert plan(wanted, Known(ready=stamps(1)), settle_s=1.0) == Plan(reload=(("m", 1),))


def test_what_failed_is_tried_again_only_when_it_looks_different() -> None:
    known = Known(ready=stamps(1), failed=stamps(2, stamp="broken"))

    same = plan({"m": candidates(2, stamp="broken")}, known, settle_s=1.0)
    mended = plan({"m": candidates(2, stamp="mended")}, known, settle_s=1.0)

    assert same == Plan()
    assert mended == Plan(load=(("m", 2),))


def test_a_failed_reload_leaves_the_version_alone() -> None:
    known = Known(ready=stamps(1), failed=stamps(1, stamp="broken"))

    assert plan({"m": candidates(1, stamp="broken")}, known, settle_s=1.0) == Plan()


def test_old_versions_stay_while_any_wanted_one_is_missing() -> None:
    wanted = {"m": candidates(2, 3)}

    assert not plan(wanted, Known(ready=stamps(1, 2), failed=stamps(3)), settle_s=1.0).unload


def test_a_version_that_is_being_loaded_is_left_alone() -> None:
    known = Known(ready=stamps(1, 2), loading=stamps(1))

    assert plan({"m": candidates(2)}, known, settle_s=1.0) == Plan()
    assert plan({"m": candidates(1, 2, stamp="b")}, known, settle_s=1.0).reload == (("m", 2),)


def test_a_model_that_is_gone_is_unloaded() -> None:
    known = Known(ready=stamps(1, 2))

    assert plan({}, known, settle_s=1.0).unload == (("m", 1), ("m", 2))
    assert plan({"m": {}}, known, settle_s=1.0).unload == (("m", 1), ("m", 2))


def test_a_model_that_nobody_can_tell_about_is_left_as_it_is() -> None:
    assert plan({"m": None}, Known(ready=stamps(1, 2)), settle_s=1.0) == Plan()


def test_wanted_follows_the_policies_and_leaves_out_what_has_a_problem() -> None:
    def model(name: str, *numbers: int, problem: str = "") -> ModelFiles:
        versions = {
            number: VersionFiles(number, stamp=((str(number), 0, 0, 0),), age_s=5.0)
            for number in numbers
        }
        return ModelFiles(name, versions=versions, config_age_s=3.0, problem=problem)

    snapshot = Snapshot(
        {
            "a": model("a", 1, 2),
            "unreadable": model("unreadable", problem="links"),
            "misconfigured": model("misconfigured", 1),
        }
    )

    assert wanted(snapshot, {"a": None, "unreadable": None, "gone": None}) == {
        "a": {2: Candidate(((), (("2", 0, 0, 0),)), 3.0)},
        "unreadable": None,
        "misconfigured": None,
    }
