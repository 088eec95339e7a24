"""The echo services in a process of their own, behind either transport.

    python -m support.echo_server {grpcio,envoy} SETTINGS

`SETTINGS` is an `inferd.config.Server` as JSON. Nothing is imported here before it is needed:
where Envoy takes over, it would be imported in vain.
"""

import asyncio
import shutil
import sys

from inferd.config import Server
from inferd.transport import sockets
from inferd.transport.envoy import launch

#: In the run directory.
SETTINGS = "settings.json"
UNUSABLE = 2


def main() -> int:
    """Serve until nobody asks any more."""
    transport, settings = sys.argv[1:]
    config = Server.model_validate_json(settings)
    try:
        if transport == "envoy":
            _become_envoy(config)
        from inferd.transport.grpcio import listening
        from support.echo_services import EchoServer

        asyncio.run(EchoServer().live(config, listening))
    except OSError as error:
        sys.stderr.write(f"{error.strerror}\n")
        return UNUSABLE
    return 0


def _become_envoy(config: Server) -> None:
    from inferd.transport.envoy.bootstrap import bootstrap

    sockets.check_free(config.host, config.port, reuse_port=config.reuse_port)
    directory = launch.run_directory()
    try:
        (directory / SETTINGS).write_text(config.model_dump_json())
        prepared = bootstrap(
            config,
            application="support.echo_hosted:application",
            admin=launch.admin_socket(directory),
        )
        launch.become_envoy(directory, prepared, "--concurrency", "1", "--log-level", "warning")
    finally:  # only reached when it has failed
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
