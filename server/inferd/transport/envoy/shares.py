"""Which share of which calls Envoy should refuse before Python sees them.

To refuse a call costs Python a good part of what an answer costs, so there is a load beyond
which it does nothing else, and Envoy refuses for a fraction of it. Envoy knows what a call's
headers say of its criticality, and nothing else: those that can be spared give way first, and
within a class it draws lots. So it sheds only while the event loop is busier than it should be,
and only so many that the loop goes on refusing some itself: the choice who is served stays with
the scheduler, and a loop that is busy with answers alone is left to it.
"""

from collections.abc import Mapping

from inferd.call import Criticality

#: Of the calls that reach Python, those that it should go on refusing itself.
CHOICE = 0.2
#: By how much at a time less is shed again, and more: overload comes faster than it goes.
EASE = 1.15
TIGHTEN = 0.5
#: Envoy never refuses more of a class than this: somebody must find out when it is over.
MOST = 0.98
#: A share that is not worth the trouble.
LEAST = 0.02

ORDER = (Criticality.SHEDDABLE, Criticality.SHEDDABLE_PLUS, Criticality.CRITICAL)
"""Who gives way, the first first: nobody does before the ones before are at `MOST`."""

Shares = dict[Criticality, float]
"""What is refused of each class in `ORDER`, 0 to `MOST`."""

NOTHING: Shares = dict.fromkeys(ORDER, 0.0)


class Shedding:
    """The decision. Pure: what was seen since the last look comes in, shares come out.

    What is to be turned away or let in is so and so many of the calls that were seen. Each class
    takes as many of them as it has, and its share follows from that; how many were refused
    before Python could see them need not be known.
    """

    def __init__(self, busy: float) -> None:
        """Shed while the event loop is busy for more than `busy` of the time, 0 to 1."""
        self._busy = busy
        self._passing = dict.fromkeys(ORDER, 1.0)

    def shares(
        self, *, busy: float, ended: int, lost: int, named: Mapping[Criticality, int]
    ) -> Shares:
        """Return the shares to refuse from now on.

        `busy` is the part of the time since the last look in which the event loop worked,
        `ended` the calls that ended meanwhile, and `lost` those of them that were refused and
        would not have been on an idle server. `named` counts the calls that have come by the
        class that they name; all others are CRITICAL.
        """
        lost_part = lost / ended if ended else 0.0
        if busy > self._busy and lost_part > CHOICE:
            # As many as would make the loop as busy as it should be, but enough to choose from.
            enough = (1 - lost_part) / (1 - CHOICE)
            part = max(self._busy / busy, enough, TIGHTEN)
            self._turn_away((1 - part) * ended, _seen(ended, named))
        elif busy < self._busy or lost_part < CHOICE / 2:
            self._let_in((EASE - 1) * max(ended, 1), _seen(ended, named))
        return {each: _worthwhile(1.0 - passing) for each, passing in self._passing.items()}

    def _turn_away(self, calls: float, seen: Mapping[Criticality, int]) -> None:
        for each in ORDER:
            passing, came = self._passing[each], seen[each]
            fewer = max(passing * (1 - calls / max(came, 1)), 1 - MOST)
            calls -= came * (1 - fewer / passing)
            self._passing[each] = fewer

    def _let_in(self, calls: float, seen: Mapping[Criticality, int]) -> None:
        for each in reversed(ORDER):
            passing, came = self._passing[each], seen[each]
            more = min(passing * (1 + calls / max(came, 1)), 1.0)
            calls -= came * (more / passing - 1)
            self._passing[each] = more


def _seen(ended: int, named: Mapping[Criticality, int]) -> dict[Criticality, int]:
    seen = {each: named.get(each, 0) for each in Criticality}
    seen[Criticality.CRITICAL] = 0
    seen[Criticality.CRITICAL] = max(ended - sum(seen.values()), 0)
    return seen


def _worthwhile(share: float) -> float:
    return share if share >= LEAST else 0.0
