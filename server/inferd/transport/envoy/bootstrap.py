"""Envoy's configuration: what it listens on, what it limits, and how it refuses.

Plain data, in the JSON form of Envoy's own messages. It is minimal: a filter that nobody asked
for costs every call microseconds, on the one thread that also reads the sockets.

What Envoy refuses by itself never gets to Python. Clients are told by the same status, message
and details as if it had.
"""

import base64
import importlib.util
import json
import math
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.rpc import error_details_pb2, status_pb2

from inferd.config import Envoy, Server
from inferd.errors import Exhausted, InferdError, Shed, Unimplemented
from inferd.services.status import refusal
from inferd.transport import sockets
from inferd.transport.envoy import giving_way
from inferd.transport.envoy.headers import metadata_headers

Plain = dict[str, Any]

ARRIVED = "x-inferd-arrived"
"""The request header with the time at which Envoy had the headers, in microseconds of the
day's clock. Envoy overwrites what a client puts there."""

DRAIN = "drain"
"""A file beside the admin socket: 1 sends every connection away, idle or not (GOAWAY). Replace it
(rename), do not write into it; a missing file means 0. Envoy looks every `REFRESH_MS`."""

REFRESH_MS = 10
"""Looking costs 30 microseconds of a thread that has little else to do."""

_TYPE = "type.googleapis.com/envoy."
_HTTP = f"{_TYPE}extensions.filters.http."
_MONITORS = f"{_TYPE}extensions.resource_monitors."

_GRPC = "grpc"
_NEVER_S = 10.0 * 365 * 24 * 3600
_UNLIMITED = 2**31 - 1
#: Between the two GOAWAYs of a connection on its way out. Calls that are sent before the first
#: has arrived are still taken; without the pause clients would have to send them again.
_GOAWAY_PAUSE_S = 0.25
#: For a client that does not take an answer that is complete.
_FLUSH_S = 300.0
#: gRPC counts a header as its name, its value and this.
_HEADER_OVERHEAD_BYTES = 32
#: Envoy's HTTP/2 has a limit of its own for one header, and closes the connection beyond it.
_MIN_HEADERS_KIB = 64
_MAX_HEADERS_KIB = 8192
_MIN_HEADERS = 100
_MAX_HEADER_LIST_SIZE = 6
#: What may come at once under a rate limit, at least: arrivals are never evenly spaced.
_BURST_S = 0.05

_RUNTIME: Plain = {
    # Envoy takes a client for an attacker and closes its connection once half of its calls are
    # reset within a second. Ours have deadlines of milliseconds, and reset what is late: under
    # overload that would cost everybody on the connection their calls, too.
    "overload.premature_reset_total_stream_count": _UNLIMITED,
    # Instead: so many calls of one connection, and then the others have their turn.
    "http.max_requests_per_io_cycle": 64,
}

SHED = Shed("the server is overloaded", retry_after_s=-1.0)
NO_METHOD = Unimplemented("Method not found!")
RATE_LIMITED = Exhausted("more calls come than the rate limit allows")

_NEEDED = (
    f"http.{_GRPC}.downstream_cx_active",
    f"http.{_GRPC}.downstream_cx_max_duration_reached",
    f"http.{_GRPC}.downstream_rq_active",
    "listener_manager.workers_started",
)
"""The statistics that `inferd.transport.envoy.admin` goes by."""

_BRIDGED = (
    f"http.{_GRPC}.downstream_cx_destroy_remote_active_rq",
    f"http.{_GRPC}.downstream_cx_protocol_error",
    f"http.{_GRPC}.downstream_cx_rx_bytes_total",
    f"http.{_GRPC}.downstream_cx_total",
    f"http.{_GRPC}.downstream_cx_tx_bytes_total",
    f"http.{_GRPC}.downstream_rq_overload_close",
    f"http.{_GRPC}.downstream_rq_rx_reset",
    f"http.{_GRPC}.downstream_rq_too_many_premature_resets",
    f"http.{_GRPC}.downstream_rq_total",
    f"http.{_GRPC}.downstream_rq_tx_reset",
    f"http.{_GRPC}.{giving_way.STATISTIC}",
    "http2.goaway_sent",
    "http2.header_list_size_too_large",
    "http2.header_overflow",
    "http2.keepalive_timeout",
    "http2.outbound_control_flood",
    "http2.outbound_flood",
    "http2.pending_send_bytes",
    f"{_GRPC}.http_local_rate_limit.rate_limited",
    "server.memory_allocated",
    "server.memory_heap_size",
    "server.memory_physical_size",
)
"""Those that are also worth a place among our metrics."""


