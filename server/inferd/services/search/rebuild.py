"""An index written anew from its own documents, beside itself.

Every document is kept as it was given, so the index needs nothing else: not where the documents
came from, and not the schema it was written with.
"""

from collections.abc import Callable, Iterator

import tantivy
from tantivy import FieldType, Order, Query

from inferd.errors import Unavailable
from inferd.services.search.documents import NewDocument, stored
from inferd.services.search.index_layout import BODY, ID, NUMBER
from inferd.services.search.writing_pen import Pen

AT_ONCE = 1000


def copy_all(
    searcher: tantivy.Searcher,
    fields: tantivy.Schema,
    into: Pen,
    closing: Callable[[], bool] = lambda: False,
) -> int:
    """Copy every document into another index, and return how many they were. Commits.

    Raises `Unavailable` if it cannot be written, or when the index is being closed.
    """
    last = copied = 0
    while True:
        if closing():
            into.close()
            raise Unavailable("the index is being closed")
        following = Query.range_query(fields, NUMBER, FieldType.Unsigned, last + 1)
        hits = searcher.search(
            following, AT_ONCE, count=False, order_by_field=NUMBER, order=Order.Asc
        ).hits
        if not hits:
            into.write(())
            return copied
        into.copy(_read(searcher, hits))
        last = hits[-1][0]
        copied += len(hits)


def catch_up(old: Pen, fields: tantivy.Schema, touched: set[str], into: Pen) -> None:
    """Have another index say of these ids what this one says, if only that they are gone. Commits.

    It goes on with this one's numbers. Raises `Unavailable` if it cannot be written.
    """
    ids = sorted(touched)
    for first in range(0, len(ids), AT_ONCE):
        some = ids[first : first + AT_ONCE]
        query = Query.term_set_query(fields, ID, some)
        hits = old.searcher.search(
            query, len(some), count=False, order_by_field=NUMBER, order=Order.Asc
        ).hits
        into.copy(_read(old.searcher, hits), instead_of=some)
    into.number = max(into.number, old.number)
    into.write(())


def _read(
    searcher: tantivy.Searcher, hits: list[tuple[int, tantivy.DocAddress]]
) -> Iterator[tuple[int, NewDocument]]:
    for number, where in hits:
        body: bytes = searcher.doc(where)[BODY][0]
        document = stored(number, body)
        yield number, NewDocument(document.id, document.fields, body)
