"""Items of a file, one JSON object a line, with the fields of `inferd.v1.Item`.

Attributes are plain values there: {"colour": "red"}.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from inferd.errors import InvalidRequest, LoadFailed
from inferd.services.recommendation.item_messages import item_message, item_of
from inferd.services.recommendation.items import Item, Value


class _Line(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    id: str
    title: str = ""
    description: str = ""
    category: str = ""
    brand: str = ""
    merchant: str = ""
    price_minor: int = 0
    currency: str = ""
    stock: int | None = None
    released_us: int = 0
    tags: tuple[str, ...] = ()
    attributes: dict[str, Value] = {}
    vector: list[float] | None = None


_decode = msgspec.json.Decoder(_Line).decode


def seed_items(path: Path, *, dimensions: int) -> Iterator[Item]:
    """Yield a file's items, as they would be taken from a request.

    Raises `OSError`, and `LoadFailed` naming the line and the field.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            where = f"{path}:{number}"
            try:
                said = msgspec.structs.asdict(_decode(line))
                vector = said.pop("vector")
                own = None if vector is None else np.array(vector, np.float32)
                message = item_message(Item(**said, vector=own))
                yield item_of(message, where, dimensions=dimensions)
            except (msgspec.MsgspecError, InvalidRequest, ValueError) as error:
                raise LoadFailed(f"{where}: {error}") from error
