"""The text index: which fields documents have, and how they are written and kept."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from inferd.config.section import MIB, Positive, Section

FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
FieldType = Literal["text", "keyword", "number", "flag"]


class IndexField(Section):
    """A field that documents may have."""

    type: FieldType
    """text: words are searched for. keyword: the whole value is compared, e.g. a brand. number: a
    float64, e.g. a price in minor units or a time. flag: true or false."""
    boost: Positive = 1.0
    """text: how much a word counts that is found here."""
    sortable: bool = False
    """Hits may be sorted by it. A keyword that is sortable has one value."""
    facet: bool = False
    """The values of what was found may be counted."""
    returned: bool = True
    """It is part of what a hit says."""
    suggest: bool = False
    """keyword: its values are suggested to those who begin to type them."""

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        text = self.type == "text"
        if text and (self.sortable or self.facet):
            raise ValueError("a field of type text can be neither sortable nor a facet")
        if not text and self.boost != 1.0:
            raise ValueError(f"a field of type {self.type} has no boost: only text is searched")
        if self.suggest and self.type != "keyword":
            raise ValueError(f"a field of type {self.type} cannot be suggested")
        return self


class SearchIndex(Section):
    """The index of what can be found."""

    fields: Annotated[dict[FieldName, IndexField], Field(min_length=1, max_length=100)]
    """What documents have besides their id."""
    directory: Path | None = None
    """Where it is. One server only writes there. Not set: in memory, and gone with the server."""
    commit_ms: Annotated[float, Field(ge=0, le=250)] = 200.0
    """The longest a document waits for others to be written with. With less, there are more states
    of the index, and fewer seconds of them are kept for pages."""
    commit_documents: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """So many are written without waiting for more."""
    max_waiting: Annotated[int, Field(ge=1)] = 20_000
    """Documents and deletions that wait to be written. More are refused."""
    max_documents: Annotated[int, Field(ge=1)] = 5_000_000
    """How many it holds. More are refused, and so are replacements when it is full."""
    max_document_bytes: Annotated[int, Field(ge=1, le=16 * MIB)] = MIB
    """How large a document may be."""
    writer_bytes: Annotated[int, Field(ge=16_000_000)] = 64_000_000
    """Memory for what is being written."""
    search_threads: Annotated[int, Field(ge=1, le=64)] = 2
    """Searches at the same time. More wait."""
    max_window: Annotated[int, Field(ge=1, le=1000)] = 200
    """Hits that are ranked, at most."""
    max_depth: Annotated[int, Field(ge=1, le=20_000)] = 10_000
    """How many hits somebody can page through."""
    phrase_boost: Annotated[float, Field(ge=0)] = 0.5
    """How much it counts that words are next to each other, in the field with the largest boost.
    0: not at all, and searches are cheaper."""
    cached_documents: Annotated[int, Field(ge=0)] = 50_000
    """Documents kept in memory that were hits of late."""
    page_s: Positive = 60.0
    """How long the next page may be asked for."""
    page_snapshots: Annotated[int, Field(ge=1, le=5000)] = 300
    """States of the index that are kept for next pages, of which there are as many as commits. When
    there are more, the oldest expire before their time. Each takes about 0.2 MB."""
