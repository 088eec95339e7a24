"""Two rankings shown as one, so that every user compares them: team-draft interleaving.

Radlinski, Kurup and Joachims, How Does Clickthrough Data Reflect Retrieval Quality?, CIKM 2008. The
rankings take turns like captains who pick their teams. In each round a coin says who picks first;
each picks its best item that nobody has picked. A click counts for the team that the item is in.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from hashlib import blake2b
from random import Random
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item", bound=Hashable)


class Interleaved(NamedTuple, Generic[Item]):
    """One list out of two."""

    items: list[Item]
    teams: list[str]
    """Whose each of them is."""

    def picks(self) -> dict[str, list[Item]]:
        """Return the items of each team, in their order."""
        found: dict[str, list[Item]] = {each: [] for each in dict.fromkeys(self.teams)}
        for item, team in zip(self.items, self.teams, strict=True):
            found[team].append(item)
        return found


def team_draft(
    rankings: Mapping[str, Sequence[Item]], count: int, *, request: str
) -> Interleaved[Item]:
    """Return at most `count` items of two rankings, which are the teams, by their names.

    The same for the same request. A ranking that has come to its end picks no more, and the other
    goes on alone.
    """
    (one, ones), (other, others) = rankings.items()
    coins = Random(int.from_bytes(blake2b(request.encode(), digest_size=8).digest()))
    left = {one: iter(dict.fromkeys(ones)), other: iter(dict.fromkeys(others))}
    made, there = Interleaved[Item]([], []), set[Item]()
    while left and len(made.items) < count:
        for team in (one, other) if coins.random() < 0.5 else (other, one):
            if team not in left or len(made.items) == count:
                continue
            item = next((each for each in left[team] if each not in there), None)
            if item is None:
                del left[team]
                continue
            there.add(item)
            made.items.append(item)
            made.teams.append(team)
    return made


def credit(picks: Mapping[str, Collection[Item]], clicked: Collection[Item]) -> dict[str, int]:
    """Return how many of the clicked items are whose; the team with more of them wins."""
    return {team: sum(item in items for item in clicked) for team, items in picks.items()}
