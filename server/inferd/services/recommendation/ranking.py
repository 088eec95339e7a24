"""From candidates with scores to a list: exactly as many as are asked for, if there are so many.

What is never in a list: items that are deleted, sold out or not out yet, that a filter leaves out,
and that the user bought (unless the request says so) or does not want. Of the others scores are
changed by what the user has seen and by boosts. Then the list is filled place by place:

- pins stand where rules put them, and limits count them but do not stop them;
- places that are kept for new items take the best of those;
- all others take what is best next, by score and by how much it differs from the list so far.

Where there is not enough, first what is buried is taken, then limits per brand, category and
merchant give way, and last what was shown too often comes back. Filters never give way.

Pure and deterministic: the same candidates make the same list, in whichever order they come.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inferd.config.recommendation.ranking import Ranking as Settings
from inferd.services.recommendation.columns import Ints, Mask, Table
from inferd.services.recommendation.contenders import Contenders, contenders
from inferd.services.recommendation.filling import SEEN, Filling
from inferd.services.recommendation.filters import Filter
from inferd.services.recommendation.placements import Placement, pinned_rows, placements
from inferd.services.recommendation.standings import standings
from inferd.services.recommendation.vocabulary import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Candidates, and for whom."""

    table: Table
    #: Int64 [k].
    rows: Ints
    #: [k], the larger the better.
    scores: npt.ArrayLike
    #: Of each candidate, why it is one.
    reasons: Sequence[str]
    now_us: int
    #: Newest first.
    history: Sequence[Seen] = ()
    filters: Sequence[Filter] = ()
    page: str = ""
    include_seen: bool = False
    #: [k], how much there is in showing it because it is new; NaN: it is not. None: none is.
    new: npt.ArrayLike | None = None
    #: Places that are for new items, from 0 (`cold_start.new_places`).
    new_places: frozenset[int] = frozenset()


class Ranked(NamedTuple):
    """An item of the list."""

    row: int
    #: By which it was ranked; comparable within one list only.
    score: float
    #: The candidate's; or "pinned", or "new".
    reason: str
    #: What was done with it, in order, e.g. "boost 1.2 (winter)", "diversity -3".
    notes: tuple[str, ...]


class Ranking(NamedTuple):
    """A list, and what became of the candidates that are not in it."""

    items: list[Ranked]
    #: Why rows are not in it, e.g. "seen" or "brand_cap", in the order of the steps.
    lost: tuple[tuple[str, Ints], ...]
    #: What gave way because there was not enough: "caps", "seen".
    relaxed: tuple[str, ...]

    def fate(self, row: int) -> str:
        """Return why a candidate is not in the list; empty: it is, or was none."""
        return next((why for why, rows in self.lost if row in rows), "")


class RankingRules:
    """The configuration, checked and ready."""

    def __init__(self, settings: Settings) -> None:
        """Check conditions. Raises `InvalidRequest`, naming the key."""
        self.settings = settings
        self.placements = placements(settings.rules, "ranking.rules")


def rank(pool: Pool, rules: RankingRules, count: int) -> Ranking:
    """Return the best list of `count` items, or of all there are."""
    table = pool.table
    active = [each for each in rules.placements if each.on(pool.page)]
    pins = [each for each in active if each.rule.pin is not None]
    moves = [each for each in active if each.rule.pin is None]
    named = pinned_rows(pins, table)
    notes = dict[int, list[str]]()

    field = contenders(pool.rows, pool.scores, pool.reasons, pool.new, named=named)
    field, lost = _those_that_may_be(pool, field)
    field, seen = _by_history(pool, field, rules.settings, notes)
    field = _by_rules(table, field, moves, notes).ordered(table)
    filling = Filling(table, field, rules.settings, _pins(table, field, pins, count))
    filling.fill(count, pool.new_places)

    items = [
        Ranked(
            row := int(field.rows[place]),
            float(field.worth[place]),
            why or field.reasons[place],
            (*notes.get(row, ()), *filling.notes.get(place, ())),
        )
        for place, why in filling.taken
    ]
    left = [(why, field.rows[mask]) for why, mask in filling.left()]
    return Ranking(items, (*lost, (SEEN, seen), *left), tuple(filling.relaxed))


def _those_that_may_be(pool: Pool, field: Contenders) -> tuple[Contenders, list[tuple[str, Ints]]]:
    """Return those that may be in a list, whoever it is for; and why others may not."""
    table, rows = pool.table, field.rows
    steps: list[tuple[str, Mask]] = [
        ("not_in_catalogue", table.alive[rows]),
        ("out_of_stock", table.stock[rows] != 0),
        ("not_released", table.released_us[rows] <= pool.now_us),
        *((f"filter:{each.field}", each.mask(table, rows)) for each in pool.filters),
    ]
    may_be, lost = np.ones(len(rows), np.bool_), list[tuple[str, Ints]]()
    for why, passes in steps:
        lost.append((why, rows[may_be & ~passes & field.found]))
        may_be &= passes
    return field.taken(np.flatnonzero(may_be)), lost


def _by_history(
    pool: Pool, field: Contenders, settings: Settings, notes: dict[int, list[str]]
) -> tuple[Contenders, Ints]:
    """Return those that may be shown to this user, with what they are worth now; and the others."""
    found = standings(pool.history, settings.seen, pool.now_us, include_seen=pool.include_seen)
    never = np.zeros(len(field.rows), np.bool_)
    if found:
        places = field.places(pool.table.rows(found)).tolist()
        for place, standing in zip(places, found.values(), strict=True):
            if place < 0:
                continue
            never[place], field.hidden[place] = standing.never, standing.hidden
            if standing.factor < 1.0:
                field.worth[place] *= standing.factor
                notes.setdefault(int(field.rows[place]), []).append(f"seen {standing.factor:.2g}")
    return field.taken(np.flatnonzero(~never)), field.rows[never]


def _by_rules(
    table: Table, field: Contenders, moves: Sequence[Placement], notes: dict[int, list[str]]
) -> Contenders:
    """Return all, with what boosts and burials make of them."""
    for each in moves:
        rule, mask = each.rule, each.mask(table, field.rows)
        if rule.boost is None:
            field.buried[mask] = True
            note = f"bury ({rule.name})"
        else:
            field.worth[mask] *= rule.boost
            note = f"boost {rule.boost:g} ({rule.name})"
        for row in field.rows[mask].tolist():
            notes.setdefault(row, []).append(note)
    return field


def _pins(table: Table, field: Contenders, pins: Sequence[Placement], count: int) -> dict[int, int]:
    """Return by place of the list who is pinned there: the best of those that a rule means."""
    pinned = dict[int, int]()
    for each in pins:
        at = each.rule.pin
        if at is None or at >= count or at in pinned:
            continue
        meant = np.flatnonzero(each.mask(table, field.rows)).tolist()
        best = next((place for place in meant if place not in pinned.values()), None)
        if best is not None:
            pinned[at] = best
    return pinned
