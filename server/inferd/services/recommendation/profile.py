"""Who a list is for: what they did lately, and what features say of them.

Nobody needs to be known. A user of whom nothing can be read, now or at all, has an empty profile,
and what is made of that is a list for somebody new.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inferd.services.recommendation.vocabulary import Act, Seen

SESSION_MOST = 100
"""Items of a session that are looked at."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a user."""

    user_id: str
    #: The newest first.
    history: Sequence[Seen] = ()
    #: Features, by the names that models know them by (`user.<name>`). None: not known.
    values: Mapping[str, float | str | None] = field(default_factory=dict)
    #: Another number whenever any of it is different.
    stamp: int = 0
    #: Whether it could be read; also where there is nothing to be read.
    known: bool = False

    def in_session(self, recent_items: Sequence[str]) -> "Profile":
        """Return the profile with items of this session, the newest last, as looked at just now.

        What is in the history already stays as it is there; when the others were is not known.
        The stamp stays, too: items of the session are the request's.
        """
        there = {each.item_id for each in self.history}
        newest = dict.fromkeys(reversed(recent_items[-SESSION_MOST:]))
        session = [Seen(each, Act.VIEW, 0) for each in newest if each not in there]
        if not session:
            return self
        history = (*session, *self.history)
        return Profile(self.user_id, history, self.values, self.stamp, self.known)


def anonymous(user_id: str) -> Profile:
    """Return what is known of somebody of whom nothing can be read."""
    return Profile(user_id)
