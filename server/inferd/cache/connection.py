"""How this server talks to Redis: one client for all of it, and one word for what goes wrong.

The client connects when it is first asked, so that a server starts whether Redis is there or not.
It neither retries nor sets its own time: both are for whoever asks, who has a deadline. Who
gives up is cancelled, and the connection is closed with the answer that nobody waits for.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from inferd import config
from inferd.errors import DependencyFailed

log = logging.getLogger(__name__)

__all__ = ["Redis", "beside", "client", "close", "let_go", "translated"]


def client(settings: config.Redis) -> Redis:
    """Return a client that is not connected. Who has it closes it.

    Raises `ValueError` for a URL with options that make no sense. While as many connections as
    there may be are in use, who asks waits for one.
    """
    try:
        pool = BlockingConnectionPool.from_url(
            settings.url,
            max_connections=settings.connections,
            timeout=None,
            socket_timeout=None,
            socket_connect_timeout=settings.connect_timeout_ms / 1000,
            retry=Retry(NoBackoff(), 0),
            protocol=2,  # saves a round trip per connection
        )
        pool.connection_class(**pool.connection_kwargs)  # reads the options, connects nothing
    except (TypeError, ValueError) as error:
        raise ValueError(f"redis.url: {error}") from error
    return Redis.from_pool(pool)


async def close(connected: Redis) -> None:
    """Close a client's connections, whether Redis still answers or not."""
    with suppress(DependencyFailed), translated():
        await connected.aclose()


def beside(client: Redis) -> AbstractConnection:
    """Return a connection that is not one of the pool's. Nothing is connected yet."""
    pool = client.connection_pool
    connection: AbstractConnection = pool.connection_class(**pool.connection_kwargs)
    return connection


async def let_go(connection: AbstractConnection) -> None:
    """Close a connection, whether Redis still answers or not."""
    try:
        with translated():
            await connection.disconnect(nowait=True)
    except DependencyFailed as error:
        log.debug("closing a connection to Redis: %s", error)


@contextmanager
def translated() -> Iterator[None]:
    """Have what goes wrong with Redis in the block raised as `DependencyFailed`."""
    try:
        yield
    except (RedisError, OSError, RuntimeError) as error:
        # uvloop's word for a connection that has just been closed is `RuntimeError`.
        raise DependencyFailed(f"Redis failed ({type(error).__name__})") from error
