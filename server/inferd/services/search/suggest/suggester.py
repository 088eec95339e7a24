"""Which completions somebody is shown: their own queries first, then what is popular. Pure.

A typing error is allowed for where nothing begins with what was typed, and what is found so is
marked. What is suggested is made anew from time to time: `asked.popular` is a copy of what was
asked, `completions_of` takes a while and belongs beside the event loop, `use` puts it in force.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from math import inf, log1p

from inferd.config.search.suggest import SearchSuggest
from inferd.services.search.query.normal import normalise
from inferd.services.search.suggest.asked import AskedQueries, weight
from inferd.services.search.suggest.completions import Completions, Entry, Kind
from inferd.services.search.words import words_of

MAX_CHARACTERS = 200
"""Of what was typed."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """How what was typed may go on."""

    text: str
    #: The larger the better, in one answer.
    score: float
    kind: Kind
    #: What was typed is the text's beginning, up to this character.
    match_end: int
    #: It fits only if a typing error is allowed for.
    corrected: bool = False


@dataclass(frozen=True, slots=True)
class Suggestions:
    """An answer: the best first."""

    suggestions: tuple[Suggestion, ...] = ()
    #: What the last word was probably meant to be. Empty: what it is.
    did_you_mean: str = ""


def completions_of(
    settings: SearchSuggest,
    terms: Mapping[str, int],
    titles: Mapping[str, int],
    asked: Mapping[str, float],
    now_us: int,
) -> Completions:
    """Return what may be suggested.

    `terms` (words) and `titles` (values of fields) are given with the number of documents that have
    them, and `asked` as `AskedQueries.popular` says it.
    """
    documents = [
        *((text, count, Kind.TERM) for text, count in terms.items()),
        *((text, count, Kind.TITLE) for text, count in titles.items()),
    ]
    best = nlargest(settings.max_terms, documents, key=lambda each: each[1])
    return Completions(
        (
            *(Entry(text, count * settings.term_weight, kind) for text, count, kind in best),
            *(
                Entry(text, weight(score, now_us, settings.half_life_h), Kind.QUERY)
                for text, score in asked.items()
            ),
        )
    )


class Suggester:
    """Suggests. The event loop's."""

    def __init__(self, settings: SearchSuggest) -> None:
        self._settings = settings
        self.asked = AskedQueries(settings)
        self._completions = Completions(())

    def __len__(self) -> int:
        """Return how many texts may be suggested."""
        return len(self._completions)

    def use(self, completions: Completions) -> None:
        """Suggest these from now on."""
        self._completions = completions

    def suggest(self, prefix: str, user_recent: Sequence[str], count: int) -> Suggestions:
        """Return how a prefix may go on; `user_recent`: what the user asked, the newest last.

        Raises `InvalidRequest` that names `prefix` if it is too long.
        """
        typed = normalise(prefix, field="prefix", most=MAX_CHARACTERS)
        words = words_of(typed)
        key = " ".join(words)
        if words and prefix[-1:].isspace():
            key += " "
        mine = list(self._recent(key, user_recent, count))
        popular = [_suggestion(each, key) for each in self._completions.best(key, count)]
        if popular or not words:
            return Suggestions(_ranked([*mine, *popular], count))
        corrected = list(self._corrected(words, count))
        meant = _word(corrected[0].text, len(words)) if corrected else ""
        return Suggestions(_ranked([*mine, *corrected], count), meant)

    def _recent(self, key: str, user_recent: Sequence[str], count: int) -> Iterator[Suggestion]:
        """Yield what the user asked that begins so, the newest first."""
        texts = (" ".join(words_of(query)) for query in reversed(user_recent))
        fitting = [text for text in dict.fromkeys(texts) if text.startswith(key) and text != key]
        for text in fitting[: min(self._settings.recent, count)]:
            yield Suggestion(text, inf, Kind.RECENT, len(key.rstrip()))

    def _corrected(self, words: Sequence[str], count: int) -> Iterator[Suggestion]:
        for key in self._completions.corrected(words):
            for entry in self._completions.best(key, count):
                yield replace(_suggestion(entry, key), corrected=True)


def _suggestion(entry: Entry, key: str) -> Suggestion:
    end = _match_end(entry.text, key.rstrip())
    return Suggestion(entry.text, log1p(entry.weight), entry.kind, end)


def _ranked(suggestions: Iterable[Suggestion], count: int) -> tuple[Suggestion, ...]:
    """Return the first ones, each text once, with scores that say in which order they are."""
    once: dict[str, Suggestion] = {}
    for each in suggestions:
        once.setdefault(" ".join(words_of(each.text)), each)
    shown = list(once.values())[:count]
    best = max((each.score for each in shown if each.score < inf), default=0.0)
    ceiling = best + 1.0
    ranked = []
    for each in shown:
        ceiling = min(ceiling, each.score)
        ranked.append(replace(each, score=ceiling))
    return tuple(ranked)


def _match_end(text: str, key: str) -> int:
    """Return how many characters of a text make its words begin with `key`. O(log n) foldings."""
    if text.startswith(key):
        return len(key)
    least, most = 0, len(text)
    while least < most:
        middle = (least + most) // 2
        if " ".join(words_of(text[:middle])).startswith(key):
            most = middle
        else:
            least = middle + 1
    return least


def _word(text: str, words: int) -> str:
    """Return the word of a text that is so far from its beginning."""
    there = words_of(text)
    return there[words - 1] if len(there) >= words else ""
