"""How a text becomes words: the same for documents and for queries, or nothing is ever found.

Small letters without accents, in runs of letters and digits. Whatever else there is separates them.
Ligatures, full-width letters and the like are first made what they look like (NFKC), and letters
that are no accented ones but are typed as if they were ("ø", "ł") become those. A run that is
longer than any word is cut.
"""

import re
import unicodedata

_RUN = re.compile(r"[^\W_]{1,64}")
_UNSEEN = (0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF)
"""Soft hyphens, characters of no width, and marks of the direction of writing: part of no word."""
_PLAIN = str.maketrans(
    dict(zip("øłđħ\u0131", "oldhi", strict=True))
    | {"æ": "ae", "œ": "oe"}
    | dict.fromkeys(map(chr, _UNSEEN), ""),
)


def folded(text: str) -> str:
    """Return a text in small letters without accents."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(each for each in apart if not unicodedata.combining(each))
    return unicodedata.normalize("NFKC", bare).casefold().translate(_PLAIN)


def words_of(text: str) -> list[str]:
    """Return the words of a text, in their order."""
    return _RUN.findall(folded(text))
