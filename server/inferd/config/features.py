"""What is known of entities: where it is declared, and where it is kept."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from inferd.config.cache import CachePolicy, Policy
from inferd.config.precompute import Precompute
from inferd.config.section import MIB, NotNegative, Positive, Section

Count = Annotated[int, Field(ge=1)]


class Near(Section):
    """Rows of the store that are kept in this process, too."""

    enabled: bool = True
    """For `features.store` redis and sqlite. With redis, other servers' writes are told to this one
    within about a millisecond, and while they are not, nothing is kept."""
    ttl_s: Positive = 60.0
    """How long a row is kept. What another process writes to the same sqlite file is seen after
    that."""
    jitter: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """By which share, either way, that is spread."""
    max_entries: Count = 100_000
    max_bytes: Annotated[int, Field(gt=0)] = 64 * MIB
    policy: Policy = "w_tinylfu"
    """Which rows make room when there is no more."""


class ComputedCache(CachePolicy):
    """Views with a `cache_ttl_s`, once they are computed: in this process, and in Redis if any."""

    negative_ttl_s: NotNegative = 0.0


class Features(Section):
    """Features: what is known of users, items and the like, and `inferd.v1.FeatureService`."""

    definitions: Path | None = None
    """A file that declares entities and views; docs/features.md says how. Without one there is no
    feature service."""
    store: Literal["memory", "redis", "sqlite", "postgres"] = "memory"
    """memory: in this process, and gone with it. redis: as `redis.url` says. sqlite: a file.
    postgres: as `postgres.url` says."""
    memory_bytes: Annotated[int, Field(gt=0)] = 256 * MIB
    """What the store in memory may take; rows read longest ago make room."""
    sqlite_path: Path = Path("features.sqlite")
    """The file, which is made when it is not there."""
    key_prefix: Annotated[str, Field(max_length=64)] = "feat:"
    """Of keys in Redis and PostgreSQL. Servers with the same one share what they know."""
    max_blob_bytes: Annotated[int, Field(gt=0)] = 64 * 1024
    """What one view may take of one entity, encoded. Larger rows are refused."""
    max_future_s: Positive = 300.0
    """How far an event may be ahead of this server's clock."""
    near: Near = Near()
    cache: ComputedCache = ComputedCache()
    cache_path: Path | None = None
    """A file of SQLite, as the third level of `cache`: it outlives this process."""
    cache_in_postgres: bool = False
    """Have PostgreSQL as that level, for all servers, and not a file."""
    precompute: Precompute = Precompute()
    compute_timeout_ms: Positive = 20.0
    """What computing may take of a read; what is late then has its default."""
    max_waiting_events: Count = 10_000
    """Events that wait to be stored. What comes on top is refused."""
    max_entities: Count = 1000
    """In one BatchGet."""
    max_values: Count = 20_000
    """In one BatchGet, too: entities times features. 1000 of them take about half a millisecond, in
    which the event loop does nothing else."""
    max_rows: Count = 1000
    """In one Set, one request of a Push, or one Record."""

    @model_validator(mode="after")
    def _has_one_third_level(self) -> "Features":
        if self.cache_in_postgres and self.cache_path is not None:
            raise ValueError("there is one third level, cache_path or cache_in_postgres")
        return self
