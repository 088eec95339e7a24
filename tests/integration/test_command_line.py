"""The commands as a person at a terminal has them: what they print, and their exit codes."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
import yaml

from inferd import __version__
from inferd.app import main
from support.server import (
    INFERD,
    REPOSITORY,
    ROOT,
    NotStarted,
    Server,
    clean_environment,
    server_environment,
    serving,
    without,
)
from support.transports import Transport

AMPLE_S = 60.0
UNUSABLE = 2


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def inferd(*arguments: str) -> Said:
    """Run a command in this process, which is quicker and no different but for `serve`."""
    with (
        redirect_stdout(StringIO()) as out,
        redirect_stderr(StringIO()) as err,
        patch.dict(os.environ, clean_environment(), clear=True),
    ):
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Said(code, out.getvalue(), err.getvalue())


def process(
    *arguments: str, transport: Transport = "grpcio", environment: Mapping[str, str] | None = None
) -> Said:
    done = subprocess.run(
        [*INFERD, *arguments],
        capture_output=True,
        text=True,
        timeout=AMPLE_S,
        env=server_environment(transport) | dict(environment or {}),
        cwd=ROOT,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Said(done.returncode, done.stdout, done.stderr)


def a_repository(directory: Path, *names: str) -> Path:
    """Copy some of the probes."""
    for name in names:
        shutil.copytree(REPOSITORY / name, directory / name)
    return directory


def broken(directory: Path) -> Path:
    """Make a repository of one good model and three that are not."""
    a_repository(directory, "simple", "nan_maker", "classifier", "no_batch")
    (directory / "classifier" / "1" / "model.onnx").write_bytes(b"no model")
    (directory / "no_batch" / "config.pbtxt").write_text('max_batch_sise: 3\nname: "no_batch"')
    return directory


@pytest.fixture
def taken() -> Iterator[int]:
    """Yield a port on which somebody else listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


# -- help -------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [[], ["serve"], ["check"], ["models"]])
def test_every_command_explains_itself(command: list[str]) -> None:
    said = inferd(*command, "--help")

    assert said.code == 0
    assert said.out.startswith(" ".join(["usage: inferd", *command]))
    assert len(said.out.splitlines()) > 5
    assert said.err == ""


def test_the_version() -> None:
    assert process("--version") == Said(0, f"inferd {__version__}\n", "")


@pytest.mark.parametrize("command", [[], ["nosuch"], ["serve", "--nosuch"], ["serve", "--port"]])
def test_what_is_not_a_command_is_a_mistake(command: list[str]) -> None:
    said = inferd(*command)

    assert said.code == UNUSABLE
    assert "usage: inferd" in said.err


# -- check ------------------------------------------------------------------------------


def test_a_good_repository_checks_out(tmp_path: Path) -> None:
    said = inferd("check", "--repository", str(a_repository(tmp_path, "simple", "no_batch")))

    assert said == Said(0, "no_batch/1: ready to serve\nsimple/1: ready to serve\n", "")


def test_every_broken_model_is_told_at_once(tmp_path: Path) -> None:
    said = inferd("check", "--repository", str(broken(tmp_path)))

    problems = said.err.splitlines()
    assert said.code == UNUSABLE
    assert said.out == "simple/1: ready to serve\n"
    assert len(problems) == 3
    assert problems[0].startswith("inferd: classifier/1: model.onnx")
    assert "not finite" in problems[1]
    assert problems[2].startswith("inferd: no_batch: ")
    assert "max_batch_sise" in problems[2]


def test_every_mistake_in_the_configuration_is_told_at_once(tmp_path: Path) -> None:
    config = tmp_path / "inferd.yaml"
    config.write_text("server: {port: 99999, prot: 1}\ninference: {guard_ms: soon}\n")

    said = inferd("check", "--config", str(config))

    problems = said.err.splitlines()
    assert said.code == UNUSABLE
    assert [problem.split(":")[1].strip() for problem in problems] == [
        "server.port",
        "server.prot",
        "inference.guard_ms",
    ]
    assert "got 99999" in problems[0]
    assert "no such key; there are" in problems[1]
    assert "got 'soon'" in problems[2]


def test_what_is_configured_for_methods_that_there_are_not_is_told_before_they_are_missed(
    tmp_path: Path,
) -> None:
    config = tmp_path / "inferd.yaml"
    config.write_text("resilience: {rate_limits: [{per_s: 1, methods: [/no.Such/Method]}]}\n")

    said = inferd("check", "--config", str(config))

    text = "resilience.rate_limits.0.methods.0: there is nothing of that name"
    assert said == Said(UNUSABLE, "", f"inferd: {text}\n")


