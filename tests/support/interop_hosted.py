"""`support.interop_server` within Envoy. Only Envoy imports this module."""

from inferd.transport.envoy.admin import Admin
from inferd.transport.envoy.application import Application
from inferd.transport.envoy.launch import admin_socket, arrived
from support.hosting import to_the_end
from support.interop_server import live

directory = arrived()


async def _live(application: Application) -> None:
    await to_the_end(live(application.listening), directory)


application = Application(_live, Admin(admin_socket(directory)))
