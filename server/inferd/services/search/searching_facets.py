"""Facets: how often each value of a field is among all that was found."""

from collections.abc import Mapping, Sequence
from typing import Any

from inferd.services.search.schema import IndexSchema
from inferd.services.search.text_query import Facet, FacetCounts, Value

MANY = 65_000
"""Values that are counted in each part of the index. With more of them, counts may be too low."""


def request_of(facets: Sequence[Facet]) -> dict[str, Any]:
    """Return what tantivy is asked for these facets."""
    return {
        each.field: {"terms": {"field": each.field, "size": each.count, "segment_size": MANY}}
        for each in facets
    }


def counted(
    facets: Sequence[Facet], answer: Mapping[str, Any], schema: IndexSchema
) -> tuple[FacetCounts, ...]:
    """Return what tantivy answered to `request_of`."""
    return tuple(
        FacetCounts(
            each.field,
            tuple(
                (_value(schema, each.field, bucket["key"]), int(bucket["doc_count"]))
                for bucket in answer[each.field]["buckets"]
            ),
            more=answer[each.field]["sum_other_doc_count"] > 0,
        )
        for each in facets
    )


def _value(schema: IndexSchema, field: str, key: str | float) -> Value:
    match schema.fields[field].type:
        case "flag":
            return bool(key)
        case "number":
            return float(key)
        case _:
            return str(key)
