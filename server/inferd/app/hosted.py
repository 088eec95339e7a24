"""`inferd serve` within Envoy: what Envoy imports, and the server's life in there.

Only Envoy imports this module. Its thread is not the process's main one, and Envoy's own way to
take a signal is to leave at once; so they are blocked there and waited for here.
"""

import logging
import os
import shutil
import sys
import traceback

from inferd.app.cli import complain_of, say
from inferd.app.launch import CONFIG
from inferd.app.logs import logging_to
from inferd.app.signals import StopSignal, received_by_thread
from inferd.config import Config
from inferd.telemetry.threads import name_this_thread
from inferd.transport.envoy.admin import Admin
from inferd.transport.envoy.application import Application
from inferd.transport.envoy.launch import admin_socket, arrived

log = logging.getLogger(__name__)

directory = arrived()
admin = Admin(admin_socket(directory))


async def _live(application: Application) -> None:
    name_this_thread("event loop")
    stop = received_by_thread()
    try:
        await _serve(application, stop)
        code = 0
    except Exception as error:
        code = _failed(error)
    shutil.rmtree(directory, ignore_errors=True)
    # Everybody has had the last word by now, and Envoy's own way out is a long one.
    os._exit(code)


async def _serve(application: Application, stop: StopSignal) -> None:
    from inferd.app import serve  # onnxruntime may be missing, and that has words of its own

    config = Config.model_validate_json((directory / CONFIG).read_text())
    serve.prepare(config)
    with logging_to(sys.stderr, config.telemetry.log) as logs:
        log.info("transport: envoy")
        metrics = admin.statistics if config.server.envoy.statistics else None
        try:
            await serve.serve(
                config, logs, say, application.listening, stop, transport_metrics=metrics
            )
        except BaseException as error:
            raise serve.innermost(error) from None


def _failed(error: Exception) -> int:
    try:
        return complain_of(error)
    except Exception:
        traceback.print_exc()
        return 1


application = Application(_live, admin)
