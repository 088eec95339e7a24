"""The order of hits for the user who asks: near what it is for everybody.

A hit is worth the more to somebody the more of what they clicked was like it. A ranking is not
computed anew for it: each hit rises by as many places as it is worth, of `max_shift` at most. So
none rises or falls by more than that, whoever asks, and what is best by far stays on top.

Pure. What is told of the hits is read, and never written: a ranking that is cached is everybody's.
"""

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence

from inferd.config.search.ranking import SearchPersonal as Settings
from inferd.services.search.text_query import StoredDocument, Value, Values

Affinity = Mapping[tuple[str, Value], float]
"""What a user clicked, by field and value: the share of the clicks, 0 to 1."""


class Tastes:
    """What users clicked lately. Lives on the event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        #: Values of what was clicked, newest last; those who clicked last are last.
        self._clicked: OrderedDict[str, list[Values]] = OrderedDict()

    def __len__(self) -> int:
        """Return of how many users something is known."""
        return len(self._clicked)

    def clicked(self, user_id: str, document: StoredDocument) -> None:
        """Take note that a user clicked a document."""
        names = self._settings.fields
        if not user_id or not names:
            return
        mine = self._clicked.setdefault(user_id, [])
        mine.append({name: value for name, value in document.fields.items() if name in names})
        del mine[: -self._settings.clicks]
        self._clicked.move_to_end(user_id)
        if len(self._clicked) > self._settings.max_users:
            self._clicked.popitem(last=False)

    def of(self, user_id: str, session: Sequence[StoredDocument] = ()) -> Affinity:
        """Return what a user likes; `session` is what they clicked besides."""
        known = [*self._clicked.get(user_id, ()), *(each.fields for each in session)]
        counts: Counter[tuple[str, Value]] = Counter(
            pair
            for values in known
            for name in self._settings.fields
            for pair in _said(values, name)
        )
        return {pair: count / len(known) for pair, count in counts.items()}

    def order(
        self,
        documents: Sequence[StoredDocument],
        order: Sequence[int],
        affinity: Affinity,
        shift: int,
    ) -> tuple[int, ...]:
        """Return the places of `order` in their order for somebody."""
        if not affinity or not shift:
            return tuple(order)
        keys = [
            place - shift * self.worth(documents[each], affinity)
            for place, each in enumerate(order)
        ]
        return tuple(order[place] for place in sorted(range(len(order)), key=keys.__getitem__))

    def worth(self, document: StoredDocument, affinity: Affinity) -> float:
        """Return how much a hit is what somebody likes, 0 to 1."""
        weights = self._settings.fields
        total = sum(weights.values())
        return sum(
            weight
            * max((affinity.get(pair, 0.0) for pair in _said(document.fields, name)), default=0.0)
            for name, weight in weights.items()
        ) / (total or 1.0)


def _said(values: Values, name: str) -> list[tuple[str, Value]]:
    value = values.get(name)
    if value is None:
        return []
    return [(name, each) for each in (value if isinstance(value, tuple) else (value,))]
