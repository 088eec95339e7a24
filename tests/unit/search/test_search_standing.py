"""Synonyms and curations as a file has them."""

from pathlib import Path

import pytest

from inferd.errors import LoadFailed
from inferd.services.search.curations import Curations, Pin, curation
from inferd.services.search.query.synonyms import SynonymSet
from inferd.services.search.standing import Standing

CURATION = curation("red shoe", contains=True, pins=[Pin("a", 2)], hidden=["b"])


async def test_what_is_put_has_a_version_and_what_is_not_put_stays() -> None:
    standing = Standing(None)
    synonyms = [SynonymSet(("sofa", "couch"))]

    assert await standing.put(synonyms=synonyms) == 1
    assert await standing.put(curations=Curations([CURATION])) == 2
    assert standing.synonyms == tuple(synonyms)
    assert standing.curations.all == (CURATION,)
    assert await standing.put(synonyms=[]) == 3
    assert not standing.synonyms
    assert standing.curations.all == (CURATION,)


def test_no_file_is_nothing_and_one_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "standing.json"
    standing = Standing(path)
    standing.load()
    assert standing.version == 0
    for text in ("", "{", '{"version": 1}', '{"version": 1, "synonyms": [], "curations": [5]}'):
        path.write_text(text)
        with pytest.raises(LoadFailed, match=r"standing\.json"):
            Standing(path).load()
