"""What is pinned and hidden, for which queries."""

from typing import Any

import pytest

from inferd.errors import InvalidRequest
from inferd.services.search.curations import MAX_CURATIONS, Curations, Pin, curation


def of(query: str = "red shoe", *, contains: bool = False, **said: Any) -> Any:
    return curation(
        query, contains=contains, pins=said.pop("pins", ()), hidden=said.pop("hidden", ())
    )


def test_a_curation_holds_for_its_query_however_it_is_written() -> None:
    curations = Curations([of(" Réd  SHOE!", hidden=["x"])])

    assert curations.of("red shoe").hidden == {"x"}
    for other in ("red", "red shoes", "red shoe sale", ""):
        assert not curations.of(other).hidden


def test_one_for_words_holds_for_all_queries_that_have_them() -> None:
    curations = Curations([of(contains=True, hidden=["x"])])

    for query in ("red shoe", "shoe red", "cheap red leather shoe"):
        assert curations.of(query).hidden == {"x"}
    assert not curations.of("red boot").hidden


def test_all_that_hold_hold_together_and_what_is_hidden_is_not_pinned() -> None:
    curations = Curations(
        [
            of(pins=[Pin("a", 0), Pin("b", 4)]),
            of("shoe", contains=True, pins=[Pin("c", 0), Pin("a", 9), Pin("d", 1)]),
            of("red", contains=True, hidden=["d", "e"]),
        ]
    )

    found = curations.of("red shoe")
    assert found.pins == (Pin("a", 0), Pin("c", 0), Pin("b", 4))
    assert found.hidden == {"d", "e"}
    assert found.without == {"a", "b", "c", "d", "e"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (of("!?", hidden=["x"]), "curations[1].query"),
        (of(), "curations[1]"),
        (of(pins=[Pin("x", -1)]), "curations[1].pins[0].position"),
        (of(pins=[Pin("", 0)]), "curations[1].pins[0].id"),
        (of(pins=[Pin(str(each), each) for each in range(101)]), "curations[1].pins"),
        (of(hidden=["x", ""]), "curations[1].hidden[1]"),
        (of(hidden=["x"] * 1001), "curations[1].hidden"),
    ],
)
def test_what_is_wrong_with_a_curation_is_named(wrong: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Curations([of(hidden=["x"]), wrong])

    assert [each.field for each in caught.value.violations] == [field]


def test_there_may_only_be_so_many() -> None:
    with pytest.raises(InvalidRequest, match="10000"):
        Curations([of(hidden=["x"])] * (MAX_CURATIONS + 1))
