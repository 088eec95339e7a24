import logging
from unittest import mock

import numpy as np
import pytest

from inferd.config.recommendation.sources import VectorSource
from inferd.services.recommendation import vectors
from inferd.services.recommendation.catalogue import Catalogue
from inferd.services.recommendation.items import Vectors
from inferd.services.recommendation.vectors import NearUser
from support.recommendation import filled, ids, item, wanted

VECTORS = np.array([[1, 0], [0.9, 0.1], [0, 1], [0, 0], [-1, 0]], np.float32)


def five() -> Catalogue:
    return filled([item(name) for name in "abcde"], VECTORS)


def near(catalogue: Catalogue, user: Vectors | None, count: int, **said: object) -> list[str]:
    source = NearUser(VectorSource(), catalogue)
    table = catalogue.table
    return ids(table, source.find(wanted(table, user_vector=user, **said), count))


USER = np.array([3, 0], np.float32)


def test_the_nearest_items_come_first() -> None:
    assert near(five(), np.array([3, 1], np.float32), 9) == ["b", "a", "c", "e"]
    assert near(five(), USER, 2) == ["a", "b"]


def test_nobody_is_near_a_user_who_is_nowhere() -> None:
    assert near(five(), None, 3) == []
    assert near(five(), 0 * USER, 3) == []
    assert near(five(), np.array([np.nan, 1], np.float32), 3) == []


def test_an_item_without_a_vector_is_near_nobody() -> None:
    assert "d" not in near(five(), np.array([1, 1], np.float32), 5)


def test_what_is_deleted_or_not_eligible_is_not_found() -> None:
    catalogue = five()
    catalogue.delete(["a"])
    assert near(catalogue, USER, 1) == ["b"]
    eligible = np.array([True, False, True, True, True])
    diagonal = np.array([1, 0.5], np.float32)
    assert near(catalogue, diagonal, 1, eligible=eligible) == ["c"]


def test_scores_are_cosines() -> None:
    catalogue = five()
    found = NearUser(VectorSource(), catalogue).find(wanted(catalogue.table, user_vector=USER), 2)
    assert found.scores.tolist() == pytest.approx([1, 0.9 / np.hypot(0.9, 0.1)])


async def test_without_the_extra_every_item_is_looked_at_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    catalogue = five()
    with mock.patch.object(vectors, "find_spec", return_value=None):
        source = NearUser(VectorSource(exact_up_to=1), catalogue)
    with caplog.at_level(logging.WARNING):
        await source.run()
    assert len(caplog.records) == 1
    assert "voyager is not installed" in caplog.text
    assert ids(catalogue.table, source.find(wanted(catalogue.table, user_vector=USER), 2)) == [
        "a",
        "b",
    ]
