"""What was made of a list on its way: the list, how it was made, and what became of items."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from inferd.resilience.degradation import Degradation
from inferd.services.recommendation.asking import Scorer
from inferd.services.recommendation.gathering import NEWEST, Gathered, lost
from inferd.services.recommendation.making import Detail, Entry, Listed, Made, Workings
from inferd.services.recommendation.ranking import Ranked
from inferd.services.recommendation.work import Task, Work

CANDIDATES: Final = "candidates"
POPULAR_SOURCES: Final = ("popular", "trending")


def listed(work: Work, degradations: Sequence[Degradation], scorers: Sequence[Scorer]) -> Listed:
    """Return the list that was made."""
    task, ranking, gathered = work.task, work.ranking, work.gathered
    assert ranking is not None
    assert gathered is not None
    debug = task.wish.debug
    return Listed(
        entries=tuple(_entry(work, each, scorers) for each in ranking.items),
        made=_made(task, gathered),
        epoch=task.epoch,
        models=_models(work),
        degradations=tuple(degradations),
        workings=_workings(work) if debug else None,
    )


def _models(work: Work) -> tuple[str, ...]:
    said = () if work.blend is None else work.blend.said
    return tuple(work.versions[name] for name in said)


def _entry(work: Work, item: Ranked, scorers: Sequence[Scorer]) -> Entry:
    id = work.task.table.ids[item.row]
    debug = work.task.wish.debug
    detail = _detail(work, item.row, item.notes, scorers) if debug else None
    return Entry(id, item.score, item.reason, detail)


def fate(work: Work, id: str, scorers: Sequence[Scorer]) -> tuple[str, Detail | None]:
    """Return why an item is not in a list, and what is known of it."""
    assert work.gathered is not None
    assert work.ranking is not None
    row = work.task.table.row(id)
    if row is None:
        return "not_in_catalogue", None
    if row in work.gathered.rows:
        return work.ranking.fate(row) or "ranked_below", _detail(work, row, (), scorers)
    task = work.task
    why = lost(task.table, task.wish.filters, row, task.now_us)
    return why or "no_candidate", None


def _detail(work: Work, row: int, notes: Sequence[str], scorers: Sequence[Scorer]) -> Detail:
    assert work.gathered is not None
    at = np.flatnonzero(work.gathered.rows == row)
    features, scores = dict[str, float](), dict[str, float]()
    if len(at):
        for scorer in scorers:
            if scorer.told in work.told:
                told: list[float] = work.told[scorer.told][at[0]].tolist()
                features |= zip(scorer.settings.inputs, told, strict=True)
        said = {} if work.blend is None else work.blend.said
        scores = {name: float(each[at[0]]) for name, each in said.items()}
    return Detail(work.gathered.sources(row), features, scores, notes)


def _made(task: Task, gathered: Gathered) -> Made:
    """Return what the list is made of."""
    if task.made is not Made.COMPUTED:
        return task.made
    if not task.profile.known or {*gathered.found} <= {*POPULAR_SOURCES, NEWEST}:
        return Made.POPULAR
    return Made.COMPUTED if task.history else Made.COLD_START


def _workings(work: Work) -> Workings:
    assert work.gathered is not None
    assert work.ranking is not None
    left, there = dict[str, int](), len(work.gathered.rows)
    left[CANDIDATES] = there
    for why, rows in work.ranking.lost:
        if len(rows):
            there -= len(rows)
            left[why] = there
    return Workings(
        timings=work.timings,
        candidates={name: len(each.rows) for name, each in work.gathered.found.items()},
        left=left,
        interactions=len(work.task.history),
    )
