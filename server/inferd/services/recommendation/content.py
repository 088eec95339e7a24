"""What the two towers are told: an item's content, and what a user did, as arrays of fixed width.

One tower puts items into a space, the other users, so that the inner product of the two says how
well they go together. Whoever trains towers and whoever serves them encode by what is here, and by
nothing else.

An item's content is a bag of words, hashed (Weinberger et al. 2009): each field's value and each
word of its title has a place out of `BUCKETS`. A tower may also know items by name, which is what
others did with them; an item that it has never seen has only its content. An id that is given to
another thing is another item, so the name is of the id and the title.

What a user did is the mean of the vectors of the items, once for each way of being interested, and
once with what is newest counting most.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from inferd.services.recommendation.columns import Table
from inferd.services.recommendation.items import Item
from inferd.services.recommendation.vocabulary import Act, Seen

Floats = npt.NDArray[np.float32]
Inputs = dict[str, npt.NDArray[Any]]
"""Tensors, by the names that models know them by."""

BUCKETS: Final = 2048
CONTENT_WIDTH: Final = BUCKETS + 1
"""The words, and the logarithm of the price."""

INTERESTS: Final[Sequence[Collection[Act]]] = (
    (Act.VIEW, Act.CLICK),
    (Act.CART,),
    (Act.PURCHASE,),
    (Act.DISLIKE,),
)
"""Ways of being interested in an item."""
MODEST: Final = 2.0
"""So many items of which nothing is known are in every mean: few items say little of a user."""
FADES: Final = 0.85
"""How much less an item counts among the newest than the one after it."""

_WORD: Final = re.compile(r"\w+")


def item_inputs(items: Sequence[Item]) -> Inputs:
    """Return what the tower of items is told.

    `content` is float32 [n, CONTENT_WIDTH]; `identity` is int64 [n, 1], not negative.
    """
    content = np.zeros((len(items), CONTENT_WIDTH), np.float32)
    identity = np.zeros((len(items), 1), np.int64)
    for row, item in enumerate(items):
        for word in _words(item):
            content[row, crc32(word.encode()) % BUCKETS] = 1.0
        content[row, BUCKETS] = math.log1p(max(0, item.price_minor))
        identity[row] = name_of(item)
    return {"content": content, "identity": identity}


def name_of(item: Item) -> int:
    """Return the number by which a tower may know an item: 63 bits."""
    said = f"{item.id}\0{item.title}".encode()
    return int.from_bytes(blake2b(said, digest_size=8).digest(), "big") >> 1


def user_width(dimensions: int) -> int:
    """Return how wide `user_inputs` is for item vectors of so many dimensions."""
    return (len(INTERESTS) + 1) * dimensions + len(INTERESTS)


def user_inputs(history: Iterable[Seen], table: Table) -> Inputs:
    """Return what the tower of users is told of one user, whose history is newest first.

    `history` is float32 [1, user_width(d)]: a mean vector for each way of being interested, one of
    what is newest, and the logarithms of how many items each is of. All is 0 for somebody new.
    """
    acts = list(history)
    rows = table.rows(each.item_id for each in acts)
    places = [(row, each.type) for row, each in zip(rows.tolist(), acts, strict=True) if row >= 0]
    means, counts = list[Floats](), list[float]()
    for interest in INTERESTS:
        of = list(dict.fromkeys(row for row, act in places if act in interest))
        means.append(table.vectors[of].sum(axis=0) / np.float32(len(of) + MODEST))
        counts.append(math.log1p(len(of)))
    newest = list(dict.fromkeys(row for row, act in places if act != Act.DISLIKE))
    weights = np.power(FADES, np.arange(len(newest)), dtype=np.float32)
    faded = weights @ table.vectors[newest] / np.float32(weights.sum() + 1.0)
    told = np.concatenate([*means, faded, np.array(counts, np.float32)])
    return {"history": told.astype(np.float32, copy=False)[None, :]}


def _words(item: Item) -> Iterator[str]:
    """Yield what is said of an item, each word with the field that it is of."""
    yield f"category={item.category}"
    yield f"brand={item.brand}"
    yield f"merchant={item.merchant}"
    yield from (f"tag={tag}" for tag in item.tags)
    for name, value in item.attributes.items():
        if isinstance(value, str | bool):
            yield f"{name}={value}"
    yield from (f"title:{word}" for word in _WORD.findall(item.title.lower()))
