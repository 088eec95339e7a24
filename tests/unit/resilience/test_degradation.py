from inferd.resilience.degradation import ABSENT, OVERLOADED, Degradation, trailer
from inferd.services.degradations import messages
from inferd.v1 import common_pb2 as pb

OLD = Degradation("taste", "stale", "TIMED_OUT", age_s=1.2344)
SMALL = Degradation("score", "small", OVERLOADED)
MISSING = Degradation("trend", ABSENT, "BREAKER_OPEN")


def test_the_trailer_says_what_served_instead_why_and_how_old_it_is() -> None:
    assert trailer([OLD, SMALL, MISSING]) == (
        "taste=stale;reason=TIMED_OUT;age_ms=1234,score=small;reason=OVERLOADED,"
        "trend=none;reason=BREAKER_OPEN"
    )


def test_what_is_of_now_has_no_age_and_what_is_fresh_has_one() -> None:
    fresh, of_now = messages([OLD._replace(age_s=0.0), SMALL])

    assert fresh.HasField("age_ms")
    assert fresh.age_ms == 0
    assert not of_now.HasField("age_ms")


def test_the_answer_says_the_same_as_the_trailer() -> None:
    assert messages([OLD]) == [
        pb.Degradation(stage="taste", source="stale", reason="TIMED_OUT", age_ms=1234)
    ]
