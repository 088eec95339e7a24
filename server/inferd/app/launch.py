"""What carries the calls: the choice of a transport, and the way into Envoy.

The choice is made before anything is built, because Envoy is a process of its own: it replaces
this one, and what is prepared for it here waits in a directory until `inferd.app.hosted`, the
application within it, picks it up.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn

from inferd.app.settings import ConfigError
from inferd.config import Config, Log
from inferd.oip import grpc_service_pb2
from inferd.services.health import SERVICE as HEALTH
from inferd.services.reflection import V1, V1ALPHA
from inferd.transport import sockets
from inferd.transport.envoy import launch
from inferd.transport.envoy.bootstrap import bootstrap, described, printed
from inferd.v1 import features_pb2, fraud_pb2

APPLICATION = "inferd.app.hosted:application"
CONFIG = "config.json"
#: What there is in JSON, too, where that is wanted.
OPEN_INFERENCE = grpc_service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
FEATURES = features_pb2.DESCRIPTOR.services_by_name["FeatureService"]
FRAUD = fraud_pb2.DESCRIPTOR.services_by_name["FraudService"]
#: Asked by whoever watches a server go: answered until it is gone, and however much it has to do.
UNCONDITIONAL = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata")

_CONSOLE = "%H:%M:%S.%e %-7l envoy.%n %v"
_JSON = '{"time": "%Y-%m-%dT%T.%e%z", "level": "%l", "logger": "envoy.%n", "message": "%j"}'


class Choice(NamedTuple):
    """The transport that was chosen."""

    envoy: bool
    #: For the log: which it is, and why if that is news.
    why: str


def choose(transport: Literal["auto", "envoy", "grpcio"]) -> Choice:
    """Return what will carry the calls. Raises `ConfigError` when that cannot be."""
    if transport == "grpcio":
        return Choice(False, "grpcio")
    missing = launch.missing()
    if not missing:
        return Choice(True, "envoy")
    if transport == "envoy":
        raise ConfigError([f"server.transport is envoy, but {missing}"])
    return Choice(False, f"grpcio, because {missing}")


def become_envoy(config: Config) -> NoReturn:
    """Replace this process by Envoy with our application in it.

    Raises `OSError` when the address cannot be listened on: said here, it is said the same
    way whatever carries the calls.
    """
    server = config.server
    sockets.check_free(server.host, server.port, reuse_port=server.reuse_port)
    directory = launch.run_directory()
    try:
        (directory / CONFIG).write_text(config.model_dump_json(exclude_unset=True))
        launch.become_envoy(directory, _bootstrap(config, directory), *_arguments(config))
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


def envoy_config(config: Config) -> str:
    """Return Envoy's configuration as YAML, with a stand-in for the run directory."""
    return printed(_bootstrap(config, Path(tempfile.gettempdir()) / "inferd-RUN"))


def _bootstrap(config: Config, directory: Path) -> dict[str, object]:
    services = [
        OPEN_INFERENCE,
        *([] if config.features.definitions is None else [FEATURES]),
        *([] if config.fraud.rules is None else [FRAUD]),
    ]
    return bootstrap(
        config.server,
        application=APPLICATION,
        admin=launch.admin_socket(directory),
        descriptors=described(services),
        services=[service.full_name for service in services],
        unconditional=[
            *(f"/{OPEN_INFERENCE.full_name}/{name}" for name in UNCONDITIONAL),
            *(f"/{service.full_name}/" for service in (HEALTH, V1, V1ALPHA)),
        ],
    )


def _arguments(config: Config) -> list[str]:
    log = config.telemetry.log
    return [
        *("--concurrency", str(config.server.envoy.concurrency)),
        *("--log-level", "error" if log.level == "error" else "warning"),
        *("--log-format", _log_format(log)),
    ]


def _log_format(log: Log) -> str:
    return _JSON if log.format == "json" else _CONSOLE
