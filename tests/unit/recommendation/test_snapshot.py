import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inferd.errors import LoadFailed
from inferd.services.recommendation.catalogue import Catalogue, Upserted
from inferd.services.recommendation.keeping import AT_A_TIME, KeptCatalogue
from inferd.services.recommendation.seed import seed_items
from support.recommendation import item


async def test_others_have_their_turn_while_many_items_come() -> None:
    kept = KeptCatalogue(Catalogue(dimensions=2, max_items=1000), None, snapshot_changes=1)
    turns = 0
    change = asyncio.create_task(
        kept.upsert([item(f"i{n}") for n in range(1000)], np.ones((1000, 2), np.float32), 1)
    )
    while not change.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 1000 / AT_A_TIME
    assert set(await change) == {Upserted.ADDED}


def lines(path: Path, said: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in said))
    return path


def test_a_seed_is_read_as_a_request_would_be(tmp_path: Path) -> None:
    attributes = {"c": {"text": "red"}, "w": {"number": 5}, "n": {"flag": True}}
    said = {"id": "a", "price_minor": 5, "tags": ["t"], "attributes": attributes}
    path = lines(tmp_path / "seed.jsonl", [said, {"id": "b", "vector": [1, 2]}])
    first, second = seed_items(path, dimensions=2)
    own = {"c": "red", "w": 5.0, "n": True}
    assert first == item("a", price_minor=5, tags=("t",), attributes=own)
    assert second.vector is not None


@pytest.mark.parametrize("wrong", [{"id": ""}, {"id": "a", "colour": "red"}, {"id": 5}])
def test_a_line_that_is_no_item_is_named(tmp_path: Path, wrong: dict[str, Any]) -> None:
    path = lines(tmp_path / "seed.jsonl", [{"id": "a"}, wrong])
    with pytest.raises(LoadFailed, match=r"seed\.jsonl:2"):
        list(seed_items(path, dimensions=2))
