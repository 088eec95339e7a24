"""What the documents of an index look like: their fields, and what may be done with each.

The configuration says it; here it is asked by name. Whoever names a field that there is not is told
so, with the name that was probably meant.
"""

import hashlib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from inferd.config.search.index import FieldType, IndexField
from inferd.errors import InvalidRequest

RELEVANCE = "relevance"
"""What hits are sorted by unless a field is named."""


class IndexSchema:
    """The fields of an index. Immutable."""

    def __init__(self, fields: Mapping[str, IndexField]) -> None:
        self.fields = dict(fields)
        self.text = self._of("text")
        self.keywords = self._of("keyword")
        self.numbers = self._of("number")
        self.flags = self._of("flag")
        self.suggested = tuple(name for name, each in fields.items() if each.suggest)
        self.returned = frozenset(name for name, each in fields.items() if each.returned)

    @property
    def fingerprint(self) -> str:
        """Indexes that were written with the same one can be opened with each other's schema."""
        written = sorted((name, each.type, each.sortable) for name, each in self.fields.items())
        return hashlib.sha256(repr(written).encode()).hexdigest()[:16]

    def type_of(self, name: str, asked_as: str) -> FieldType:
        """Return a field's type; `asked_as` is where its name was given, for the error.

        Raises `InvalidRequest`.
        """
        field = self.fields.get(name)
        if field is None:
            raise InvalidRequest(self.unknown(name), field=asked_as)
        return field.type

    def must_sort(self, name: str, asked_as: str) -> None:
        """Raise `InvalidRequest` unless hits can be sorted by the field."""
        self.type_of(name, asked_as)
        if not self.fields[name].sortable:
            sortable = self._such(name for name, each in self.fields.items() if each.sortable)
            raise InvalidRequest(
                f"field {name!r} is not sortable; {sortable} and {RELEVANCE}", field=asked_as
            )

    def must_count(self, name: str, asked_as: str) -> None:
        """Raise `InvalidRequest` unless the field's values can be counted."""
        self.type_of(name, asked_as)
        if not self.fields[name].facet:
            facets = self._such(name for name, each in self.fields.items() if each.facet)
            raise InvalidRequest(f"field {name!r} is not a facet; {facets}", field=asked_as)

    def unknown(self, name: str) -> str:
        """Return what to say of a field that there is not."""
        near = get_close_matches(name[:64], self.fields, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        return f"there is no field {name[:64]!r}{meant}"

    def _of(self, type: FieldType) -> tuple[str, ...]:
        return tuple(name for name, each in self.fields.items() if each.type == type)

    def _such(self, names: Iterable[str]) -> str:
        return f"these are: {', '.join(names) or 'none'}"