def bootstrap(
    config: Server,
    *,
    application: str,
    admin: Path,
    descriptors: bytes | None = None,
    services: Sequence[str] = (),
    unconditional: Sequence[str] = (),
) -> Plain:
    """Return the whole configuration.

    `application` is what Envoy imports and runs, `module:attribute`. `admin` is the socket of
    Envoy's admin interface; its directory is also where Envoy looks for `SHARES` and `DRAIN`.
    `descriptors` (see `described`) and the names of `services` are needed for JSON only. Paths
    that begin with one of `unconditional` are never shed.

    Raises:
        OSError: the host's name has no address, or pyvoy is not installed.
        ValueError: JSON is asked for, and the descriptors are missing.
    """
    manager = _connection_manager(config, application, descriptors, services, unconditional)
    runtime = [
        {"name": "inferd", "static_layer": _RUNTIME},
        giving_way.runtime_layer(str(admin.parent / giving_way.SHARES)),
    ]
    return {
        "admin": {"address": {"pipe": {"path": str(admin), "mode": 0o600}}},
        "static_resources": {"listeners": [_listener(config, manager)]},
        "layered_runtime": {"layers": runtime},
        "overload_manager": _overload_manager(config.envoy, admin.parent),
        "stats_config": _statistics(config.envoy),
        "stats_flush_on_admin": True,  # and at no other time
    }


def printed(bootstrap: Mapping[str, Any]) -> str:
    """Return a configuration as YAML, for people and for `envoy --config-path`."""
    text: str = yaml.safe_dump(dict(bootstrap), sort_keys=False, width=100)
    return text


def described(services: Iterable[ServiceDescriptor]) -> bytes:
    """Return a `FileDescriptorSet`: services, what they import, and the details of errors."""
    files: dict[str, FileDescriptorProto] = {}

    def add(file: FileDescriptor) -> None:
        if file.name in files:
            return
        for imported in file.dependencies:
            add(imported)
        files[file.name] = FileDescriptorProto()
        file.CopyToProto(files[file.name])

    for file in (
        *(each.file for each in services),
        status_pb2.DESCRIPTOR,
        error_details_pb2.DESCRIPTOR,
    ):
        add(file)
    encoded: bytes = FileDescriptorSet(file=files.values()).SerializeToString()
    return encoded


def _listener(config: Server, manager: Plain) -> Plain:
    first, *others = _addresses(config.host, config.port)
    listener: Plain = {
        "name": _GRPC,
        "address": first,
        # Envoy's own default is to share a port, with whoever.
        "enable_reuse_port": config.reuse_port,
        "per_connection_buffer_limit_bytes": config.envoy.connection_buffer_bytes,
        "filter_chains": [
            {"filters": [_typed("envoy.filters.network.http_connection_manager", manager)]}
        ],
    }
    if others:
        listener["additional_addresses"] = [{"address": each} for each in others]
    if config.envoy.concurrency > 1 and not config.reuse_port:
        # On one shared socket the thread that is the first to wake takes every connection.
        listener["connection_balance_config"] = {"exact_balance": {}}
    return listener


def _addresses(host: str, port: int) -> list[Plain]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise sockets.refused(host, port) from error
    addresses = dict.fromkeys(str(address[0]) for *_, address in found)
    return [{"socket_address": _socket_address(each, port)} for each in addresses]


def _socket_address(address: str, port: int) -> Plain:
    either = {"ipv4_compat": True} if address == "::" else {}
    return {"address": address, "port_value": port, **either}


