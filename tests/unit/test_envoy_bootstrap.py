"""What our keys are in Envoy's words. Whether Envoy means the same is for the contract tests."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from inferd.app.launch import envoy_config
from inferd.app.settings import load
from inferd.config import Config, Envoy, Server
from inferd.oip import grpc_service_pb2 as oip
from inferd.transport.envoy import launch
from inferd.transport.envoy.bootstrap import bootstrap, described, printed

SERVICE = oip.DESCRIPTOR.services_by_name["GRPCInferenceService"]
ADMIN = Path("/run/inferd-x/admin.sock")

WHY_NOT = launch.missing()
pytestmark = pytest.mark.skipif(bool(WHY_NOT) and "CI" not in os.environ, reason=WHY_NOT)


def a_bootstrap(*, host: str = "127.0.0.1", **settings: Any) -> dict[str, Any]:
    ours = {name: settings.pop(name) for name in [*settings] if name in Envoy.model_fields}
    config = Server(host=host, envoy=Envoy(**ours), **settings)
    return bootstrap(config, application="shop:application", admin=ADMIN)


def the_listener(**settings: Any) -> dict[str, Any]:
    (listener,) = a_bootstrap(**settings)["static_resources"]["listeners"]
    found: dict[str, Any] = listener
    return found


def the_manager(**settings: Any) -> dict[str, Any]:
    (network,) = the_listener(**settings)["filter_chains"][0]["filters"]
    found: dict[str, Any] = network["typed_config"]
    return found


def the_filters(**settings: Any) -> list[str]:
    names = (each["name"] for each in the_manager(**settings)["http_filters"])
    return [name.removeprefix("envoy.filters.http.") for name in names]


def the_http2(**settings: Any) -> dict[str, Any]:
    found: dict[str, Any] = the_manager(**settings)["http2_protocol_options"]
    return found


def test_environment_variables_reach_the_nested_section() -> None:
    environment = {
        "INFERD__SERVER__ENVOY__CONCURRENCY": "2",
        "INFERD__SERVER__ENVOY__CORS_ORIGINS": "[https://shop.example]",
    }

    envoy = load(None, environment, {"server": {"port": 1}}).server.envoy

    assert (envoy.concurrency, envoy.cors_origins) == (2, ("https://shop.example",))


def test_a_port_is_shared_only_on_request() -> None:
    assert the_listener()["enable_reuse_port"] is False
    assert the_listener(reuse_port=True)["enable_reuse_port"] is True


def test_threads_that_share_a_socket_share_its_connections() -> None:
    assert "connection_balance_config" not in the_listener()
    assert "connection_balance_config" not in the_listener(concurrency=2, reuse_port=True)
    assert the_listener(concurrency=2)["connection_balance_config"] == {"exact_balance": {}}


def test_every_interface_is_every_interface_of_both_kinds() -> None:
    assert the_listener(host="::")["address"]["socket_address"] == {
        "address": "::",
        "port_value": 8001,
        "ipv4_compat": True,
    }


def test_a_name_is_its_addresses() -> None:
    listener = the_listener(host="localhost", port=8001)

    addresses = [
        listener["address"],
        *(each["address"] for each in listener.get("additional_addresses", ())),
    ]
    found = {each["socket_address"]["address"] for each in addresses}
    assert "127.0.0.1" in found
    assert found <= {"127.0.0.1", "::1"}


def test_a_name_without_address_is_refused_as_every_transport_does() -> None:
    with pytest.raises(OSError, match=r"cannot listen on nobody\.invalid:8001: "):
        a_bootstrap(host="nobody.invalid")


def test_keys_of_every_transport_are_honoured() -> None:
    http2 = the_http2(max_concurrent_streams=7, keepalive_time_s=30, keepalive_timeout_s=0.5)

    assert http2["max_concurrent_streams"] == 7
    assert http2["connection_keepalive"] == {"interval": "30s", "timeout": "0.5s"}


def test_connections_grow_old_only_on_request() -> None:
    def oldest_s(**settings: Any) -> float:
        common = the_manager(**settings)["common_http_protocol_options"]
        return float(common["max_connection_duration"].removesuffix("s"))

    assert oldest_s(max_connection_age_s=60) == 60
    assert oldest_s() > 5 * 365 * 24 * 3600


def test_nothing_ends_because_it_is_silent() -> None:
    manager = the_manager()

    assert manager["stream_idle_timeout"] == "0s"
    assert manager["common_http_protocol_options"]["idle_timeout"] == "0s"


@pytest.mark.parametrize(
    ("limit_bytes", "kib", "count"),
    [(100, 64, 100), (16 * 1024, 64, 1024), (64_000, 125, 4000), (2**33, 8192, 2**29)],
)
def test_there_is_room_for_python_to_refuse_large_metadata(
    limit_bytes: int, kib: int, count: int
) -> None:
    manager = the_manager(max_metadata_bytes=limit_bytes)

    assert manager["max_request_headers_kb"] == kib
    assert manager["common_http_protocol_options"]["max_headers_count"] == count


def test_only_what_is_asked_for_stands_before_python() -> None:
    assert the_filters() == ["fault", "rbac", "pyvoy"]
    assert the_manager()["codec_type"] == "HTTP2"
    assert the_filters(cors_origins=("https://shop.example",)) == [
        "fault",
        "rbac",
        "pyvoy",
    ]  # no browser can come
    assert "access_log" not in the_manager()


def test_the_whole_server_lets_everybody_ask_how_it_is() -> None:
    listener = yaml.safe_load(envoy_config(Config()))["static_resources"]["listeners"][0]
    (network,) = listener["filter_chains"][0]["filters"]
    (host,) = network["typed_config"]["route_config"]["virtual_hosts"]

    exempt = {route["match"]["prefix"] for route in host["routes"] if only_a_prefix(route)}
    assert exempt == {
        "/grpc.health.v1.Health/",
        "/grpc.reflection.v1.ServerReflection/",
        "/grpc.reflection.v1alpha.ServerReflection/",
        "/inference.GRPCInferenceService/ModelReady",
        "/inference.GRPCInferenceService/ServerLive",
        "/inference.GRPCInferenceService/ServerMetadata",
        "/inference.GRPCInferenceService/ServerReady",
    }


def only_a_prefix(route: dict[str, Any]) -> bool:
    """Whether a route is for all calls to some paths, and refuses none of them."""
    return "headers" not in route["match"] and "typed_per_filter_config" not in route


def test_browsers_are_let_in_on_request() -> None:
    settings = {"grpc_web": True, "cors_origins": ("https://shop.example", "*")}

    assert the_filters(**settings) == ["fault", "rbac", "cors", "grpc_web", "pyvoy"]
    assert the_manager(**settings)["codec_type"] == "AUTO"
    (host,) = the_manager(**settings)["route_config"]["virtual_hosts"]
    policy = host["typed_per_filter_config"]["envoy.filters.http.cors"]
    assert policy["allow_origin_string_match"] == [
        {"exact": "https://shop.example"},
        {"safe_regex": {"regex": ".*"}},
    ]


def test_json_needs_to_be_told_of_the_messages() -> None:
    with pytest.raises(ValueError, match="descriptors"):
        a_bootstrap(json_transcoding=True)


def test_a_description_has_what_is_imported_before_what_imports_it() -> None:
    files = FileDescriptorSet.FromString(described([SERVICE, SERVICE])).file

    seen: set[str] = set()
    for file in files:
        assert seen.issuperset(file.dependency)
        assert file.name not in seen
        seen.add(file.name)
    assert SERVICE.file.name in seen


@pytest.mark.parametrize(
    ("per_s", "burst", "bucket"),
    [
        (1000, 0, {"max_tokens": 50, "tokens_per_fill": 1000, "fill_interval": "1s"}),
        (1000, 300, {"max_tokens": 300, "tokens_per_fill": 1000, "fill_interval": "1s"}),
        (1, 0, {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "1s"}),
    ],
)
def test_the_rate_limit_leaves_room_for_bursts(
    per_s: int, burst: int, bucket: dict[str, Any]
) -> None:
    filters = the_manager(rate_limit_per_s=per_s, rate_limit_burst=burst)["http_filters"]

    assert filters[2]["typed_config"]["token_bucket"] == bucket


def test_statistics_that_nobody_sees_are_not_kept() -> None:
    def names(**settings: Any) -> set[str]:
        matcher = a_bootstrap(**settings)["stats_config"]["stats_matcher"]
        return {each["exact"] for each in matcher["inclusion_list"]["patterns"]}

    assert "http.grpc.downstream_rq_total" in names()
    assert "http.grpc.downstream_rq_total" not in names(statistics=False)
    assert "listener_manager.workers_started" in names(statistics=False)


def test_no_limit_of_connections_is_said_in_so_many_words() -> None:
    def most(**settings: Any) -> int:
        monitors = a_bootstrap(**settings)["overload_manager"]["resource_monitors"]
        limit: int = monitors[0]["typed_config"]["max_active_downstream_connections"]
        return limit

    assert most(max_connections=5) == 5
    assert most(max_connections=0) == 2**31 - 1


def test_the_loop_is_the_one_that_was_configured() -> None:
    def loop(**settings: Any) -> str:
        pyvoy = the_manager(**settings)["http_filters"][-1]["typed_config"]
        what: dict[str, str] = json.loads(pyvoy["filter_config"]["value"])
        return what["loop"]

    assert loop() == "uvloop"
    assert loop(uvloop=False) == "asyncio"


def test_what_is_printed_is_what_envoy_gets() -> None:
    data = a_bootstrap()

    assert yaml.safe_load(printed(data)) == data == json.loads(json.dumps(data))
    assert list(yaml.safe_load(printed(data)))[:2] == ["admin", "static_resources"]
