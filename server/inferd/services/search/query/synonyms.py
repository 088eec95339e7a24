"""Words that mean the same, or that others may stand for.

A set of words holds in all directions: whoever writes one of them finds the others. A set with `of`
holds in one: "pants" is widened to "jeans", and who asks for jeans wants no other pants. Both sides
may be several words. Sets are not chained: a synonym's synonyms are none, unless a set says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from inferd.errors import InvalidRequest
from inferd.services.search.query.phrases import MAX_WORDS, Phrase, Phrases
from inferd.services.search.words import words_of

MAX_SETS = 10_000
MAX_TEXTS = 100
"""In one set."""


@dataclass(frozen=True, slots=True)
class SynonymSet:
    """Texts that mean the same; with `of`, what that one text may stand for."""

    words: tuple[str, ...]
    of: str = ""


def synonyms_of(sets: Sequence[SynonymSet]) -> Phrases[Phrase]:
    """Return what phrases are widened to, each a text of words with spaces between them.

    Raises `InvalidRequest` that names the set at fault.
    """
    if len(sets) > MAX_SETS:
        raise InvalidRequest(f"at most {MAX_SETS} sets are taken", field="synonyms")
    wider: dict[Phrase, dict[str, None]] = {}
    for at, each in enumerate(sets):
        texts = [_phrase(text, f"synonyms[{at}].words") for text in each.words]
        given = [_phrase(each.of, f"synonyms[{at}].of")] if each.of else texts
        _check(texts, each, at)
        for phrase in given:
            others = wider.setdefault(phrase, {})
            others.update((" ".join(text), None) for text in texts if text != phrase)
    return Phrases({phrase: tuple(others) for phrase, others in wider.items() if others})


def _check(texts: Sequence[Phrase], each: SynonymSet, at: int) -> None:
    least = 1 if each.of else 2
    if not least <= len(texts) <= MAX_TEXTS:
        raise InvalidRequest(
            f"a set has at least {least} and at most {MAX_TEXTS} texts, this one {len(texts)}",
            field=f"synonyms[{at}].words",
        )


def _phrase(text: str, field: str) -> Phrase:
    words = tuple(words_of(text))
    if not 1 <= len(words) <= MAX_WORDS:
        raise InvalidRequest(
            f"{text[:64]!r} has {len(words)} words; a synonym has 1 to {MAX_WORDS}", field=field
        )
    return words