def _connection_manager(
    config: Server,
    application: str,
    descriptors: bytes | None,
    services: Sequence[str],
    unconditional: Sequence[str],
) -> Plain:
    manager: Plain = {
        "@type": f"{_TYPE}extensions.filters.network.http_connection_manager"
        ".v3.HttpConnectionManager",
        "stat_prefix": _GRPC,
        "codec_type": "AUTO" if _is_for_browsers(config.envoy) else "HTTP2",
        "http2_protocol_options": _http2(config),
        "common_http_protocol_options": {
            "idle_timeout": "0s",  # the keepalive finds out who is dead
            "max_connection_duration": _duration(config.max_connection_age_s or _NEVER_S),
            "max_headers_count": _headers(config),
        },
        "max_request_headers_kb": _headers_kib(config),
        "drain_timeout": _duration(_GOAWAY_PAUSE_S),
        # Calls have deadlines, and a stream of events may be silent for as long as it likes.
        "stream_idle_timeout": "0s",
        "stream_flush_timeout": _duration(_FLUSH_S),
        # Those who share a connection are strangers: one malformed request ends by itself.
        "stream_error_on_invalid_http_message": True,
        **_HEADERS_LEFT_ALONE,
        "early_header_mutation_extensions": [_ARRIVAL_NOTED],
        "local_reply_config": {"mappers": list(_refusals(config.envoy))},
        "route_config": _routes(config.envoy, unconditional),
        "http_filters": [
            giving_way.refusing_filter(),  # before all others: what is refused should cost little
            _typed("envoy.filters.http.rbac", _PATHS_IN_ASCII),
            *_filters(config, descriptors, services),
            _typed("pyvoy", _pyvoy(application, uvloop=config.uvloop)),
        ],
    }
    if config.envoy.access_log:
        manager["access_log"] = [_access_log(config.envoy.access_log)]
    return manager


def _http2(config: Server) -> Plain:
    return {
        "max_concurrent_streams": min(config.max_concurrent_streams, _UNLIMITED),
        "initial_stream_window_size": config.envoy.stream_window_bytes,
        "initial_connection_window_size": config.envoy.connection_window_bytes,
        "connection_keepalive": {
            "interval": _duration(config.keepalive_time_s),
            "timeout": _duration(config.keepalive_timeout_s),
        },
        # Clients that look at it refuse their own metadata, and say why.
        "custom_settings_parameters": [
            {
                "identifier": _MAX_HEADER_LIST_SIZE,
                "value": min(config.max_metadata_bytes, _UNLIMITED),
            }
        ],
    }


def _headers_kib(config: Server) -> int:
    """Leave room beyond the limit: Python says RESOURCE_EXHAUSTED, Envoy resets the stream."""
    twice = math.ceil(2 * config.max_metadata_bytes / 1024)
    return min(max(_MIN_HEADERS_KIB, twice), _MAX_HEADERS_KIB)


def _headers(config: Server) -> int:
    twice = 2 * config.max_metadata_bytes // _HEADER_OVERHEAD_BYTES
    return min(max(_MIN_HEADERS, twice), _UNLIMITED)


_HEADERS_LEFT_ALONE: Plain = {
    "server_header_transformation": "PASS_THROUGH",
    "generate_request_id": False,
    "skip_xff_append": True,
    # The peer is who is connected, whatever x-forwarded-for says: this looks for an address in
    # a header that never holds one. (`use_remote_address` would do, and so would an empty list
    # of proxies to trust, but both add a header to every request.)
    "original_ip_detection_extensions": [
        {
            "name": "envoy.http.original_ip_detection.custom_header",
            "typed_config": {
                "@type": f"{_TYPE}extensions.http.original_ip_detection"
                ".custom_header.v3.CustomHeaderConfig",
                "header_name": ARRIVED,
            },
        }
    ],
}

