"""The server that is broken: a small shop, with Redis behind the server's proxy."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from support.chaos.recommendation.asking import USERS, user_of
from support.chaos.world import BREAKER, CONNECTIONS, World, admin_of, with_examples
from support.recommending import RANKERS, Shop, did, items, opened, settings, write_models, written
from support.redis import RedisServer, running_redis
from support.server import Server, eventually, serving
from support.transports import Transport

MODELS = (*RANKERS, "rec_users")
GUARDS = ("features", *(f"recommendation_{each}" for each in (*RANKERS, "users", "candidates")))
RATES = {"low": 40.0, "full": 80.0, "burst": 600.0}
"""Calls per second. The last is more than one core can make."""
SEEN = 6
"""Items that every user has looked at."""


class House(World):
    """A server that recommends, and its Redis."""

    def __init__(self, server: Server, channel: Any, redis: RedisServer, models: Path) -> None:
        super().__init__(server, redis, channel, models)
        self.shop = Shop(server.address)
        eventually(lambda: opened(self.shop))
        self.shop.upsert(items())
        self.fill()

    def fill(self) -> None:
        """Have everybody look at something, also where Redis has forgotten it."""
        acts = [
            did(user_of(user), f"i{user + number:03d}", "VIEW")
            for user in range(USERS)
            for number in range(SEEN)
        ]

        def is_recorded() -> bool:
            try:
                self.shop.record(*acts)
            except Exception as error:  # a breaker is still open, say
                return not re.search("Unavailable|Deadline", type(error).__name__)
            return True

        eventually(is_recorded)


@contextmanager
def house(directory: Path, transport: Transport) -> Iterator[House]:
    """Run all that there is, for as long as the block lasts."""
    directory.mkdir(exist_ok=True)
    models = directory / "models"
    write_models(models)
    with running_redis(directory) as redis:
        config = _config(directory, redis)
        with (
            serving(
                directory,
                *("--config", str(config), "--control-mode", "explicit", "--load-model", "*"),
                repository=models,
                transport=transport,
                environment=with_examples(),
            ) as server,
            grpc.insecure_channel(admin_of(server)) as channel,
        ):
            it = House(server, channel, redis, models)
            try:
                yield it
            finally:
                it.shop.close()


def _config(directory: Path, redis: RedisServer) -> Path:
    proxy = directory / "proxy.sock"
    usual = settings()
    rankers = [{**each, "timeout_ms": 40} for each in usual["rankers"]]
    return written(
        directory,
        config={
            "features": {"definitions": "definitions.yaml", "store": "redis"},
            "redis": {"url": f"unix://{proxy}", "connections": CONNECTIONS},
            "admin": {"enabled": True, "port": 0},
            "resilience": {
                "dependencies": {
                    each: {"breaker": {**BREAKER, "open_max_s": 1.0}} for each in GUARDS
                },
                "model_breaker": {**BREAKER, "open_max_s": 1.0},
            },
            "faults": {
                "enabled": True,
                "proxies": {
                    "redis": {"listen": f"unix:{proxy}", "upstream": f"unix:{redis.socket}"}
                },
            },
        },
        deadline_ms=100,
        profile={"timeout_ms": 20},
        user_vectors={"model": "rec_users", "timeout_ms": 30},
        rankers=rankers,
    )
