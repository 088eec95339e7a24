"""Queries in one form, whoever typed them and on whatever.

What cannot be seen is no part of a query: control characters, zero-width characters, marks that say
in which direction to write. The rest is folded as documents are (`words.folded`), with single
spaces. Punctuation stays: prices need it.
"""

import unicodedata

from inferd.errors import InvalidRequest
from inferd.services.search.words import folded, words_of

MAX_CHARACTERS = 1000
_UNSEEN = frozenset({"Cc", "Cf", "Cs"})


def normalise(text: str, *, field: str = "query", most: int = MAX_CHARACTERS) -> str:
    """Return a query in its one form: normalising that changes nothing.

    Raises `InvalidRequest` that names `field` if it is longer than `most` characters.
    """
    if len(text) > most:
        raise InvalidRequest(
            f"{field} has {len(text)} characters; at most {most} are taken", field=field
        )
    # Folding makes up to 18 characters of one.
    return " ".join(folded(_seen(text))[:most].split())


def key_of(text: str) -> str:
    """Return what equal queries have in common: their words, with a space between them."""
    return " ".join(words_of(normalise(text)))


def _seen(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        each for each in text if each.isspace() or unicodedata.category(each) not in _UNSEEN
    )
