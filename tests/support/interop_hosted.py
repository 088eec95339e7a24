"""`support.interop_server` within Envoy. Only Envoy imports this module."""

import os
import shutil
import traceback

from inferd.transport.envoy.admin import Admin
from inferd.transport.envoy.application import Application
from inferd.transport.envoy.launch import admin_socket, arrived
from support.interop_server import live

directory = arrived()


async def _live(application: Application) -> None:
    code = 1
    try:
        await live(application.listening)
        code = 0
    except Exception:
        traceback.print_exc()
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(code)


application = Application(_live, Admin(admin_socket(directory)))
