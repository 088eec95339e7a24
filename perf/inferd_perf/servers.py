"""Servers as subprocesses: started on a free port, ready when the model says so, always ended."""

import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from os import environ
from pathlib import Path
from typing import IO

import grpc
import psutil
from prometheus_client.parser import text_string_to_metric_families

from inferd.oip import grpc_service_pb2 as pb
from inferd_perf.payload import SERVICE_PATH, defect
from inferd_perf.sides import BASELINES, Side

_HOST = "127.0.0.1"
_POLL_S = 0.05
_CALL_S = 10.0
_STOP_S = 10.0
_MOST_REFUSALS = 200


class ServerFailed(Exception):
    """A server under comparison did not start, or went away."""


class Refused(ServerFailed):
    """A server had no time for a call."""


def free_port() -> int:
    """Return a TCP port on loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def placeholders(repository: Path, model: str, threads: int) -> dict[str, object]:
    """Return what a command may name, with fresh ports."""
    return {
        "python": sys.executable,
        "bin": Path(sys.executable).parent,
        "baselines": BASELINES,
        "repository": repository,
        "model": model,
        "threads": threads,
        "port": free_port(),
        "http_port": free_port(),
    }


class Metrics:
    """What a server counted, in Prometheus's words."""

    def __init__(self, text: str) -> None:
        families = text_string_to_metric_families(text)
        self._samples = [sample for family in families for sample in family.samples]

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the samples with a name and these labels; 0 without any."""
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


class Server:
    """A running server: its address, its readiness and what CPU it has used."""

    def __init__(
        self,
        side: Side,
        process: subprocess.Popen[bytes],
        port: int,
        log: Path,
        *,
        http_port: int = 0,
    ) -> None:
        self.side = side
        self.port = port
        self._http_port = http_port
        self.target = f"{_HOST}:{port}"
        self._process = process
        self._log = log

    def __repr__(self) -> str:
        return f"<Server {self.side.name} pid={self.pid} at {self.target}>"

    @property
    def pid(self) -> int:
        """Return the process that was started."""
        return self._process.pid

    def failed(self, what: str) -> ServerFailed:
        """Return an error that ends with what the server last wrote."""
        tail = self._log.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
        return ServerFailed(f"{self.side.name} {what}\n{tail}".rstrip())

    def wait_until_ready(self, model: str, timeout_s: float) -> None:
        """Return when the server and the model are ready.

        Raises ServerFailed when it exits or is not ready in time.
        """
        until = time.monotonic() + timeout_s
        with grpc.insecure_channel(self.target) as channel:
            while not _is_ready(channel, model):
                if self._process.poll() is not None:
                    raise self.failed(f"exited with {self._process.returncode} before it was ready")
                if time.monotonic() > until:
                    raise self.failed(f"was not ready after {timeout_s:g} s")
                time.sleep(_POLL_S)

    def metadata(self, model: str) -> pb.ModelMetadataResponse:
        """Ask for the model's inputs and outputs."""
        request = pb.ModelMetadataRequest(name=model).SerializeToString()
        return pb.ModelMetadataResponse.FromString(self._call("ModelMetadata", request))

    def statistics(self, model: str) -> pb.ModelStatistics:
        """Ask for what was counted of the model's newest version, until there is an answer.

        A server that has too much to do refuses whoever asks, us among them.
        """
        request = pb.ModelStatisticsRequest(name=model).SerializeToString()
        for _ in range(_MOST_REFUSALS):
            try:
                answer = self._call("ModelStatistics", request)
            except Refused:
                continue
            return pb.ModelStatisticsResponse.FromString(answer).model_stats[-1]
        raise self.failed(f"refused {_MOST_REFUSALS} times to give its statistics")

    def metrics(self) -> Metrics:
        """Ask for the samples of everything that is counted."""
        url = f"http://{_HOST}:{self._http_port}/metrics"
        try:
            with urllib.request.urlopen(url, timeout=_CALL_S) as answer:
                return Metrics(answer.read().decode())
        except OSError as error:
            raise self.failed(f"gave no metrics: {error}") from error

    def config(self, model: str) -> pb.ModelConfigResponse:
        """Ask for the model's configuration, completed."""
        request = pb.ModelConfigRequest(name=model).SerializeToString()
        return pb.ModelConfigResponse.FromString(self._call("ModelConfig", request))

    def infer(self, request: bytes) -> bytes:
        """Make one real call; return the serialised answer."""
        return self._call("ModelInfer", request)

    def verify(self, request: bytes) -> None:
        """Make one real call; raise ServerFailed unless it is answered with outputs."""
        wrong = defect(self.infer(request))
        if wrong is not None:
            raise self.failed(f"gave a wrong answer: {wrong}")

    def load(self, model: str) -> None:
        """Load a model, in explicit control mode."""
        request = pb.RepositoryModelLoadRequest(model_name=model).SerializeToString()
        self._call("RepositoryModelLoad", request)

    def unload(self, model: str) -> None:
        """Unload a model, in explicit control mode."""
        request = pb.RepositoryModelUnloadRequest(model_name=model).SerializeToString()
        self._call("RepositoryModelUnload", request)

    def rss_bytes(self) -> int:
        """Return the memory that the process keeps resident."""
        rss: int = self._observed().memory_info().rss
        return rss

    def open_files(self) -> int:
        """Return how many file descriptors the process has open, connections among them."""
        count: int = self._observed().num_fds()
        return count

    def _observed(self) -> psutil.Process:
        try:
            return psutil.Process(self.pid)
        except psutil.NoSuchProcess as error:
            raise self.failed("went away") from error

    def _call(self, method: str, request: bytes) -> bytes:
        with grpc.insecure_channel(self.target) as channel:
            try:
                answer: bytes = channel.unary_unary(SERVICE_PATH + method)(request, timeout=_CALL_S)
            except grpc.RpcError as error:
                code, details = error.code().name, error.details()
                failed = self.failed(f"answered {method} with {code}: {details}")
                if error.code() is grpc.StatusCode.UNAVAILABLE:
                    raise Refused(str(failed)) from error
                raise failed from error
        return answer

    def cpu_s(self) -> float:
        """Return the CPU seconds used so far, user and system, with live children."""
        try:
            root = psutil.Process(self.pid)
            times = [process.cpu_times() for process in [root, *root.children(recursive=True)]]
        except psutil.NoSuchProcess as error:
            raise self.failed("went away") from error
        return sum(t.user + t.system for t in times)


