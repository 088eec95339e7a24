"""What an answer says that it had to do without."""

import pytest

from inferd.resilience.degradation import Degradation as Said
from inferd.resilience.degradation import trailer
from inferd_client import Degradation, InferResult, Unavailable
from inferd_client._trailing import degradations, mapping_of


def test_metadata_becomes_a_mapping() -> None:
    assert mapping_of((("a", "1"), ("b-bin", b"2"), ("a", "3"))) == {"a": "3", "b-bin": b"2"}
    assert mapping_of(None) == {}


def test_reads_what_the_server_writes() -> None:
    said = [
        Said("features", "stale", "TIMED_OUT", 1.5),
        Said("model", "small", "OVERLOADED"),
        Said("rank", "none", "BREAKER_OPEN", 0.0),
    ]

    read = degradations({"x-degraded": trailer(said)})

    assert list(map(tuple, read)) == list(map(tuple, said))
    assert read[0] == Degradation("features", "stale", "TIMED_OUT", 1.5)


@pytest.mark.parametrize("trailing", [{}, {"x-degraded": ""}, {"x-degraded": b"a=b"}])
def test_an_answer_that_says_nothing_is_as_good_as_it_gets(
    trailing: dict[str, str | bytes],
) -> None:
    assert degradations(trailing) == ()


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("a=b", [Degradation("a", "b", "")]),
        (" a=b ; reason=R , c=d", [Degradation("a", "b", "R"), Degradation("c", "d", "")]),
        ("a=b;reason=R;later=thing;flag", [Degradation("a", "b", "R")]),
        ("a=b;reason=R;age_ms=old", [Degradation("a", "b", "R")]),
        (",;,=,a,a=,=b,ok=yes", [Degradation("ok", "yes", "")]),
    ],
)
def test_what_cannot_be_read_is_passed_over(value: str, read: list[Degradation]) -> None:
    assert list(degradations({"x-degraded": value})) == read


def test_answers_and_errors_say_it() -> None:
    trailing = {"x-degraded": "model=small;reason=OVERLOADED"}
    answer = InferResult("m", "1", "", {}, {}, {}, trailing)

    assert answer.degraded == (Degradation("model", "small", "OVERLOADED"),)
    assert Unavailable("shed", trailing=trailing).degraded == answer.degraded
    assert Unavailable("shed").degraded == ()
