"""A catalogue for tests, and somebody to recommend to."""

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np

from inferd.config.recommendation.catalogue import Behaviour as BehaviourSettings
from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.catalogue import Catalogue, Item
from inferd.services.recommendation.columns import Ints, Table
from inferd.services.recommendation.items import Vectors
from inferd.services.recommendation.sources import Found, Wanted

S = 1_000_000
HOUR, DAY = 3600 * S, 86_400 * S
NOW = 1_700_000_000 * S


def item(id: str, **said: Any) -> Item:
    return Item(id=id, **said)


def filled(items: Sequence[Item], vectors: Vectors | None = None, **limits: int) -> Catalogue:
    """Return a catalogue of these items, that were always there."""
    given = np.zeros((len(items), 2), np.float32) if vectors is None else vectors
    catalogue = Catalogue(
        **{"dimensions": given.shape[1], "max_items": max(10, len(items)), **limits}
    )
    catalogue.upsert(items, given, 0)
    return catalogue


def nobody_did_anything(**settings: Any) -> Behaviour:
    return Behaviour(BehaviourSettings(**settings), max_items=3000)


def wanted(table: Table, **said: Any) -> Wanted:
    return Wanted(**{"table": table, "now_us": NOW, "random": Random(1), **said})


def ids(table: Table, found: Found | Ints) -> list[str]:
    rows = found.rows if isinstance(found, Found) else found
    return [table.ids[row] for row in rows.tolist()]
