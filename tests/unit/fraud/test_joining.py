"""Several values as one: the entity of a user at a device, and the like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.services.fraud.features import said

SOURCE = ("a.one", "a.two")
PART = st.text("ab|\\", min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        (("u1", "d1"), "u1|d1"),
        (("u1", 7), "u1|7"),
        (("a|b", "c"), r"a\|b|c"),
        (("a", "b|c"), r"a|b\|c"),
        (("a\\", "b"), r"a\\|b"),
        (("u1", ""), None),
    ],
)
def test_values_are_joined_by_a_bar(parts: tuple[str | int, ...], joined: str | None) -> None:
    assert said(dict(zip(SOURCE, parts, strict=True)), SOURCE) == joined


def test_one_value_stays_as_it_is() -> None:
    assert said({"a.one": "a|b"}, ("a.one",)) == "a|b"


@given(st.tuples(PART, PART), st.tuples(PART, PART))
def test_different_values_are_never_the_same_when_they_are_joined(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    first, second = (said(dict(zip(SOURCE, each, strict=True)), SOURCE) for each in (one, other))

    assert (first == second) is (one == other)
