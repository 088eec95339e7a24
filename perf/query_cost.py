"""What it costs to understand a query, and to find what an unknown word was meant to be.

    python perf/query_cost.py

The vocabulary has 100,000 words of two to five syllables, whose frequencies fall off as those of
languages do. Nothing is waited for, so it is the time of the thread.
"""

import random
import string
import time
from collections.abc import Callable, Mapping, Sequence

from inferd.config.search.query import SearchEntity, SearchPrices, SearchQuery
from inferd.services.search.query.lexicon import Lexicon
from inferd.services.search.query.relaxation import relaxations
from inferd.services.search.query.synonyms import SynonymSet
from inferd.services.search.query.understanding import Rules, lexicon_of, understand

WORDS = 100_000
CALLS = 3000
SETTINGS = SearchQuery(
    entities={
        "brand": SearchEntity(field="brand"),
        "category": SearchEntity(field="category", filter="alone"),
    },
    prices=SearchPrices(field="price_minor"),
)


def vocabulary(dice: random.Random, count: int = WORDS) -> Mapping[str, int]:
    """Return so many words, with how many documents have them."""
    letters = string.ascii_lowercase
    syllables = ["".join(dice.choices(letters, k=dice.choice((2, 2, 3)))) for _ in range(300)]
    words: dict[str, int] = {}
    while len(words) < count:
        word = "".join(dice.choices(syllables, k=dice.choice((2, 3, 3, 4, 5))))
        words.setdefault(word, count // (len(words) + 1) + 1)
    return words


def mistyped(dice: random.Random, word: str) -> str:
    """Return a word with a typing error."""
    at = dice.randrange(len(word) - 1)
    letter = dice.choice(string.ascii_lowercase)
    return dice.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + letter + word[at:],
            word[:at] + letter + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )


def measured(way: Callable[[str], object], texts: Sequence[str]) -> str:
    """Return what one call takes, in words."""
    taken = []
    for text in texts:
        began = time.thread_time()
        way(text)
        taken.append((time.thread_time() - began) * 1e6)
    taken.sort()
    return f"p50 {taken[len(taken) // 2]:6.0f} us   p99 {taken[len(taken) * 99 // 100]:6.0f} us"


def main() -> None:
    """Measure, and print."""
    dice = random.Random(1)
    terms = vocabulary(dice)
    words = list(terms)
    values = {"brand": dice.sample(words, 500), "category": dice.sample(words, 100)}
    began = time.thread_time()
    lexicon: Lexicon = lexicon_of(SETTINGS, terms, values)
    print(f"{'a lexicon of ' + str(WORDS):<32}{time.thread_time() - began:6.2f} s")
    synonyms = [SynonymSet(tuple(dice.sample(words, 3))) for _ in range(1000)]
    rules = Rules.of(SETTINGS, synonyms, values)
    known = [" ".join(dice.sample(words, 3)) for _ in range(CALLS)]
    wrong = [mistyped(dice, dice.choice(words)) for _ in range(CALLS)]
    priced = [f"{mistyped(dice, dice.choice(words))} {each} under $500" for each in known]
    ways: Mapping[str, tuple[Callable[[str], object], Sequence[str]]] = {
        "candidates for a word": (lexicon.near, wrong),
        "three known words": (lambda text: understand(text, lexicon, rules), known),
        "one unknown word": (lambda text: understand(text, lexicon, rules), wrong),
        "four, one unknown, and a price": (lambda text: understand(text, lexicon, rules), priced),
        "the same, relaxed": (
            lambda text: list(relaxations(understand(text, lexicon, rules))),
            priced,
        ),
    }
    for name, (way, texts) in ways.items():
        print(f"{name:<32}{measured(way, texts)}")


if __name__ == "__main__":
    main()
