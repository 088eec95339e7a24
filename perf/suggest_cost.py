"""What a suggestion costs, of 100,000 texts: 50,000 titles and terms, and 50,000 queries.

    python perf/suggest_cost.py

Prefixes are what somebody types who goes for one of the texts, letter by letter; some have a typing
error. Nothing is waited for, so it is the time of the thread.
"""

import random
import time
from collections.abc import Iterator, Sequence

from inferd.config.search.suggest import SearchSuggest
from inferd.services.search.suggest.suggester import Suggester, completions_of
from query_cost import measured, mistyped, vocabulary

TEXTS = 50_000
CALLS = 4000
SHOWN = 8
NOW_US = 1_700_000_000_000_000


def texts(dice: random.Random, words: Sequence[str], count: int) -> Sequence[str]:
    """Return so many texts of one to four words."""
    made: dict[str, None] = {}
    frequent = [1 / (place + 1) ** 0.5 for place in range(len(words))]
    while len(made) < count:
        made[" ".join(dice.choices(words, frequent, k=dice.randint(1, 4)))] = None
    return list(made)


def prefixes(dice: random.Random, whole: Sequence[str], *, wrong: bool) -> Iterator[str]:
    """Yield what somebody has typed so far."""
    while True:
        text = dice.choice(whole)
        typed = text[: dice.randint(4 if wrong else 1, min(len(text), 20))]
        yield mistyped(dice, typed) if wrong else typed


def main() -> None:
    """Measure, and print."""
    dice = random.Random(1)
    words = list(vocabulary(dice, 20_000))
    every = texts(dice, words, 2 * TEXTS)
    titles = {text.title(): dice.randint(1, 1000) for text in every[:TEXTS]}
    asked = {text: NOW_US / 72 / 3.6e9 + dice.random() * 10 for text in every[TEXTS:]}
    suggester = Suggester(SearchSuggest())
    began = time.thread_time()
    completions = completions_of(SearchSuggest(), {}, titles, asked, NOW_US)
    print(f"{'completions of ' + str(len(completions)):<32}{time.thread_time() - began:6.2f} s")
    suggester.use(completions)
    right, wrong = prefixes(dice, every, wrong=False), prefixes(dice, every, wrong=True)
    recent = dice.sample(every, 20)
    typed = {
        "one letter": [next(right)[0] for _ in range(CALLS)],
        "as it is typed": [next(right) for _ in range(CALLS)],
        "with a typing error": [next(wrong) for _ in range(CALLS)],
    }
    for name, each in typed.items():
        taken = measured(lambda prefix: suggester.suggest(prefix, recent, SHOWN), each)
        print(f"{name:<32}{taken}")


if __name__ == "__main__":
    main()
