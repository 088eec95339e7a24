"""The index of vectors: with `voyager`, and made in a real thread."""

import asyncio
from itertools import count
from random import Random

import numpy as np
import pytest

from inferd.config.recommendation.sources import VectorSource
from inferd.services.recommendation.catalogue import Catalogue, Item
from inferd.services.recommendation.items import Vectors
from inferd.services.recommendation.sources import Found, Wanted
from inferd.services.recommendation.vectors import NearUser

pytest.importorskip("voyager", reason="the extra `ann` is not installed")

DIMENSIONS = 32
SETTINGS = VectorSource(exact_up_to=1000, rebuild_share=0.2, build_effort=100)
EXACT = VectorSource(exact_up_to=10**9)


def clustered(seed: int, many: int) -> Vectors:
    """Return vectors around some centres, as those of items are."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(40, DIMENSIONS))
    near = centres[rng.integers(0, 40, many)] + 0.5 * rng.normal(size=(many, DIMENSIONS))
    return near.astype(np.float32)


class Shop:
    """A catalogue of items with such vectors, and who finds them."""

    def __init__(self, items: int) -> None:
        self.catalogue = Catalogue(dimensions=DIMENSIONS, max_items=20_000)
        self.source = NearUser(SETTINGS, self.catalogue)
        self.exact = NearUser(EXACT, self.catalogue)
        self._number = count()
        self.add(items)

    def add(self, many: int) -> list[str]:
        number = next(self._number)
        items = [Item(id=f"{number}-{each}") for each in range(many)]
        self.catalogue.upsert(items, clustered(number, many), 1)
        return [each.id for each in items]

    def wanted(self, user: Vectors, eligible: np.ndarray | None = None) -> Wanted:
        return Wanted(
            table=self.catalogue.table,
            user_vector=user,
            now_us=1,
            random=Random(1),
            eligible=eligible,
        )

    def recall(self, count: int = 100) -> float:
        """Return which share of the nearest is found."""
        found = 0
        users = clustered(99, 20)
        for user in users:
            asked = self.wanted(user)
            rows = self.source.find(asked, count).rows
            assert len(rows) == count == len({*rows.tolist()})
            assert self.catalogue.table.alive[rows].all()
            found += len({*rows.tolist()} & {*self.exact.find(asked, count).rows.tolist()})
        return found / count / len(users)


async def test_the_index_finds_nearly_all_that_brute_force_does() -> None:
    shop = Shop(4000)
    await shop.source.rebuild()
    assert shop.recall() >= 0.95


async def test_scores_and_order_are_those_of_brute_force() -> None:
    shop = Shop(3000)
    await shop.source.rebuild()
    asked = shop.wanted(clustered(7, 1)[0])
    found, exact = shop.source.find(asked, 10), shop.exact.find(asked, 10)
    assert found.scores == pytest.approx(exact.scores)
    assert found.rows.tolist() == exact.rows.tolist()


async def test_what_is_new_since_then_is_found_and_what_is_gone_is_not() -> None:
    shop = Shop(3000)
    await shop.source.rebuild()
    shop.add(300)
    shop.catalogue.delete([f"0-{number}" for number in range(0, 3000, 7)])
    assert shop.source.builds == 1
    assert shop.recall() >= 0.95


async def test_where_most_of_the_nearest_are_not_eligible_others_are_found() -> None:
    shop = Shop(3000)
    await shop.source.rebuild()
    user = clustered(7, 1)[0]
    eligible = np.ones(3000, np.bool_)
    eligible[shop.exact.find(shop.wanted(user), 400).rows] = False
    asked = shop.wanted(user, eligible)
    found: Found = shop.source.find(asked, 100)
    assert found.rows.tolist() == shop.exact.find(asked, 100).rows.tolist()


async def test_the_index_is_made_anew_when_enough_has_changed() -> None:
    shop = Shop(900)
    running = asyncio.create_task(shop.source.run())
    await asyncio.sleep(0.01)
    assert shop.source.builds == 0  # every item is looked at
    shop.add(1100)
    await until_built(shop.source, 1)
    shop.add(300)
    await asyncio.sleep(0.7)
    assert shop.source.builds == 1
    shop.add(300)
    await until_built(shop.source, 2)
    assert shop.recall() >= 0.95
    running.cancel()


async def test_another_table_does_without_the_index_until_there_is_one() -> None:
    shop = Shop(3000)
    await shop.source.rebuild()
    before = shop.catalogue.table
    again = [Item(id=f"0-{number}", title="again") for number in range(3000)]
    for _ in range(3):
        shop.catalogue.upsert(again, clustered(50, 3000), 1)
        shop.catalogue.upsert(again, clustered(51, 3000), 1)
    assert shop.catalogue.table is not before
    assert shop.recall() == 1


async def until_built(source: NearUser, times: int) -> None:
    for _ in range(1500):
        if source.builds == times:
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"{source.builds} indexes were made")
