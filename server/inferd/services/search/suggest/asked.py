"""What is asked of late, and how often: what may be suggested to others. Pure.

Counts fade, by half in a half-life, so what is asked now counts more than what was asked much. A
query is somebody's own until enough different users asked it: only then may it be suggested to
anybody else. Of users no more is kept than hashes, with a key that nobody has, and no longer than
until there are enough of them. What looks like a number of a card or a phone, or like an address of
mail, is never kept, and neither is a query that found nothing.

Memory is bounded: where there are too many queries, some that were not asked for long are looked
at, and the one of them that counts least is forgotten.

Counts are kept as logarithms of what they would be worth at a fixed time ("forward decay": Cormode,
Shkapenyuk, Srivastava, Xu, 2009). So they need not be touched as they fade, and a copy of all of
them takes no time worth speaking of.
"""

import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from math import inf, log, log1p
from typing import TypeVar

from inferd.config.search.suggest import SearchSuggest
from inferd.services.search.query.normal import MAX_CHARACTERS, key_of

V = TypeVar("V")

_HOUR_US = 3_600_000_000
_PERSONAL = re.compile(r"@|(?:\d[\s./-]?){7}")
_LOOKED_AT = 8


@dataclass(slots=True)
class _Private:
    """A query that too few users asked."""

    score: float = -inf
    #: Hashes of those who asked.
    users: set[bytes] = field(default_factory=set)


class AskedQueries:
    """Counts queries. The event loop's."""

    def __init__(self, settings: SearchSuggest) -> None:
        self._settings = settings
        self._key = secrets.token_bytes(16)
        #: Both with those last that were asked or looked at last.
        self._private: OrderedDict[str, _Private] = OrderedDict()
        self._popular: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """Return how many queries are remembered."""
        return len(self._private) + len(self._popular)

    def record(self, query: str, user_id: str, found: int, now_us: int) -> bool:
        """Count a query that somebody searched for, and that found so many documents.

        Only the first page of an answer should be counted. A user who is not named counts, but not
        as one of those who have to be enough. Returns whether it was counted.
        """
        text = self._text(query) if found > 0 else ""
        if not text:
            return False
        score = now_us / (self._settings.half_life_h * _HOUR_US)
        if text in self._popular:
            self._popular[text] = _sum(self._popular[text], score)
            self._popular.move_to_end(text)
        else:
            self._record_private(text, user_id, score)
        return True

    def popular(self) -> Mapping[str, float]:
        """Return a copy of what may be suggested to everybody, for `weight`."""
        return dict(self._popular)

    def _record_private(self, text: str, user_id: str, score: float) -> None:
        asked = self._private.setdefault(text, _Private())
        self._private.move_to_end(text)
        asked.score = _sum(asked.score, score)
        if user_id:
            asked.users.add(self._hash(user_id))
        if len(asked.users) >= self._settings.users:
            del self._private[text]
            self._popular[text] = asked.score
            if len(self._popular) > self._settings.max_queries:
                _forget(self._popular, lambda score: score)
        elif len(self._private) > self._settings.max_queries:
            _forget(self._private, lambda asked: asked.score)

    def _hash(self, user_id: str) -> bytes:
        name = user_id.encode("utf-8", "surrogatepass")
        return blake2b(name, digest_size=8, key=self._key).digest()

    def _text(self, query: str) -> str:
        """Return a query as it is counted; empty: it is not."""
        if len(query) > MAX_CHARACTERS or _PERSONAL.search(query):
            return ""
        text = key_of(query)
        return text if len(text) <= self._settings.max_query_characters else ""


def weight(score: float, now_us: int, half_life_h: float) -> float:
    """Return how many queries of now a score of `AskedQueries.popular` is worth."""
    worth: float = 2.0 ** min(score - now_us / (half_life_h * _HOUR_US), 60.0)
    return worth


def _sum(one: float, other: float) -> float:
    """Return the logarithm of the sum of what two are the logarithms of, to the base of 2."""
    less, more = min(one, other), max(one, other)
    return more + log1p(2.0 ** (less - more)) / log(2.0)


def _forget(queries: OrderedDict[str, V], score: Callable[[V], float]) -> None:
    """Forget one query. The others that were looked at are not looked at again for a while."""
    oldest = list(islice(queries, _LOOKED_AT))
    for text in oldest:
        queries.move_to_end(text)
    del queries[min(oldest, key=lambda text: score(queries[text]))]
