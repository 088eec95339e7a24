"""What somebody is after, told by rules from the words of the query and what they name.

In this order: a question is one by its first word or its question mark. One certain thing is asked
for by the designation of a model ("wh1000xm4"), by something named with a number behind it ("iphone
13"), or by words that name nothing and that hardly any documents have. A query that only names a
category, or is a single plain word, asks for anything of the kind. All else describes what is
wanted.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from inferd.config.search.query import SearchQuery
from inferd.services.search.query.understood import Intent

_ASKING = frozenset(
    ("how", "what", "why", "when", "where", "who", "which", "can", "does", "do", "is", "are")
)
_ASKING_WORDS = 3
_MODEL = re.compile(r"(?=[^\W_]*\d)(?=[^\W_]*[^\W\d_])[^\W_]{4,}")
_QUANTITY = re.compile(r"\d+[^\W\d_]{1,4}|\d+x\d+")
"""64gb, 100cm, 20x30: no designation of anything."""


@dataclass(frozen=True, slots=True)
class Clues:
    """What there is to tell an intent by."""

    #: As it was asked, normalised.
    asked: str
    #: As they were taken, without those that are not searched for.
    words: Sequence[str]
    #: How many documents have each.
    frequencies: Sequence[int]
    #: Places of words that name something.
    named: frozenset[int]
    kinds: frozenset[str]
    priced: bool


def intent_of(clues: Clues, settings: SearchQuery) -> Intent:
    """Return what is asked for."""
    if _asks(clues.asked):
        return Intent.QUESTION
    if not clues.priced and _one_thing(clues, settings.navigational_documents):
        return Intent.NAVIGATIONAL
    others = len(clues.words) - len(clues.named)
    if not clues.priced and (len(clues.words) <= 1 or (not others and clues.kinds)):
        return Intent.CATEGORY
    return Intent.ATTRIBUTE


def _asks(asked: str) -> bool:
    words = asked.split()
    if asked.endswith("?"):
        return True
    return len(words) >= _ASKING_WORDS and words[0] in _ASKING


def _one_thing(clues: Clues, rare: int) -> bool:
    if any(_MODEL.fullmatch(word) and not _QUANTITY.fullmatch(word) for word in clues.words):
        return True
    numbered = any(
        word.isdigit() and at and at - 1 in clues.named for at, word in enumerate(clues.words)
    )
    unnamed = [each for at, each in enumerate(clues.frequencies) if at not in clues.named]
    return numbered or (bool(unnamed) and all(0 < each <= rare for each in unnamed))