#: A path that is no text once it is unescaped never gets through pyvoy, and is never answered.
_PATHS_IN_ASCII: Plain = {
    "@type": f"{_HTTP}rbac.v3.RBAC",
    "rules": {
        "action": "ALLOW",
        "policies": {
            "methods": {
                "permissions": [{"url_path": {"path": {"safe_regex": {"regex": "[!-$&-~]*"}}}}],
                "principals": [{"any": True}],
            }
        },
    },
}

_ARRIVAL_NOTED: Plain = {
    "name": "envoy.http.early_header_mutation.header_mutation",
    "typed_config": {
        "@type": f"{_TYPE}extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        "mutations": [
            {
                "append": {
                    "header": {"key": ARRIVED, "value": "%START_TIME(%s%6f)%"},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
            }
        ],
    },
}


def _refusals(envoy: Envoy) -> Iterator[Plain]:
    # A path in other letters is nobody's: 404 is what gRPC takes for UNIMPLEMENTED.
    yield {**_refusal(403, NO_METHOD), "status_code": 404}
    yield _refusal(503, SHED)
    if envoy.rate_limit_per_s:
        yield _refusal(429, RATE_LIMITED)


def _refusal(http_status: int, error: InferdError) -> Plain:
    """Return what a refusal of Envoy's own says: what ours would say."""
    refused = refusal(error)
    comparison = {"default_value": http_status, "runtime_key": f"inferd.refused.{http_status}"}
    return {
        "filter": {"status_code_filter": {"comparison": {"op": "EQ", "value": comparison}}},
        "body": {"inline_string": refused.message},
        "headers_to_add": [
            {
                "header": {"key": name.decode(), "value": value.decode().replace("%", "%%")},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
            for name, value in metadata_headers(refused.trailing)
        ],
    }


def _filters(config: Server, descriptors: bytes | None, services: Sequence[str]) -> Iterator[Plain]:
    envoy = config.envoy
    if envoy.cors_origins and _is_for_browsers(envoy):
        yield _typed(_CORS, {"@type": f"{_HTTP}cors.v3.Cors"})
    if envoy.grpc_web:
        yield _typed("envoy.filters.http.grpc_web", {"@type": f"{_HTTP}grpc_web.v3.GrpcWeb"})
    if envoy.rate_limit_per_s:
        yield _typed("envoy.filters.http.local_ratelimit", _rate_limit(envoy))
    if envoy.json_transcoding:
        if descriptors is None:
            raise ValueError("server.envoy.json_transcoding needs the services' descriptors")
        transcoder = _transcoder(config, descriptors, services)
        yield _typed("envoy.filters.http.grpc_json_transcoder", transcoder)


def _rate_limit(envoy: Envoy) -> Plain:
    everybody = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return {
        "@type": f"{_HTTP}local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": _GRPC,
        "token_bucket": {
            "max_tokens": max(math.ceil(envoy.rate_limit_per_s * _BURST_S), envoy.rate_limit_burst),
            "tokens_per_fill": envoy.rate_limit_per_s,
            "fill_interval": "1s",  # drop by drop
        },
        "filter_enabled": everybody,
        "filter_enforced": everybody,
        "rate_limited_as_resource_exhausted": True,
    }


def _transcoder(config: Server, descriptors: bytes, services: Sequence[str]) -> Plain:
    return {
        "@type": f"{_HTTP}grpc_json_transcoder.v3.GrpcJsonTranscoder",
        "proto_descriptor_bin": base64.b64encode(descriptors).decode(),
        "services": list(services),
        "auto_mapping": True,  # POST /package.Service/Method
        "convert_grpc_status": True,
        "print_options": {"preserve_proto_field_names": True},
        "max_request_body_size": min(config.max_receive_bytes, _UNLIMITED),
        "max_response_body_size": min(config.max_send_bytes, _UNLIMITED),
    }


_CORS = "envoy.filters.http.cors"


def _routes(envoy: Envoy, unconditional: Sequence[str]) -> Plain:
    """Return the routes. They lead nowhere, because the filters answer, by the rules found here."""
    host: Plain = {"name": _GRPC, "domains": ["*"], "routes": [*giving_way.routes(unconditional)]}
    if envoy.cors_origins and _is_for_browsers(envoy):
        host["typed_per_filter_config"] = {_CORS: _cors_policy(envoy)}
    return {"virtual_hosts": [host]}


def _cors_policy(envoy: Envoy) -> Plain:
    return {
        "@type": f"{_HTTP}cors.v3.CorsPolicy",
        "allow_origin_string_match": [_origin(each) for each in envoy.cors_origins],
        "allow_methods": "GET, POST",
        "allow_headers": "authorization, *",
        "expose_headers": "grpc-status, grpc-message, grpc-status-details-bin, *",
        "max_age": "86400",
        "forward_not_matching_preflights": False,
    }


def _origin(origin: str) -> Plain:
    return {"safe_regex": {"regex": ".*"}} if origin == "*" else {"exact": origin}


def _is_for_browsers(envoy: Envoy) -> bool:
    return envoy.grpc_web or envoy.json_transcoding


def _pyvoy(application: str, *, uvloop: bool) -> Plain:
    what = {
        "app": application,
        "interface": "asgi",
        "root_path": "",
        "lifespan": True,
        "loop": "uvloop" if uvloop else "asyncio",
        "worker_threads": 1,  # one event loop decides
    }
    return {
        "@type": f"{_HTTP}dynamic_modules.v3.DynamicModuleFilter",
        "dynamic_module_config": {"module": {"local": {"filename": _pyvoy_module()}}},
        "filter_name": "pyvoy",
        "terminal_filter": True,
        "filter_config": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": json.dumps(what),
        },
    }


