"""Who gets the new version, and when it goes back. Pure, with time as a number."""

import random
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from inferd.app.rollouts import placed
from inferd.config.rollouts import Rollout as Settings
from inferd.inference.rollout import Rollout, Stage
from inferd.inference.rollout_copies import INCOMPARABLE, difference, number_in


def rollout(**said: Any) -> Rollout:
    settings = Settings.model_validate({"stable": 1, "canary": 2, "percent": 50, **said})
    return Rollout("m", settings, placed("rollout:m:2"))


def filled(it: Rollout, *, stable: float = 0.05, canary: float = 0.05, calls: int = 4000) -> str:
    """Have both sides fail so often, and return what harm there is."""
    rng = random.Random(1)
    for _ in range(calls):
        for side, rate in ((it.stable, stable), (it.canary, canary)):
            if rng.random() < rate:
                side.failed_at(1.0)
            else:
                side.answered(rng.uniform(0.009, 0.011), rng.random(), 1.0)
    return it.harm(1.0)


def test_the_share_is_that_of_the_keys() -> None:
    for percent in (0, 1, 20, 100):
        it = rollout(percent=percent)
        got = sum(it.gets_canary(f"user-{number}") for number in range(20_000))
        assert abs(got / 200 - percent) < 0.8


def test_other_canaries_have_other_users() -> None:
    settings = rollout(percent=10).settings
    other = Rollout("m", settings, placed("rollout:m:3"))
    keys = [f"user-{number}" for number in range(5000)]
    both = sum(rollout(percent=10).gets_canary(key) and other.gets_canary(key) for key in keys)

    assert 20 < both < 90


def test_twice_the_errors_are_harm_and_as_many_are_not() -> None:
    assert filled(rollout()) == ""
    assert filled(rollout(), canary=0.10).startswith("errors: ")


def test_a_slow_canary_is_harm_beyond_its_slack() -> None:
    it, patient = rollout(), rollout(guardrail={"latency_slack_ms": 100})
    for each in (it, patient):
        for _ in range(500):
            each.stable.answered(0.010, None, 1.0)
            each.canary.answered(0.020, None, 1.0)

    assert it.harm(1.0).startswith("seconds of latency: 0.02 of 500, against 0.01 of 500")
    assert patient.harm(1.0) == ""


def test_a_canary_that_says_something_else_is_harm() -> None:
    it = rollout()
    for number in range(1000):
        it.stable.answered(0.01, number / 1000, 1.0)
        it.canary.answered(0.01, 0.5, 1.0)

    assert it.harm(1.0).startswith("what it says: 0.50 apart")


def test_copies_say_nothing_of_latency() -> None:
    it = rollout()
    for _ in range(500):
        it.stable.answered(0.010, None, 1.0)
        it.canary.answered(None, None, 1.0)

    assert it.canary.latency(1.0).count == 0
    assert it.canary.calls == 500


def test_without_a_guardrail_and_after_a_decision_nothing_is_harm() -> None:
    it = rollout()
    assert filled(rollout(guardrail={"enabled": False}), canary=0.5) == ""
    assert filled(it, canary=0.5)

    it.decide(Stage.ROLLED_BACK, "errors", 7)

    assert it.harm(1.0) == ""
    assert not any(it.gets_canary(f"user-{number}") for number in range(100))
    assert not it.copies(0.0)
    assert it.default == 1


def test_a_decision_holds_for_its_canary_and_revision() -> None:
    decision = rollout().decide(Stage.PROMOTED, "good", 7)

    assert rollout().holds(decision)
    assert not rollout(canary=3).holds(decision)
    assert not rollout(revision=2).holds(decision)


def test_who_goes_on_begins_anew() -> None:
    it = rollout()
    filled(it, canary=0.5)
    it.decide(Stage.ROLLED_BACK, "errors", 7)

    it.decide(Stage.RUNNING, "again", 8)

    assert it.harm(1.0) == ""
    assert it.steers


def test_the_two_versions_differ() -> None:
    with pytest.raises(ValidationError, match="canary must be another version"):
        rollout(canary=1)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ([1.0, 2.0], 0.0),
        ([1.0, 2.5], 0.5),
        ([1.0, np.inf], INCOMPARABLE),
        ([1.0, np.nan], INCOMPARABLE),
        ([1.0, 2.0, 3.0], INCOMPARABLE),
    ],
)
def test_answers_differ_by_their_largest_difference(other: list[float], expected: float) -> None:
    said = {"y": np.array([1.0, 2.0], np.float32)}

    assert difference(said, {"y": np.array(other, np.float32)}) == expected


def test_text_differs_or_does_not_and_a_missing_output_is_incomparable() -> None:
    text = {"label": np.array([b"a"], object)}

    assert difference(text, {"label": np.array([b"b"], object)}) == 1.0
    assert difference(text, text) == 0.0
    assert difference(text, {}) == INCOMPARABLE
    same = {"y": np.array([np.inf])}
    with np.errstate(invalid="raise"):
        assert difference(same, same) == 0.0


def test_fractions_stand_for_an_answer_before_labels_do() -> None:
    label, score = np.array([7]), np.array([[0.25, 0.75]])

    assert number_in({"label": label, "score": score}) == 0.25
    assert number_in({"label": label}) == 7.0
    assert number_in({"text": np.array([b"a"], object)}) is None
    assert number_in({"score": np.array([np.nan])}) is None
