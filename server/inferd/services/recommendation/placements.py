"""What is decided about items by rule: boosts, burials and pins (`config.recommendation.ranking`).

Conditions are filters, the same as of requests, made and checked once.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from inferd.config.recommendation.ranking import Condition, Rule
from inferd.services.recommendation.columns import Ints, Mask, Table
from inferd.services.recommendation.filters import AnyOf, Between, Filter, mask_of


class Placement(NamedTuple):
    """A rule."""

    rule: Rule
    filters: tuple[Filter, ...]

    def on(self, page: str) -> bool:
        """Return whether it counts on a page."""
        return not self.rule.pages or page in self.rule.pages

    def mask(self, table: Table, rows: Ints) -> Mask:
        """Return which of these rows it is about, bool [k]."""
        return mask_of(self.filters, table, rows)


def placements(rules: Sequence[Rule], where: str = "rules") -> tuple[Placement, ...]:
    """Return what rules say. Raises `InvalidRequest`, naming the key as below `where`."""
    return tuple(_placement(rule, f"{where}.{rule.name}") for rule in rules)


def _placement(rule: Rule, where: str) -> Placement:
    filters = [made(each) for each in rule.where]
    for number, each in enumerate(filters):
        each.check(f"{where}.where[{number}]")
    if rule.items:
        filters.append(Filter("id", AnyOf(rule.items)))
        filters[-1].check(f"{where}.items")
    return Placement(rule, tuple(filters))


def made(condition: Condition) -> Filter:
    """Return a condition as a filter."""
    if condition.equals is not None:
        return Filter(condition.field, AnyOf((condition.equals,)), condition.negate)
    if condition.any_of:
        return Filter(condition.field, AnyOf(condition.any_of), condition.negate)
    low = -math.inf if condition.at_least is None else condition.at_least
    high = math.inf if condition.at_most is None else condition.at_most
    return Filter(condition.field, Between(low, high), condition.negate)


def pinned_rows(pins: Sequence[Placement], table: Table) -> Ints:
    """Return the rows of items that pins name, found by a source or not, int64 [k]."""
    ids = dict.fromkeys(item for each in pins for item in each.rule.items)
    rows = table.rows(ids)
    return rows[rows >= 0] if len(rows) else np.zeros(0, np.int64)
