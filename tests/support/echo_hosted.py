"""`support.echo_server` within Envoy. Only Envoy imports this module."""

import os
import shutil
import traceback

from inferd.config import Server
from inferd.transport.envoy.admin import Admin
from inferd.transport.envoy.application import Application
from inferd.transport.envoy.launch import admin_socket, arrived
from support.echo_server import SETTINGS
from support.echo_services import EchoServer

directory = arrived()
config = Server.model_validate_json((directory / SETTINGS).read_text())


async def _live(application: Application) -> None:
    code = 1
    try:
        await EchoServer().live(config, application.listening)
        code = 0
    except Exception:
        traceback.print_exc()
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(code)


application = Application(_live, Admin(admin_socket(directory)))