def _pyvoy_module() -> str:
    if importlib.util.find_spec("pyvoy") is not None:
        found = importlib.util.find_spec("pyvoy._pyvoy")
        if found is not None and found.origin is not None:
            return found.origin
    raise OSError("pyvoy is not installed (pip install 'inferd[envoy]')")


def _access_log(path: str) -> Plain:
    kind = f"{_TYPE}extensions.access_loggers.file.v3.FileAccessLog"
    return _typed("envoy.access_loggers.file", {"@type": kind, "path": path})


def _overload_manager(envoy: Envoy, directory: Path) -> Plain:
    connections = {
        "@type": f"{_MONITORS}downstream_connections.v3.DownstreamConnectionsConfig",
        "max_active_downstream_connections": envoy.max_connections or _UNLIMITED,
    }
    timers = {
        "@type": f"{_TYPE}config.overload.v3.ScaleTimersOverloadActionConfig",
        "timer_scale_factors": [{"timer": "HTTP_DOWNSTREAM_CONNECTION_MAX", "min_timeout": "0s"}],
    }
    return {
        "refresh_interval": _duration(REFRESH_MS / 1000),
        "resource_monitors": [
            _typed("envoy.resource_monitors.global_downstream_max_connections", connections),
            _typed(DRAIN, _injected(directory / DRAIN)),
        ],
        # To drain, every connection becomes too old at once. Envoy's own draining tells a
        # client with its next answer, and one that waits for none never.
        "actions": [
            {
                "name": "envoy.overload_actions.reduce_timeouts",
                "triggers": [{"name": DRAIN, "threshold": {"value": 1.0}}],
                "typed_config": timers,
            }
        ],
    }


def _injected(file: Path) -> Plain:
    return {
        "@type": f"{_MONITORS}injected_resource.v3.InjectedResourceConfig",
        "filename": str(file),
    }


def _statistics(envoy: Envoy) -> Plain:
    names = (*_NEEDED, *_BRIDGED) if envoy.statistics else _NEEDED
    patterns = [{"exact": name} for name in names]
    return {"stats_matcher": {"inclusion_list": {"patterns": patterns}}}


def _typed(name: str, config: Plain) -> Plain:
    return {"name": name, "typed_config": config}


def _duration(seconds: float) -> str:
    """Return seconds as Envoy writes them; it knows nothing shorter than a millisecond."""
    return f"{max(seconds, 0.001):.3f}".rstrip("0").rstrip(".") + "s"