@pytest.mark.parametrize(
    ("what", "why"), [("nothing", "No such file or directory"), ("a file", "Not a directory")]
)
def test_a_repository_that_cannot_be_read(tmp_path: Path, what: str, why: str) -> None:
    path = tmp_path / "models"
    if what == "a file":
        path.touch()

    said = inferd("check", "--repository", str(path))

    assert said == Said(UNUSABLE, "", f"inferd: cannot read model repository {path}: {why}\n")


def test_without_onnxruntime_it_says_what_to_install(tmp_path: Path) -> None:
    said = process(
        "check", "--repository", str(REPOSITORY), environment=without(tmp_path, "onnxruntime")
    )

    assert said.code == UNUSABLE
    assert said.err.startswith("inferd: onnxruntime is not installed: pip install 'inferd[cpu]'")
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("route", "problem"),
    [
        ({"inputs": {"INPUT0": ["data.a"]}}, ""),
        ({"inputs": {"INPUT": ["data.a"]}}, "model 'identity_fp32' has no input 'INPUT'"),
        ({"prediction": "scor"}, "unexpected inference output 'scor' for model 'identity_fp32'"),
        ({"version": "stable"}, ""),
        ({"version": "stable", "confidence": "sure"}, "unexpected inference output 'sure'"),
        ({"version": "2"}, "there is no identity_fp32/2 that can be served"),
        ({"model": "identity"}, "there is no identity that can be served"),
    ],
)
def test_a_route_that_does_not_fit_its_model_is_told_as_a_stream_would(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, route: dict[str, Any], problem: str
) -> None:
    models = a_repository(tmp_path / "models", "identity_fp32")
    sound = {"model": "identity_fp32", "inputs": {"INPUT0": ["data.a"]}}
    labels = {"identity_fp32": {"stable": 1}}
    config = {
        "repository": {"paths": [str(models)], "version_labels": labels},
        "stream": {
            "routes": {"buy": {**sound, **route}},
            **{end: {"kind": "jsonl", "path": end} for end in ("source", "sink", "letters")},
        },
    }
    path = tmp_path / "inferd.yaml"
    path.write_text(yaml.safe_dump(config))

    said = inferd("check", "--config", str(path))

    if "that can be served" in problem:  # it may come
        assert (said.code, caplog.messages) == (0, [f"stream.routes.buy.model: {problem}"])
    elif problem:
        assert said.code == UNUSABLE
        assert said.err.startswith(f"inferd: stream.routes.buy: {problem}")
    else:
        assert said.code == 0
        assert said.out.endswith("stream.routes.buy: ready to serve\n")


# -- models -----------------------------------------------------------------------------


def test_the_models_of_a_running_server(server: Server) -> None:
    said = inferd("models", "--host", server.host, "--port", str(server.port))

    rows = {line.split()[0]: line.split() for line in said.out.splitlines()}
    assert (said.code, said.err) == (0, "")
    assert rows["simple"] == ["simple", "1", "READY"]
    assert rows["nan_maker"][:3] == ["nan_maker", "1", "UNAVAILABLE"]
    assert "finite" in rows["nan_maker"]


def test_the_models_of_no_server() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        said = inferd("models", "--port", str(port))

    assert said == Said(
        UNUSABLE,
        "",
        f"inferd: 127.0.0.1:{port}: nobody answers; is `inferd serve` running there?\n",
    )


def test_the_models_may_go_into_a_pipe_that_nobody_reads_to_its_end(server: Server) -> None:
    command = f"{sys.executable} -m inferd models --port {server.port} | true; echo ${{PIPESTATUS}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=AMPLE_S, check=True
    )

    assert (done.stdout, done.stderr) == ("0\n", "")


# -- serve ------------------------------------------------------------------------------


def no_ports() -> list[str]:
    return ["--port", "0", "--http-port", "0"]


def test_it_does_not_serve_a_repository_that_cannot_be_read(
    tmp_path: Path, transport: Transport
) -> None:
    path = tmp_path / "models"

    said = process("serve", "--repository", str(path), *no_ports(), transport=transport)

    last = said.err.splitlines()[-1]
    assert said.code == UNUSABLE
    assert last == f"inferd: cannot read model repository {path}: No such file or directory"


