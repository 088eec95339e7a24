"""Metrics and health over HTTP, on Triton's paths, for scrapers and probes.

It answers from what it is given and knows nothing of models. Inference over HTTP is not
here; the page at `/` says what is.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

#: How long requests in flight may take once the server stops.
STOP_S = 1.0

PAGE = """\
inferd: metrics and health. Inference is served over gRPC, on another port.

/metrics                                  Prometheus metrics
/v2/health/live                           200 while the process works
/v2/health/ready                          200 when the server is ready for calls, else 400
/v2/models/{model}/ready                  200 when the model is ready, else 400
/v2/models/{model}/versions/{version}/ready
"""


@asynccontextmanager
async def serving_http(
    host: str,
    port: int,
    *,
    live: Callable[[], bool],
    ready: Callable[[], bool],
    model_ready: Callable[[str, str], bool],
    metrics: Callable[[str], Awaitable[tuple[bytes, str]]],
) -> AsyncIterator[int]:
    """Serve for as long as the block lasts. Yields the port, which is news if `port` is 0.

    `model_ready` takes a name and a version, empty if none was asked for. `metrics` takes
    the `Accept` header and returns the body and its content type.

    Raises:
        OSError: the address cannot be listened on; the message names it.

    """
    from aiohttp import web  # a third of a second: not before it is needed

    runner = web.AppRunner(
        _application(live=live, ready=ready, model_ready=model_ready, metrics=metrics),
        access_log=None,
        handle_signals=False,
        shutdown_timeout=STOP_S,
    )
    await runner.setup()
    try:
        await _listen(web.TCPSite(runner, host, port), host, port)
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _listen(site: "web.TCPSite", host: str, port: int) -> None:
    try:
        await site.start()
    except OSError as error:
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        why = f"cannot serve metrics and health on {where}: {os.strerror(error.errno or 0)}"
        raise OSError(error.errno, why) from error


def _application(
    *,
    live: Callable[[], bool],
    ready: Callable[[], bool],
    model_ready: Callable[[str, str], bool],
    metrics: Callable[[str], Awaitable[tuple[bytes, str]]],
) -> "web.Application":
    from aiohttp import web

    def yes_or_no(answer: bool) -> web.Response:
        return web.Response(status=200 if answer else 400)

    async def on_index(_: web.Request) -> web.Response:
        return web.Response(text=PAGE)

    async def on_metrics(request: web.Request) -> web.Response:
        body, content_type = await metrics(", ".join(request.headers.getall("Accept", [])))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def on_live(_: web.Request) -> web.Response:
        return yes_or_no(live())

    async def on_ready(_: web.Request) -> web.Response:
        return yes_or_no(ready())

    async def on_model_ready(request: web.Request) -> web.Response:
        about = request.match_info
        return yes_or_no(model_ready(about["model"], about.get("version", "")))

    async def on_anything_else(request: web.Request) -> web.Response:
        return web.Response(status=404, text=f"nothing is at {request.path}\n\n{PAGE}")

    application = web.Application()
    application.add_routes(
        [
            web.get("/", on_index),
            web.get("/metrics", on_metrics),
            web.get("/v2/health/live", on_live),
            web.get("/v2/health/ready", on_ready),
            web.get("/v2/models/{model}/ready", on_model_ready),
            web.get("/v2/models/{model}/versions/{version}/ready", on_model_ready),
            web.get("/{anything:.*}", on_anything_else),
        ]
    )
    return application
