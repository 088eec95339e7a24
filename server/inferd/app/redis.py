"""Redis, for servers that have one. It is imported only then: it takes long."""

from typing import TYPE_CHECKING

from inferd import config

if TYPE_CHECKING:
    from inferd.cache.connection import Redis
    from inferd.resilience.rate_rules import CountTogether
    from inferd.resilience.toolbox import Toolbox


def made(settings: config.Redis) -> "Redis | None":
    """Return a client that is not connected; None where no Redis is configured.

    Raises `ValueError` for a URL with options that make no sense.
    """
    if not settings.url:
        return None
    from inferd.cache.connection import client

    return client(settings)


def counting(redis: "Redis | None", toolbox: "Toolbox") -> "CountTogether | None":
    """Return what counts the limits that servers share; None where there is nobody to."""
    if redis is None:
        return None
    from inferd.cache import quota

    return quota.counting(redis, toolbox.dependency(quota.NAME, quota.GUARDED_AS))


async def closed(redis: "Redis | None") -> None:
    """Close a client's connections."""
    if redis is None:
        return
    from inferd.cache.connection import close

    await close(redis)