def test_it_does_not_serve_without_onnxruntime(tmp_path: Path, transport: Transport) -> None:
    said = process(
        *("serve", "--repository", str(REPOSITORY), *no_ports()),
        transport=transport,
        environment=without(tmp_path, "onnxruntime"),
    )

    assert said.code == UNUSABLE
    assert said.err.startswith("inferd: onnxruntime is not installed: pip install 'inferd[cpu]'")
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("flag", "start"),
    [("--port", "cannot listen on"), ("--http-port", "cannot serve metrics and health on")],
)
def test_a_port_that_is_taken(
    tmp_path: Path, transport: Transport, taken: int, flag: str, start: str
) -> None:
    a_repository(tmp_path, "simple")
    ports = {"--port": "0", "--http-port": "0", flag: str(taken)}

    said = process(
        *("serve", "--repository", str(tmp_path)),
        *(x for pair in ports.items() for x in pair),
        transport=transport,
    )

    assert said.code == UNUSABLE
    last = said.err.splitlines()[-1].lower()
    assert last == f"inferd: {start} 127.0.0.1:{taken}: address already in use"


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_ours(tmp_path: Path, transport: Transport, host: str) -> None:
    a_repository(tmp_path, "simple")

    said = process(
        *("serve", "--repository", str(tmp_path), "--host", host),
        *("--port", "8001", "--http-port", "0"),
        transport=transport,
    )

    assert said.code == UNUSABLE
    assert host in said.err.splitlines()[-1]


def test_it_announces_what_it_serves_and_where(server: Server) -> None:
    lines = server.announcement.splitlines()

    assert lines[0].startswith(f"inferd {__version__} serves 27 models from ")
    assert any(line.split() == ["simple", "1", "READY"] for line in lines)
    assert f"  metrics  {server.http}/metrics" in lines
    assert f"  grpcurl -plaintext {server.address} list" in lines


def test_flags_go_over_the_environment_over_the_file_over_the_defaults(
    tmp_path: Path, transport: Transport
) -> None:
    a_repository(tmp_path / "models", "simple", "no_batch", "slow")
    config = tmp_path / "inferd.yaml"
    config.write_text(
        "server: {name: file, drain_s: 7}\n"
        "repository: {paths: [nowhere], control_mode: explicit, load_models: [slow]}\n"
        "telemetry: {log: {format: json, level: debug}}\n"
    )
    environment = {
        "INFERD__REPOSITORY__LOAD_MODELS": "[no_batch]",
        "INFERD__SERVER__NAME": "environment",
        "INFERD__TELEMETRY__LOG__FORMAT": "console",
    }
    with serving(
        tmp_path,
        *("--config", str(config)),
        *("--load-model", "simple"),
        repository=tmp_path / "models",
        transport=transport,
        environment=environment,
    ) as server:
        lines = server.announcement.splitlines()

    assert any(line.split() == ["simple", "1", "READY"] for line in lines)
    assert lines[0].startswith(f"inferd {__version__} serves 1 model from {tmp_path}")
    assert "at most 7 s for those in flight" in server.logged(), "from the file"
    assert not server.logged().startswith("{"), "from the environment"


def test_strict_mode_does_not_start_with_less_than_everything(
    tmp_path: Path, transport: Transport
) -> None:
    repository = broken(tmp_path / "models")

    with (
        pytest.raises(NotStarted) as ended,
        serving(
            tmp_path,
            repository=repository,
            transport=transport,
            environment={"INFERD__REPOSITORY__STRICT": "true"},
        ),
    ):
        pass

    text = str(ended.value)
    assert text.startswith(f"exit code {UNUSABLE}\n")
    for model in ("classifier/1", "nan_maker/1", "no_batch"):
        assert f"\ninferd: {model}: " in text
    assert "Traceback" not in text


def test_otherwise_it_serves_what_there_is(tmp_path: Path, transport: Transport) -> None:
    with serving(tmp_path, repository=broken(tmp_path / "models"), transport=transport) as server:
        states = {
            line.split()[0]: line.split()[-1] for line in server.announcement.splitlines() if line
        }

    assert server.announcement.startswith(f"inferd {__version__} serves 1 model from ")
    assert states["simple"] == "READY"


def test_an_empty_repository_is_served(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()

    with serving(tmp_path, repository=tmp_path / "models") as server:
        assert "serves 0 models" in server.announcement
        assert "(no models)" in server.announcement


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_it_is_the_process_that_was_started_and_no_other(server: Server) -> None:
    children = [child.read_text() for child in Path(f"/proc/{server.pid}/task").glob("*/children")]

    assert server.get("/v2/health/live") is not None
    assert "".join(children) == ""
