"""Envoy's filters for those who cannot speak gRPC: JSON for curl, gRPC-Web for browsers."""

import json
import struct
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from inferd.oip import grpc_service_pb2 as pb
from inferd.transport.envoy.launch import missing
from support.server import Server, serving

SERVICE = "inference.GRPCInferenceService"
ORIGIN = "https://shop.example"
AMPLE_S = 30.0

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "Envoy can run")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environment = {
        "INFERD__SERVER__TRANSPORT": "envoy",
        "INFERD__SERVER__ENVOY__JSON_TRANSCODING": "true",
        "INFERD__SERVER__ENVOY__GRPC_WEB": "true",
        "INFERD__SERVER__ENVOY__CORS_ORIGINS": json.dumps([ORIGIN]),
    }
    with serving(tmp_path_factory.mktemp("server"), environment=environment) as running:
        yield running


def post(server: Server, method: str, body: bytes, **headers: str) -> tuple[int, Any, bytes]:
    url = f"http://{server.address}/{SERVICE}/{method}"
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, names, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=AMPLE_S) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def ask(server: Server, method: str, question: Any) -> tuple[int, Any]:
    body = json.dumps(question).encode()
    status, _, answer = post(server, method, body, content_type="application/json")
    return status, json.loads(answer)


def an_infer(*numbers: int) -> dict[str, Any]:
    tensor = {"datatype": "INT32", "shape": [1, 16], "contents": {"int_contents": numbers}}
    inputs = [{"name": name, **tensor} for name in ("INPUT0", "INPUT1")]
    return {"model_name": "simple", "inputs": inputs}


def test_a_model_answers_json(server: Server) -> None:
    status, answer = ask(server, "ModelInfer", an_infer(*range(16)))

    assert status == 200
    sums = next(each for each in answer["outputs"] if each["name"] == "OUTPUT0")
    assert sums["contents"]["int_contents"] == [2 * each for each in range(16)]


def test_an_error_in_json_names_the_field(server: Server) -> None:
    status, answer = ask(server, "ModelInfer", an_infer(1, 2, 3))

    assert status == 400
    assert answer["code"] == 3
    violations = [each for each in answer["details"] if "field_violations" in each]
    assert "inputs[0]" in violations[0]["field_violations"][0]["field"]


def test_an_unknown_model_is_not_found(server: Server) -> None:
    status, answer = ask(server, "ModelMetadata", {"name": "nope"})

    assert (status, answer["message"]) == (404, "Request for unknown model: 'nope' is not found")


def test_an_unknown_path_is_not_json(server: Server) -> None:
    status, _, answer = post(server, "Nope", b"{}", content_type="application/json")

    assert status == 415
    assert b"application/grpc" in answer


def test_a_page_calls_by_grpc_web(server: Server) -> None:
    question = pb.ModelReadyRequest(name="simple").SerializeToString()
    frame = struct.pack(">BI", 0, len(question)) + question

    status, headers, body = post(
        server, "ModelReady", frame, content_type="application/grpc-web+proto", origin=ORIGIN
    )

    assert (status, headers["access-control-allow-origin"]) == (200, ORIGIN)
    flag, length = struct.unpack_from(">BI", body)
    assert flag == 0
    assert pb.ModelReadyResponse.FromString(body[5 : 5 + length]).ready
    assert b"grpc-status:0" in body[5 + length :]  # the trailers are a message in gRPC-Web


def test_other_pages_are_not_told_to_go_on(server: Server) -> None:
    _, headers, _ = post(
        server, "ServerReady", bytes(5), content_type="application/grpc-web", origin="https://e.vil"
    )

    assert headers["access-control-allow-origin"] is None


def test_grpc_itself_goes_on(server: Server) -> None:
    import inferd_client

    with inferd_client.Client(server.address) as client:
        assert client.model_ready("simple", timeout_s=AMPLE_S)
