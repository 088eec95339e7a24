"""What may be put into the index: each document is checked alone, and told all that is wrong.

A wrong one is refused before anything is written, so the others of its request are none the worse.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from inferd.config.search.index import IndexField, SearchIndex
from inferd.errors import InvalidRequest, Violation
from inferd.services.search.schema import IndexSchema
from inferd.services.search.text_query import StoredDocument, Value, Values

MAX_ID_BYTES = 512
MAX_KEYWORD_BYTES = 1024
MAX_VALUES = 100
"""Of a field that has several."""

Given = Mapping[str, Value | Sequence[str]]
_Stored = tuple[str, dict[str, str | float | bool | tuple[str, ...]]]
_decoder = msgspec.json.Decoder(_Stored)


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document that can be written. As it was given, and as it is kept."""

    id: str
    fields: Values
    body: bytes


class Documents:
    """Checks documents. Pure."""

    def __init__(self, schema: IndexSchema, settings: SearchIndex) -> None:
        self._schema = schema
        self._max_bytes = settings.max_document_bytes

    def checked(self, id: str, given: Given) -> NewDocument | tuple[Violation, ...]:
        """Return the document, or what is wrong with it, by field."""
        too_large = [*self._too_large(given)]
        wrong = [*_wrong_id(id), *(too_large or self._wrong_fields(given))]
        if wrong:
            return tuple(wrong)
        fields = {name: _as_kept(value) for name, value in given.items()}
        body = msgspec.json.encode((id, fields))
        if len(body) > self._max_bytes:
            return (self._is_too_large(len(body)),)
        return NewDocument(id, fields, body)

    def _wrong_fields(self, given: Given) -> Iterator[Violation]:
        for name, value in given.items():
            if problem := self._problem(name, value):
                yield Violation(f"fields.{name[:64]}", problem)

    def _too_large(self, given: Given) -> Iterator[Violation]:
        characters = sum(_characters(value) for value in given.values())
        if characters > self._max_bytes:
            yield self._is_too_large(characters)

    def _is_too_large(self, size: int) -> Violation:
        return Violation("fields", f"{size} bytes together; at most {self._max_bytes} are taken")

    def _problem(self, name: str, value: Value | Sequence[str]) -> str:
        field = self._schema.fields.get(name)
        if field is None:
            return self._schema.unknown(name)
        match field.type:
            case "number":
                return _wrong_number(value)
            case "flag":
                return "" if isinstance(value, bool) else f"must be a flag, not {_kind(value)}"
            case _:
                return _wrong_texts(value, field)


def stored(number: int, body: bytes) -> StoredDocument:
    """Return a document as it was kept."""
    id, fields = _decoder.decode(body)
    return StoredDocument(number, id, fields)


def ids_checked(ids: Sequence[str], named: str = "ids") -> None:
    """Raise `InvalidRequest`, naming each that cannot be an id."""
    wrong = [
        Violation(f"{named}[{place}]", each.description)
        for place, id in enumerate(ids)
        for each in _wrong_id(id)
    ]
    if wrong:
        raise InvalidRequest(f"{wrong[0].field} {wrong[0].description}", violations=wrong)


def _wrong_id(id: str) -> Iterator[Violation]:
    if not id:
        yield Violation("id", "must not be empty")
    elif (problem := _wrong_text(id)) or any(ord(each) < ord(" ") for each in id):
        yield Violation("id", problem or "must have no control characters")
    elif len(id.encode()) > MAX_ID_BYTES:
        yield Violation("id", f"{len(id.encode())} bytes; at most {MAX_ID_BYTES} are taken")


def _wrong_number(value: Value | Sequence[str]) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"must be a number, not {_kind(value)}"
    return "" if abs(value) <= sys.float_info.max else "must be finite"


def _wrong_texts(value: Value | Sequence[str], field: IndexField) -> str:
    if isinstance(value, bool | int | float):
        return f"must be a text, not {_kind(value)}"
    texts = (value,) if isinstance(value, str) else value
    if len(texts) > MAX_VALUES:
        return f"{len(texts)} values; at most {MAX_VALUES} are taken"
    if field.sortable and len(texts) != 1:
        return f"must have one value, not {len(texts)}: it is sorted by"
    for text in texts:
        problem = _wrong_text(text) or (_wrong_keyword(text) if field.type == "keyword" else "")
        if problem:
            return problem
    return ""


def _wrong_keyword(text: str) -> str:
    if not text:
        return "must not be an empty keyword; leave the field out"
    size = len(text.encode())
    if size > MAX_KEYWORD_BYTES:
        return f"a keyword of {size} bytes; at most {MAX_KEYWORD_BYTES} are taken"
    return ""


def _wrong_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return "must be valid Unicode: it has half a surrogate pair"
    return ""


def _characters(value: Value | Sequence[str]) -> int:
    if isinstance(value, bool | int | float):
        return 0
    return len(value) if isinstance(value, str) else sum(map(len, value))


def _as_kept(value: Value | Sequence[str]) -> Value | tuple[str, ...]:
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        return float(value) + 0.0  # there is one zero only, or two that are equal are not found
    return tuple(value)


def _kind(value: Value | Sequence[str]) -> str:
    match value:
        case bool():
            return "a flag"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case _:
            return "several texts"
