"""What is known of entities: where it is declared, and where it is kept."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from inferd.config.section import MIB, Positive, Section

Count = Annotated[int, Field(ge=1)]


class Features(Section):
    """Features: what is known of users, items and the like, and `inferd.v1.FeatureService`."""

    definitions: Path | None = None
    """A file that declares entities and views; docs/features.md says how. Without one there is no
    feature service."""
    store: Literal["memory", "redis", "sqlite"] = "memory"
    """memory: in this process, and gone with it. redis: as `redis.url` says. sqlite: a file."""
    memory_bytes: Annotated[int, Field(gt=0)] = 256 * MIB
    """What the store in memory may take; rows read longest ago make room."""
    sqlite_path: Path = Path("features.sqlite")
    """The file, which is made when it is not there."""
    key_prefix: Annotated[str, Field(max_length=64)] = "feat:"
    """Of keys in Redis. Servers with the same one share what they know."""
    max_blob_bytes: Annotated[int, Field(gt=0)] = 64 * 1024
    """What one view may take of one entity, encoded. Larger rows are refused."""
    max_future_s: Positive = 300.0
    """How far an event may be ahead of this server's clock."""
    max_entities: Count = 1000
    """In one BatchGet."""
    max_values: Count = 20_000
    """In one BatchGet, too: entities times features. 1000 of them take about half a millisecond, in
    which the event loop does nothing else."""
    max_rows: Count = 1000
    """In one Set, or one request of a Push."""
