"""What callers say of themselves, and what the server makes of it."""

import pytest

from inferd.call import ATTEMPTS, CLIENT_ID, CRITICALITY, Call, Criticality, Value
from inferd.errors import InvalidRequest
from inferd.inference.standing import MAX_CLIENT_ID, ORDINARY, WEIGHTS, standing_of


def test_who_says_nothing_is_critical_and_nobody() -> None:
    standing = standing_of({"user-agent": "curl"})

    assert standing is ORDINARY
    assert standing == (WEIGHTS["CRITICAL"], None, False)


@pytest.mark.parametrize("said", ["SHEDDABLE_PLUS", "sheddable_plus", "Sheddable_Plus"])
def test_criticality_may_be_written_in_any_case(said: str) -> None:
    assert standing_of({CRITICALITY: said}).weight == WEIGHTS["SHEDDABLE_PLUS"]


def test_each_kind_is_worth_ten_of_the_next() -> None:
    weights = [standing_of({CRITICALITY: each.value}).weight for each in Criticality]

    assert weights == [10.0, 1.0, 0.1, 0.01]


@pytest.mark.parametrize("said", ["", "HIGH", "SHEDDABLE ", "0"])
def test_a_criticality_that_there_is_not_is_told_by_its_key(said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        standing_of({CRITICALITY: said})

    assert str(refused.value) == (
        "x-criticality must be one of CRITICAL_PLUS, CRITICAL, SHEDDABLE_PLUS, SHEDDABLE,"
        f" got {said!r}"
    )
    assert refused.value.violations[0].field == "metadata[x-criticality]"


def test_what_is_told_back_is_bounded() -> None:
    with pytest.raises(InvalidRequest) as refused:
        standing_of({CRITICALITY: "x" * 10_000})

    assert len(str(refused.value)) < 200


def test_a_caller_has_a_name() -> None:
    assert standing_of({CLIENT_ID: "reports"}) == (1.0, "reports", False)
    assert standing_of({CLIENT_ID: ""}).caller is None
    assert standing_of({CLIENT_ID: "x" * MAX_CLIENT_ID}).caller == "x" * MAX_CLIENT_ID


def test_a_name_that_is_too_long_is_told_by_its_key() -> None:
    with pytest.raises(InvalidRequest, match="client-id must have at most 128 characters") as long:
        standing_of({CLIENT_ID: "x" * (MAX_CLIENT_ID + 1)})

    assert long.value.violations[0].field == "metadata[client-id]"


@pytest.mark.parametrize(("said", "retried"), [("0", False), ("1", True), ("3", True)])
def test_a_retry_says_so(said: str, retried: bool) -> None:
    assert standing_of({ATTEMPTS: said}) == (1.0, None, retried)


@pytest.mark.parametrize(
    ("metadata", "sheddable"),
    [
        ({}, False),
        ({CRITICALITY: "critical"}, False),
        ({CRITICALITY: "CRITICAL_PLUS"}, False),
        ({CRITICALITY: "sheddable"}, True),
        ({CRITICALITY: "SHEDDABLE_PLUS"}, True),
        ({CRITICALITY: "nonsense"}, False),
    ],
)
def test_a_call_knows_whether_it_can_be_spared(metadata: dict[str, Value], sheddable: bool) -> None:
    assert Call("/m", arrived=0.0, metadata=metadata).sheddable is sheddable
