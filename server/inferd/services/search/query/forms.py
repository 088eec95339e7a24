"""The English plural of a word, and what a word may be the plural of.

Documents are not stemmed: both forms are searched for instead, if the index has them. So the words
that are told remain words, and nothing that merely looks alike is found.
"""

from collections.abc import Iterator

_HISSING = ("s", "x", "z", "ch", "sh")
_LETTERS = 3
"""Shorter words have no forms: "bus" is none of "bu"."""


def other_forms(word: str) -> Iterator[str]:
    """Yield what may be the plural or the singular of a word. Not all are words."""
    if len(word) < _LETTERS or not word.isalpha() or not word.isascii():
        return
    if not word.endswith("s"):
        yield _plural(word)
        return
    if word.endswith("ies"):
        yield word[:-3] + "y"
    elif word.endswith("es") and word[:-2].endswith(_HISSING):
        yield word[:-2]
    if not word.endswith(("ss", "us", "is")) and len(word) > _LETTERS:
        yield word[:-1]
    else:
        yield _plural(word)


def _plural(word: str) -> str:
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(_HISSING) else "s")
