"""The admin port: for those who look after the server, beside whatever carries the calls.

It is gRPC's own server also where Envoy carries the calls: nothing here has to be fast, and it
has to be there when Envoy is what one wants to look past. It has a pipeline of its own, because
a server is idle, and done with draining, when nobody but an onlooker calls.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from inferd.config import Config
from inferd.services.pipeline import Pipeline
from inferd.services.routes import Route
from inferd.telemetry.rpc import RpcStatistics
from inferd.transport import sockets
from inferd.transport.grpcio.server import listening


@asynccontextmanager
async def serving_admin(config: Config, routes: Iterable[Route]) -> AsyncIterator[int | None]:
    """Serve `routes` for as long as the block lasts, if there is to be an admin port. Yields it.

    Raises:
        OSError: the address cannot be listened on; the message names it and says why.
    """
    if not config.admin.enabled:
        yield None
        return
    # Processes that share the port of calls have an admin port each.
    server = config.server.model_copy(
        update={"port": config.admin.port, "reuse_port": False, "max_concurrent_calls": 0}
    )
    sockets.check_free(server.host, server.port, reuse_port=False)  # gRPC tells standard error, too
    pipeline = Pipeline(RpcStatistics(()), config.telemetry.log)
    async with listening(server, routes, pipeline) as port:
        yield port
