"""A route knows everything about its method that a transport or the pipeline must know."""

from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass

from inferd.oip import grpc_service_pb2 as oip
from inferd.services.routes import Route, bind, snake_case
from support.echo import SERVICE, Echo, Note, a_note

OIP = oip.DESCRIPTOR.services_by_name["GRPCInferenceService"]


def the_route(name: str) -> Route:
    return next(route for route in bind(SERVICE, Echo()) if route.path.endswith(f"/{name}"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ModelInfer", "model_infer"),
        ("CudaSharedMemoryStatus", "cuda_shared_memory_status"),
        ("GetABTest", "get_ab_test"),
        ("Check", "check"),
    ],
)
def test_a_method_is_called_by_its_name_in_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected


@pytest.mark.parametrize(
    ("name", "client", "server"),
    [
        ("SayOnce", False, False),
        ("Collect", True, False),
        ("Expand", False, True),
        ("Converse", True, True),
    ],
)
def test_a_route_says_who_streams(name: str, client: bool, server: bool) -> None:
    route = the_route(name)

    assert route.path == f"/inferd.test.Echo/{name}"
    assert (route.client_streaming, route.server_streaming) == (client, server)


def test_messages_go_to_bytes_and_back() -> None:
    route = the_route("SayOnce")

    assert route.decode(a_note("hello")) == Note(text="hello")
    assert route.encode(Note(text="hello")) == a_note("hello")


def test_an_answer_that_is_bytes_already_is_not_touched() -> None:
    encoded = a_note("by hand")

    assert the_route("SayOnce").encode(encoded) is encoded


def test_the_private_pool_has_the_generated_classes() -> None:
    infer = OIP.methods_by_name["ModelInfer"]

    assert GetMessageClass(infer.input_type) is oip.ModelInferRequest
    assert GetMessageClass(infer.output_type) is oip.ModelInferResponse


def test_a_missing_method_is_found_when_the_server_starts() -> None:
    class Mute:
        pass

    with pytest.raises(TypeError, match=r"Mute has no method say_once .* inferd\.test\.Echo"):
        bind(SERVICE, Mute())


def test_a_method_of_the_wrong_kind_is_found_when_the_server_starts() -> None:
    class NoStream(Echo):
        async def expand(self, request: Any, call: Any) -> Any:  # type: ignore[override]
            return request

    class NotAwaited(Echo):
        def say_once(self, request: Any, call: Any) -> Any:
            return request

    with pytest.raises(TypeError, match=r"NoStream\.expand must be an async generator"):
        bind(SERVICE, NoStream())
    with pytest.raises(TypeError, match=r"NotAwaited\.say_once must be `async def`"):
        bind(SERVICE, NotAwaited())


def test_some_methods_or_all_answer_while_draining() -> None:
    def unconditional(names: tuple[str, ...] | None) -> set[str]:
        routes = bind(SERVICE, Echo(), unconditional=names)
        return {route.path.rpartition("/")[2] for route in routes if route.unconditional}

    assert unconditional(()) == set()
    assert unconditional(("Expand",)) == {"Expand"}
    assert unconditional(None) == {"SayOnce", "Collect", "Expand", "Converse"}
    with pytest.raises(TypeError, match=r"inferd\.test\.Echo has no method Expnad"):
        unconditional(("Expnad",))
