"""What there is to be recommended at first."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from inferd.call import Call
from inferd.config.recommendation.catalogue import Catalogue as Settings
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, LoadFailed, TimedOut
from inferd.services.recommendation.catalogue import Catalogue
from inferd.services.recommendation.items import Item
from inferd.services.recommendation.seeding import AT_A_TIME, Seeding
from support.recommendation import filled, item

IDS = [f"i{number}" for number in range(2 * AT_A_TIME + 1)]


class Stock:
    """Puts items where they belong, unless something is to go wrong first."""

    def __init__(self, catalogue: Catalogue, *wrong: BaseException | None) -> None:
        self._catalogue = catalogue
        self._wrong = [*wrong]
        self.put_ids: list[str] = []

    async def put(
        self, items: Sequence[Item], call: Call, deadline: Deadline, *, now_us: int
    ) -> None:
        if self._wrong and (error := self._wrong.pop(0)) is not None:
            raise error
        self.put_ids += [each.id for each in items]
        self._catalogue.upsert(items, np.ones((len(items), 2), np.float32), now_us)


def empty() -> Catalogue:
    return Catalogue(dimensions=2, max_items=1000)


def seeding(path: Path, catalogue: Catalogue, stock: Stock) -> Seeding:
    settings = Settings(path=path, seed=path / "seed.jsonl", dimensions=2)
    return Seeding(settings, catalogue, stock, clock=lambda: 0.0)


def seed(path: Path, ids: Iterable[str], last: str = "") -> None:
    lines = [*(json.dumps({"id": id}) for id in ids), last]
    (path / "seed.jsonl").write_text("\n".join(each for each in lines if each))


async def test_a_seed_is_taken_in_where_there_is_nothing_and_not_again(tmp_path: Path) -> None:
    seed(tmp_path, IDS)
    catalogue = empty()
    stock = Stock(catalogue)

    await seeding(tmp_path, catalogue, stock).take_in()
    assert stock.put_ids == IDS
    catalogue.delete(IDS[:5])
    await seeding(tmp_path, catalogue, stock).take_in()

    assert stock.put_ids == IDS


async def test_after_a_crash_in_between_the_rest_is_taken_in(tmp_path: Path) -> None:
    seed(tmp_path, IDS)
    catalogue = empty()
    crashing = Stock(catalogue, None, asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await seeding(tmp_path, catalogue, crashing).take_in()
    assert len(catalogue) == AT_A_TIME
    catalogue.upsert([item(IDS[0], title="newer")], np.ones((1, 2), np.float32), 1)

    await seeding(tmp_path, catalogue, Stock(catalogue)).take_in()

    assert len(catalogue) == len(IDS)
    kept = catalogue.get(IDS[0])
    assert kept is not None
    assert kept.title == "newer"


async def test_of_a_file_that_was_mended_the_rest_is_taken_in(tmp_path: Path) -> None:
    catalogue = empty()
    seed(tmp_path, IDS, last='{"id": 5')
    with pytest.raises(LoadFailed, match=rf"seed\.jsonl:{len(IDS) + 1}"):
        await seeding(tmp_path, catalogue, Stock(catalogue)).take_in()
    seed(tmp_path, [*IDS, "last"])

    await seeding(tmp_path, catalogue, Stock(catalogue)).take_in()

    assert len(catalogue) == len(IDS) + 1


async def test_what_takes_too_long_or_is_away_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inferd.services.recommendation.seeding.AGAIN_S", 0.0)
    seed(tmp_path, IDS)
    catalogue = empty()
    stock = Stock(catalogue, TimedOut("slow"), DependencyFailed("away"))

    await seeding(tmp_path, catalogue, stock).take_in()

    assert stock.put_ids == IDS


async def test_vectors_are_made_of_what_is_still_there(tmp_path: Path) -> None:
    catalogue = filled([item("a"), item("b")])
    catalogue.delete(["a"])
    stock = Stock(catalogue)

    await seeding(tmp_path, catalogue, stock).make_vectors(["a", "b"])

    assert stock.put_ids == ["b"]
