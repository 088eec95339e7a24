import pytest

from inferd.config.search.index import IndexField
from inferd.errors import InvalidRequest
from inferd.services.search.schema import IndexSchema

SCHEMA = IndexSchema(
    {
        "title": IndexField(type="text"),
        "brand": IndexField(type="keyword", facet=True),
        "price": IndexField(type="number", sortable=True, returned=False),
    }
)


def test_a_field_that_there_is_not_is_told_with_the_nearest_name() -> None:
    with pytest.raises(InvalidRequest, match="no field 'brnad'; did you mean 'brand'") as raised:
        SCHEMA.type_of("brnad", "filters[2].field")
    assert raised.value.violations[0].field == "filters[2].field"
    assert SCHEMA.unknown("x" * 1000) == f"there is no field {'x' * 64!r}"


def test_only_what_is_sortable_can_be_sorted_by() -> None:
    SCHEMA.must_sort("price", "sort[0].field")
    with pytest.raises(InvalidRequest, match="not sortable; these are: price and relevance"):
        SCHEMA.must_sort("brand", "sort[0].field")


def test_only_facets_can_be_counted() -> None:
    SCHEMA.must_count("brand", "facets[0].field")
    with pytest.raises(InvalidRequest, match="not a facet; these are: brand"):
        SCHEMA.must_count("price", "facets[0].field")


def test_what_a_field_is_worth_changes_nothing_about_what_is_written() -> None:
    dearer = {**SCHEMA.fields, "title": IndexField(type="text", boost=9.0)}
    other = {**SCHEMA.fields, "title": IndexField(type="keyword")}
    assert IndexSchema(dearer).fingerprint == SCHEMA.fingerprint
    assert IndexSchema(other).fingerprint != SCHEMA.fingerprint
