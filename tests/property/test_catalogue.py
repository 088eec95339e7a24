"""A catalogue is a dictionary of items, whatever comes and goes, and however often it moves."""

from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.services.recommendation import catalogue as module
from inferd.services.recommendation.catalogue import Catalogue, Item

NAMES = "abcdefgh"
Change = tuple[list[tuple[str, int]], list[str]]
"""Items to put, with their prices; and items to delete."""
CHANGES = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 3)), max_size=6),
        st.lists(st.sampled_from(NAMES), max_size=3),
    ),
    max_size=60,
)


@given(changes=CHANGES)
@settings(deadline=None)
def test_a_catalogue_is_a_dictionary(changes: list[Change]) -> None:
    # A few rows move with every change, as soon as a few are dead.
    with mock.patch.multiple(module, _LITTER=4, _MOVED=8):
        catalogue = Catalogue(dimensions=2, max_items=len(NAMES))
        known: dict[str, Item] = {}
        for put, deleted in changes:
            epoch, before = catalogue.epoch, dict(known)
            items = [Item(id=name, price_minor=price, tags=("t",) * price) for name, price in put]
            catalogue.upsert(items, np.ones((len(items), 2), np.float32), 1)
            known.update({each.id: each for each in items})
            there = [deleted.index(name) == n and name in known for n, name in enumerate(deleted)]
            assert catalogue.delete(deleted) == there
            for name in deleted:
                known.pop(name, None)
            assert catalogue.epoch >= epoch + (known != before)
            assert_same(catalogue, known)


def assert_same(catalogue: Catalogue, known: dict[str, Item]) -> None:
    table = catalogue.table
    assert {name: catalogue.get(name) for name in NAMES} == {
        name: known.get(name) for name in NAMES
    }
    living = np.flatnonzero(table.alive)
    assert sorted(table.ids[row] for row in living) == sorted(known)
    assert len(catalogue) == len(known)
    for row in living:
        it = known[table.ids[row]]
        assert table.price_minor[row] == it.price_minor
        assert np.count_nonzero(table.tags[row]) == len(it.tags)
