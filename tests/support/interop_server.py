"""A server for gRPC's interoperability tests in a process of its own, behind either transport.

    python -m support.interop_server {grpcio,envoy}

It says its port; `support.control` is how a test stops it.
"""

import asyncio
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from inferd.config import Server
from support.control import answering, tell
from support.hosting import become_envoy
from support.interop_service import build

CONFIG = Server(port=0, drain_s=5.0)

Listening: TypeAlias = Callable[..., AbstractAsyncContextManager[int]]


async def live(listening: Listening) -> None:
    """Serve until nobody asks any more, whatever listens."""
    routes, pipeline = build()
    async with listening(CONFIG, routes, pipeline) as port:
        tell({"is": port})
        await answering({"idle": pipeline.idle})


def main() -> None:
    """Serve until nobody asks any more."""
    if sys.argv[1] == "envoy":
        become_envoy(CONFIG, "support.interop_hosted:application")
    from inferd.transport.grpcio import listening

    asyncio.run(live(listening))


if __name__ == "__main__":
    main()
