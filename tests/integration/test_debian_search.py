"""A few thousand real documents: Debian's packages are found by those who know what they want."""

import asyncio
from itertools import islice

import pytest

from debian_packages import FIELDS, described, dumped, is_there, mistyped, packages
from debian_search import Desk, Quality, put
from inferd.config.search.index import SearchIndex
from inferd.services.search.index_open import opened
from inferd.services.search.text_query import Values

COUNT = 4000
QUERIES = 150

pytestmark = pytest.mark.skipif(not is_there(), reason="no apt here that knows packages")


@pytest.fixture(scope="module")
def some() -> list[tuple[str, Values]]:
    return list(islice(packages(dumped()), COUNT))


@pytest.fixture(scope="module")
def found(some: list[tuple[str, Values]]) -> dict[str, Quality]:
    """How well items are found: by words, with typing errors, and with those left as they are."""

    async def asked() -> dict[str, Quality]:
        async with opened(SearchIndex(fields=FIELDS)) as index:
            assert await put(index, some) == len(some) == index.count
            desk = Desk(index, index.vocabulary.counts)
            typed = mistyped(some, QUERIES)
            return {
                "words": await desk.quality(described(some, QUERIES)),
                "errors": await desk.quality(typed),
                "left": await desk.quality(typed, verbatim=True),
            }

    return asyncio.run(asked())


def test_a_package_is_found_by_words_that_are_said_of_it(found: dict[str, Quality]) -> None:
    assert found["words"].mrr >= 0.7
    assert found["words"].recall >= 0.9


def test_a_package_is_found_by_its_name_with_a_typing_error(found: dict[str, Quality]) -> None:
    assert found["errors"].mrr >= 0.85
    assert found["errors"].mrr > found["left"].mrr + 0.3
