"""Tables in Redis: one hash for each row, and its fields are the columns.

Rows are asked for together: one command for each, and one round trip for all.
"""

from collections.abc import Mapping, Sequence

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from inferd.cache.connection import translated

Key = int | float | bool | str | bytes


class RedisTable:
    """Reads hashes. The connection is its owner's."""

    def __init__(self, client: Redis, name: str, columns: Sequence[str]) -> None:
        """`name` is what hashes are called, with `{}` for the key of the row."""
        self._client = client
        before, _, after = name.partition("{}")
        self._before, self._after = before.encode(), after.encode()
        self._columns = [*columns]

    async def get(self, keys: Sequence[Key]) -> Sequence[Mapping[str, object] | None]:
        """Return rows by column: bytes, and None for what is not there.

        What is there and is no hash has an error in each column. Raises `DependencyFailed`.
        """
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.hmget(self._before + _written(key) + self._after, self._columns)
        with translated():
            answers = await pipeline.execute(raise_on_error=False)
            return [self._row(answer) for answer in answers]

    def _row(self, answer: object) -> Mapping[str, object]:
        if isinstance(answer, ResponseError) and str(answer).startswith("WRONGTYPE"):
            return dict.fromkeys(self._columns, answer)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, list)
        return dict(zip(self._columns, answer, strict=True))


def _written(key: Key) -> bytes:
    if isinstance(key, bytes):
        return key
    return (str(key).lower() if isinstance(key, bool) else str(key)).encode()
