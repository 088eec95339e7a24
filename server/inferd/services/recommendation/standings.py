"""What a user's history says of showing items again.

What was bought is not shown again, and what was disliked never. What was shown or looked at lately
comes back with a lower score, the lower the more often; and what was shown many times and never
looked at makes way altogether, as long as there is something else.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from inferd.config.recommendation.ranking import SeenItems
from inferd.services.recommendation.vocabulary import Act, Seen

_LOOKED: Final = frozenset({Act.VIEW, Act.CLICK, Act.CART, Act.PURCHASE})


class Standing(NamedTuple):
    """What is to be done with an item that the user has dealt with."""

    #: It is not shown.
    never: bool
    #: It is shown if there is nothing else.
    hidden: bool
    #: Its score is multiplied by this.
    factor: float


_NEVER: Final = Standing(True, False, 1.0)


def standings(
    history: Sequence[Seen], settings: SeenItems, now_us: int, *, include_seen: bool = False
) -> Mapping[str, Standing]:
    """Return what is to be done with items, by their ids; with others: nothing.

    `include_seen` brings back all but what was disliked.
    """
    never = {Act.DISLIKE} | (set() if include_seen else {Act[a.upper()] for a in settings.never})
    since_us = now_us - settings.lately_s * 1e6
    out, shown, looked = set[str](), dict[str, int](), dict[str, int]()
    for item, act, at_us in history:
        if act in never:
            out.add(item)
        elif not include_seen and (not at_us or at_us >= since_us):
            if act is Act.IMPRESSION:
                shown[item] = shown.get(item, 0) + 1
            elif act in _LOOKED:
                looked[item] = looked.get(item, 0) + 1
    hide, by_shown, by_looked = settings.hide_shown, settings.shown_factor, settings.looked_factor
    found = dict.fromkeys(out, _NEVER)
    for item in {**shown, **looked}.keys() - out:
        often, looks = shown.get(item, 0), looked.get(item, 0)
        factor = by_shown**often * by_looked**looks
        found[item] = Standing(False, not looks and often >= hide, factor)
    return found
