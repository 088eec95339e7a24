from typing import Any

import pytest

from inferd.errors import InvalidRequest
from inferd.services.search.documents import Documents, NewDocument, ids_checked, stored
from inferd.services.search.schema import IndexSchema
from support.search_index import FIELDS, settings

CHECKING = Documents(IndexSchema(FIELDS), settings(max_document_bytes=2000))

GOOD: list[dict[str, Any]] = [
    {},
    {"title": "x", "price": 3, "new": False, "tags": ["a", "b"], "brand": "Ünder"},
    {"title": ["one", "two"], "tags": [], "price": -0.0},
    {"title": "", "about": "\u202eabc\u200b\0", "price": 1e308},
]


@pytest.mark.parametrize("fields", GOOD)
def test_a_document_is_kept_as_it_was_given(fields: dict[str, Any]) -> None:
    document = CHECKING.checked("id/1", fields)

    assert isinstance(document, NewDocument)
    kept = stored(7, document.body)
    assert (kept.number, kept.id) == (7, "id/1")
    assert kept.fields == document.fields
    assert {
        name: [*said] if isinstance(said, tuple) else said for name, said in kept.fields.items()
    } == fields


WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("", {}, "id", "empty"),
    ("a\nb", {}, "id", "control"),
    ("a\ud800", {}, "id", "Unicode"),
    ("ä" * 257, {}, "id", "514 bytes"),
    ("a", {"titel": "x"}, "fields.titel", "did you mean 'title'"),
    ("a", {"_id": "x"}, "fields._id", "no field"),
    ("a", {"price": "3"}, "fields.price", "must be a number, not a text"),
    ("a", {"price": True}, "fields.price", "not a flag"),
    ("a", {"price": float("nan")}, "fields.price", "finite"),
    ("a", {"price": float("inf")}, "fields.price", "finite"),
    ("a", {"new": 1.0}, "fields.new", "must be a flag, not a number"),
    ("a", {"title": 5}, "fields.title", "must be a text, not a number"),
    ("a", {"title": "half \udfff"}, "fields.title", "Unicode"),
    ("a", {"brand": ["x", "y"]}, "fields.brand", "one value, not 2"),
    ("a", {"brand": ""}, "fields.brand", "empty"),
    ("a", {"tags": ["x" * 1025]}, "fields.tags", "1025 bytes"),
    ("a", {"tags": ["x"] * 101}, "fields.tags", "101 values"),
    ("a", {"about": "x" * 10_000_000}, "fields", "10000000 bytes together; at most 2000"),
    ("a", {"about": "日" * 1000}, "fields", "at most 2000"),
    ("a", {"price": 10**400}, "fields.price", "finite"),
]


@pytest.mark.parametrize(("id", "fields", "field", "said"), WRONG)
def test_a_wrong_document_is_told_which_field_is_wrong(
    id: str, fields: dict[str, Any], field: str, said: str
) -> None:
    wrong = CHECKING.checked(id, fields)

    assert isinstance(wrong, tuple)
    assert [each.field for each in wrong] == [field]
    assert said in wrong[0].description


def test_all_that_is_wrong_is_told_at_once() -> None:
    wrong = CHECKING.checked("", {"prise": 1.0, "new": "yes", "title": "fine"})

    assert isinstance(wrong, tuple)
    assert [each.field for each in wrong] == ["id", "fields.prise", "fields.new"]


def test_ids_are_told_by_their_place() -> None:
    ids_checked(["a", "b"])
    with pytest.raises(InvalidRequest) as raised:
        ids_checked(["a", "", "b\0"])
    assert [each.field for each in raised.value.violations] == ["ids[1]", "ids[2]"]
