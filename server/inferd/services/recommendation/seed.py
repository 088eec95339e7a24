"""Items of a file, one a line: `inferd.v1.Item` in JSON, as protobuf has it, and grpcurl."""

from collections.abc import Iterator
from pathlib import Path

from google.protobuf import json_format

from inferd.errors import InvalidRequest, LoadFailed
from inferd.services.recommendation.item_messages import item_of
from inferd.services.recommendation.items import Item
from inferd.v1 import recommendation_pb2 as pb


def seed_items(path: Path, *, dimensions: int) -> Iterator[Item]:
    """Yield a file's items, as they would be taken from a request.

    Raises `OSError`, and `LoadFailed` naming the line and the field.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            where = f"{path}:{number}"
            try:
                message = json_format.Parse(line, pb.Item())
                yield item_of(message, where, dimensions=dimensions)
            except (json_format.ParseError, InvalidRequest, UnicodeDecodeError) as error:
                raise LoadFailed(f"{where}: {error}") from error
