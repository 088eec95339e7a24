"""The echo services in a process of their own, behind either transport.

    python -m support.echo_server {grpcio,envoy} SETTINGS

`SETTINGS` is an `inferd.config.Server` as JSON. Nothing is imported here before it is needed:
where Envoy takes over, it would be imported in vain.
"""

import asyncio
import sys

from inferd.config import Server
from support.hosting import become_envoy

#: In the run directory.
SETTINGS = "settings.json"
UNUSABLE = 2


def main() -> int:
    """Serve until nobody asks any more."""
    transport, settings = sys.argv[1:]
    config = Server.model_validate_json(settings)
    try:
        if transport == "envoy":
            become_envoy(
                config,
                "support.echo_hosted:application",
                {SETTINGS: config.model_dump_json()},
            )
        from inferd.transport.grpcio import listening
        from support.echo_services import EchoServer

        asyncio.run(EchoServer().live(config, listening))
    except OSError as error:
        sys.stderr.write(f"{error.strerror}\n")
        return UNUSABLE
    return 0


if __name__ == "__main__":
    sys.exit(main())
