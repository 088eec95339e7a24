"""`support.echo_server` within Envoy. Only Envoy imports this module."""

from inferd.config import Server
from inferd.transport.envoy.admin import Admin
from inferd.transport.envoy.application import Application
from inferd.transport.envoy.launch import admin_socket, arrived
from support.echo_server import SETTINGS
from support.echo_services import EchoServer
from support.hosting import to_the_end

directory = arrived()
config = Server.model_validate_json((directory / SETTINGS).read_text())


async def _live(application: Application) -> None:
    await to_the_end(EchoServer().live(config, application.listening), directory)


application = Application(_live, Admin(admin_socket(directory)))
