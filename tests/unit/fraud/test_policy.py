"""A policy says exactly one thing about every transaction, or it is refused."""

from typing import Any

import pytest

from inferd.config.reading import Refused
from inferd.services.fraud.policy import Policy
from inferd.services.fraud.transactions import Payment
from inferd.services.fraud.vocabulary import Decision
from support.fraud import policy, policy_text

APPROVE, CHALLENGE, REVIEW, BLOCK = Decision

MATRIX = (
    {"name": "small", "below_minor": 5000, "segments": ["other"], "challenge": 0.5, "block": 0.9},
    {"name": "large", "at_least_minor": 5000, "segments": ["other"], "review": 0.5},
    {"name": "new", "segments": ["new"], "merchant_categories": ["travel"], "block": 0.2},
    {"name": "rest", "segments": ["new"], "merchant_categories": ["other"], "review": 0.2},
)


def band(name: str, **said: Any) -> dict[str, Any]:
    return {"name": name, "review": 0.5, **said}


@pytest.mark.parametrize(
    ("payment", "score", "name", "decision"),
    [
        ((0, "", ""), 0.49, "small", APPROVE),
        ((0, "", ""), 0.5, "small", CHALLENGE),
        ((4999, "travel", "other"), 0.89, "small", CHALLENGE),
        ((4999, "", ""), 0.9, "small", BLOCK),
        ((5000, "", ""), 0.9, "large", REVIEW),
        ((10**15, "grocery", "old"), 0.1, "large", APPROVE),
        ((0, "travel", "new"), 0.2, "new", BLOCK),
        ((10**15, "travel", "new"), 0.1, "new", APPROVE),
        ((10**15, "grocery", "new"), 1.0, "rest", REVIEW),
    ],
)
def test_the_band_is_found_by_amount_category_and_segment(
    payment: tuple[int, str, str], score: float, name: str, decision: Decision
) -> None:
    amount, category, segment = payment
    choice = policy(*MATRIX).choose(score, Payment(amount, "EUR", category, segment))

    assert (choice.band, choice.decision) == (name, decision)


@pytest.mark.parametrize(
    ("amount", "currency", "name"),
    [
        (4999, "EUR", "small"),
        (5000, "EUR", "large"),
        (8062, "JPY", "small"),  # 4998.44 cents
        (8064, "JPY", "large"),  # 4999.68: what is between two bands belongs to the upper one
        (1, "XYZ", "large"),
        (1, "", "large"),
    ],
)
def test_amounts_are_compared_in_one_currency(amount: int, currency: str, name: str) -> None:
    bands = (
        {"name": "small", "below_minor": 5000, "block": 0.9},
        {"name": "large", "at_least_minor": 5000, "block": 0.9},
    )

    assert policy(*bands).choose(0.1, Payment(amount, currency)).band == name


@pytest.mark.parametrize(
    ("bands", "problem"),
    [
        ([band("a", at_least_minor=1)], "bands: nothing is said of amounts from 0 to 1 "),
        ([band("a", below_minor=9)], "bands: nothing is said of amounts from 9 on "),
        (
            [band("a", below_minor=5), band("b", at_least_minor=6)],
            "bands: nothing is said of amounts from 5 to 6 ",
        ),
        ([band("a"), band("b")], "bands: b overlaps a from 0 on "),
        (
            [band("a", below_minor=6), band("b", at_least_minor=5)],
            "bands: b overlaps a from 5 on ",
        ),
        (
            [band("a"), band("b", at_least_minor=5, below_minor=6)],
            "bands: b overlaps a from 5 on ",
        ),
        (
            [band("a", segments=["new"])],
            r"bands: nothing is said of amounts from 0 on \(merchant category travel, segment",
        ),
        (
            [band("a"), band("b", merchant_categories=["travel"], segments=["new"])],
            r"bands: b overlaps a from 0 on \(merchant category travel, segment new\)",
        ),
        ([band("a", segments=["old"])], "bands.a.segments: 'old' is not declared"),
        ([band("a"), band("a")], "bands.a: declared 2 times"),
        ([band("a", below_minor=0)], "bands.a: below_minor: it is not above at_least_minor, 0"),
        ([band("a", block=0.5)], "bands.a: challenge, review, block: each is to be higher"),
        ([band("a", block=0)], "bands.a.block: .*greater than 0"),
        ([band("a", below_minor=1.5)], "bands.a.below_minor: .*valid integer"),
        ([band("a", limit=1)], "bands.a.limit: no such key"),
    ],
)
def test_gaps_overlaps_and_whatever_else_is_wrong_are_refused(
    bands: list[dict[str, Any]], problem: str
) -> None:
    with pytest.raises(Refused, match=problem):
        policy(*bands)


def test_a_model_without_a_weight_and_a_weight_without_a_model_are_refused() -> None:
    text = policy_text(models={"tress": {"weight": 1}})

    with pytest.raises(Refused) as refused:
        Policy.read(text, ["trees"])

    assert refused.value.problems == (
        "scoring.models.tress: there is no such model; did you mean trees?",
        "scoring.models: trees is asked, and has no weight",
    )


def test_the_version_is_the_text() -> None:
    assert policy().version == policy().version
    assert policy().version != policy(*MATRIX).version
