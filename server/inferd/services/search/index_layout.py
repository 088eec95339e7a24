"""How a document lies in tantivy: what is indexed under which name, and in which form.

Texts are given to tantivy as the words that `words.words_of` made of them, with spaces between, so
that queries and documents cannot disagree about what a word is. What the document said is kept in
one stored field, and everything that is told of a hit comes from there.
"""

import tantivy

from inferd.services.search.documents import NewDocument, stored
from inferd.services.search.schema import IndexSchema
from inferd.services.search.text_query import StoredDocument, Value, Values
from inferd.services.search.words import words_of

ID = "_id"
NUMBER = "_number"
"""Counts the documents that were ever written: another text of the same id is another number."""
HAS = "_has"
"""The names of the fields a document has values of."""
BODY = "_body"


class Layout:
    """The fields of an index as tantivy has them."""

    def __init__(self, schema: IndexSchema) -> None:
        self.schema = schema
        builder = tantivy.SchemaBuilder()
        for name in (ID, *schema.keywords):
            builder.add_text_field(name, fast=True, tokenizer_name="raw", index_option="basic")
        builder.add_text_field(HAS, tokenizer_name="raw", index_option="basic")
        builder.add_unsigned_field(NUMBER, indexed=True, fast=True)
        builder.add_bytes_field(BODY, stored=True)
        for name in schema.text:
            builder.add_text_field(name, tokenizer_name="whitespace", index_option="position")
        for name in schema.numbers:
            builder.add_float_field(name, indexed=True, fast=True)
        for name in schema.flags:
            builder.add_boolean_field(name, indexed=True, fast=True)
        self.fields = builder.build()

    def written(self, number: int, document: NewDocument) -> tantivy.Document:
        """Return what tantivy is given for a document. What the schema lacks is only stored."""
        entry = tantivy.Document()
        entry.add_text(ID, document.id)
        entry.add_unsigned(NUMBER, number)
        entry.add_bytes(BODY, document.body)
        for name, field in self.schema.fields.items():
            value = self.value(document.fields, name)
            if value is None:
                continue
            entry.add_text(HAS, name)
            if isinstance(value, bool):
                entry.add_boolean(name, value)
            elif isinstance(value, float):
                entry.add_float(name, value)
            else:
                for text in (value,) if isinstance(value, str) else value:
                    entry.add_text(name, text if field.type == "keyword" else _words(text))
        return entry

    def value(self, values: Values, name: str) -> Value | tuple[str, ...] | None:
        """Return what a document is found by in a field, None: nothing.

        That is nothing, too, if the field was of another type when the document was given.
        """
        value, field = values.get(name), self.schema.fields[name]
        match field.type, value:
            case ("flag", bool()) | ("number", float()) | ("text" | "keyword", str()):
                return value
            case (("text" | "keyword"), (first, *_)):
                return first if field.sortable else value
            case _:
                return None

    def words_in(self, values: Values) -> list[str]:
        """Return the words of a document's texts: each once for every field it is in."""
        found: list[str] = []
        for name in self.schema.text:
            value = self.value(values, name)
            texts = (value,) if isinstance(value, str) else value
            if isinstance(texts, tuple):
                found.extend({word for text in texts for word in words_of(text)})
        return found


def read(searcher: tantivy.Searcher, number: int, address: tantivy.DocAddress) -> StoredDocument:
    """Return a document as it was stored."""
    body: bytes = searcher.doc(address)[BODY][0]
    return stored(number, body)


def _words(text: str) -> str:
    return " ".join(words_of(text))
