"""Typing errors, the same for the same seed: what people do to words without meaning to."""

from typing import Final

import numpy as np

_NEIGHBOURS: Final = {
    letter: near
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    for letter, near in zip(row, (*row[1:], row[-2]), strict=True)
}
"""What is hit instead, on a keyboard."""
LEAST: Final = 5
"""Shorter words are typed right."""


def misspelt(query: str, draws: np.random.Generator) -> str:
    """Return a query with an error in one of its longer words; without one if it has none."""
    words = query.split()
    long = [place for place, word in enumerate(words) if len(word) >= LEAST and word.isalpha()]
    if not long:
        return query
    place = long[int(draws.integers(len(long)))]
    words[place] = _mistyped(words[place], draws)
    return " ".join(words)


def _mistyped(word: str, draws: np.random.Generator) -> str:
    """Return a word with an error behind its first letter: another word than it was."""
    at = int(draws.integers(1, len(word) - 1))
    head, letter, tail = word[:at], word[at], word[at + 1 :]
    other = _NEIGHBOURS.get(letter.lower(), "e")
    kinds = [
        f"{head}{tail[0]}{letter}{tail[1:]}",
        f"{head}{tail}",
        f"{head}{letter}{letter}{tail}",
        f"{head}{other}{tail}",
    ]
    made = kinds[int(draws.integers(len(kinds)))]
    return made if made != word else f"{head}{tail}"
