"""gRPC's public interoperability tests, asked by gRPC's own client (grpc-go's).

Of the public cases those are missing that need credentials or a load report, which there are
not, and `client_compressed_*` and `server_compressed_*`: a service of ours neither learns how
a message came nor chooses how it goes. That a compressed one is read is tested here.
"""

import subprocess
import sys
from collections.abc import Iterator

import grpc
import pytest

from support.control import Control
from support.interop_programs import BUILD_S, grpcs_own_client, require_transport
from support.interop_service import SERVICE, SimpleRequest, SimpleResponse
from support.server import ROOT

pytestmark = pytest.mark.timeout(BUILD_S + 100)

AMPLE_S = 60.0
CASES = (
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "custom_metadata",
    "status_code_and_message",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
    "cancel_after_begin",
    "cancel_after_first_response",
    "timeout_on_sleeping_server",
)


@pytest.fixture(scope="module", params=["grpcio", "envoy"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Serve until the last case, and see that every caller who left was noticed."""
    require_transport(request.param)
    process = subprocess.Popen(
        [sys.executable, "-m", "support.interop_server", request.param],
        cwd=ROOT / "tests",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    control = Control(process.stdin, process.stdout)
    try:
        yield control.answer()
        control.ask("idle")
        control.close()
        assert process.wait(AMPLE_S) == 0
    finally:
        process.kill()
        process.wait()
        control.close()


@pytest.mark.parametrize("case", CASES)
def test_a_case(case: str, port: int) -> None:
    where = ("--server_host=127.0.0.1", f"--server_port={port}")
    done = subprocess.run(
        [str(grpcs_own_client()), *where, f"--test_case={case}"],
        capture_output=True,
        text=True,
        timeout=AMPLE_S,
        check=False,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_a_compressed_request_is_read(compression: grpc.Compression, port: int) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}", compression=compression) as channel:
        call = channel.unary_unary(
            f"/{SERVICE.full_name}/UnaryCall",
            SimpleRequest.SerializeToString,
            SimpleResponse.FromString,
        )
        request = SimpleRequest(response_size=314159, payload={"body": bytes(271828)})
        answer = call(request, timeout=AMPLE_S)

    assert answer.payload.body == bytes(314159)