def _is_ready(channel: grpc.Channel, model: str) -> bool:
    server = pb.ServerReadyRequest().SerializeToString()
    wanted = pb.ModelReadyRequest(name=model).SerializeToString()
    try:
        alive = channel.unary_unary(SERVICE_PATH + "ServerReady")(server, timeout=1.0)
        loaded = channel.unary_unary(SERVICE_PATH + "ModelReady")(wanted, timeout=1.0)
    except grpc.RpcError:
        return False
    return (
        pb.ServerReadyResponse.FromString(alive).ready
        and pb.ModelReadyResponse.FromString(loaded).ready
    )


@contextmanager
def _process(
    words: list[str], variables: Mapping[str, str], log: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    try:
        process = subprocess.Popen(
            words, stdout=log, stderr=subprocess.STDOUT, env={**environ, **variables}
        )
    except OSError as error:
        raise ServerFailed(f"cannot run {shlex.join(words)}: {error}") from error
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def running(side: Side, values: Mapping[str, object]) -> Iterator[Server]:
    """Start the side's command; end the process on the way out, whatever happened."""
    with ExitStack() as stack:
        log = stack.enter_context(tempfile.NamedTemporaryFile(prefix=f"{side.name}-"))
        process = stack.enter_context(
            _process(side.words(values), side.variables(values), log.file)
        )
        port, http_port = int(str(values["port"])), int(str(values["http_port"]))
        yield Server(side, process, port, Path(log.name), http_port=http_port)
