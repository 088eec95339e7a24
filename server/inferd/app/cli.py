"""The command line: `inferd serve`, and the commands besides."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from inferd import __version__
from inferd.app.audit import add_audit
from inferd.app.experiments_report import add_experiments
from inferd.app.settings import ConfigError, load
from inferd.config import Config
from inferd.errors import InferdError

#: Something to fix before it can work: configuration, repository, address.
UNUSABLE = 2
#: What `inferd models` waits for an answer.
ASK_S = 5.0
NO_RUNTIME = (
    "onnxruntime is not installed: pip install 'inferd[cpu]', or 'inferd[gpu]' for NVIDIA GPUs"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, or 2 when something must be fixed first."""
    _open_standard_streams()
    # Before NumPy is there. Products on the event loop are small: several threads take longer for
    # them, and take the cores of models.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.command(arguments)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return complain_of(error)
    return code


def complain_of(error: Exception) -> int:
    """Say what must be fixed, and return the exit code. Raises what is no user's to fix."""
    if isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime":
        _complain(NO_RUNTIME)
        return UNUSABLE
    if not isinstance(error, ConfigError | InferdError | OSError):
        raise error
    for line in _message(error).splitlines():
        _complain(line)
    return UNUSABLE


def _message(error: Exception) -> str:
    """Return what an error says, without the number that `OSError` puts before our words."""
    if isinstance(error, OSError) and error.strerror and error.filename is None:
        return error.strerror
    return str(error)


def _open_standard_streams() -> None:
    """Open those of the three that are closed: or a socket gets their number, and log lines."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
            os.set_inheritable(opened, True)  # by Envoy, too, if this process becomes that
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - for good
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="inferd",
        description="Serves ONNX models over gRPC, to callers with deadlines.",
        epilog="`inferd COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"inferd {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_serve(commands)
    _add_stream(commands)
    _add_check(commands)
    _add_vectors(commands)
    _add_models(commands)
    add_audit(commands, _audit_verify, _audit_replay, _add_config)
    add_experiments(commands, _experiments_report, _experiments_selftest)
    return parser


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser(
        "serve",
        help="serve a model repository",
        description="Serve a model repository. A flag goes over the environment"
        " (INFERD__SECTION__KEY), the environment over the file, the file over the defaults.",
    )
    serve.set_defaults(command=_serve)
    _add_config(serve)
    serve.add_argument("--host", help="the address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=int, help="gRPC (8001); 0: any free port")
    serve.add_argument("--http-port", type=int, help="metrics and health (8002); 0: any free port")
    serve.add_argument(
        "--transport",
        choices=("auto", "envoy", "grpcio"),
        help="what carries the calls: Envoy where it is installed (auto), or gRPC's own server",
    )
    serve.add_argument(
        "--print-envoy-config",
        action="store_true",
        help="print the configuration that Envoy would get, and exit",
    )
    serve.add_argument(
        "--control-mode",
        choices=("none", "poll", "explicit"),
        help="load everything once, follow the repository, or load what RPCs ask for (none)",
    )
    serve.add_argument(
        "--load-model",
        action="append",
        metavar="NAME",
        help="in explicit mode, load this model at start; may be repeated; * is all",
    )


def _add_stream(commands: Any) -> None:
    stream = commands.add_parser(
        "stream",
        help="answer the events of a stream",
        description="Take events from a stream or a file to the models that `stream.routes` names,"
        " and publish the results. It opens no port for calls.",
    )
    stream.set_defaults(command=_stream)
    _add_config(stream)
    stream.add_argument(
        "--stream-http-port", type=int, help="metrics and health (8004); 0: any free port"
    )


def _add_check(commands: Any) -> None:
    check = commands.add_parser(
        "check",
        help="validate the configuration and the repository without serving",
        description="Load and warm up every model once, and report everything that is wrong."
        " Exits 2 if anything is.",
    )
    check.set_defaults(command=_check)
    _add_config(check)


def _add_vectors(commands: Any) -> None:
    vectors = commands.add_parser(
        "vectors",
        help="tell from a log which features a model would have been given",
        description="Replay rows and events, and answer the questions among them as a server would"
        " have: for training, from the definitions that serve. docs/features.md says how.",
    )
    vectors.set_defaults(command=_vectors)
    vectors.add_argument("--config", type=Path, metavar="FILE", help="a YAML configuration")
    vectors.add_argument(
        "--log", type=Path, metavar="FILE", required=True, help="one JSON object per line, in order"
    )
    vectors.add_argument(
        "--features",
        metavar="NAMES",
        required=True,
        help="what to tell: view:feature, or whole views, with commas between",
    )
    vectors.add_argument(
        "--out", type=Path, metavar="FILE", help="a .csv or .jsonl file (JSON on standard output)"
    )
    vectors.add_argument(
        "--slack-s",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how much older than a line before it a row or an event may be (60)",
    )


def _add_models(commands: Any) -> None:
    models = commands.add_parser(
        "models",
        help="list what a running server serves",
        description="Ask a running server for its repository index.",
    )
    models.set_defaults(command=_models)
    models.add_argument("--host", default="127.0.0.1", help="where it listens (127.0.0.1)")
    models.add_argument("--port", type=int, default=8001, help="its gRPC port (8001)")


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="a YAML configuration")
    parser.add_argument(
        "--repository",
        type=Path,
        action="append",
        metavar="DIR",
        help="a model repository (model_repository); may be repeated",
    )


def _config(arguments: argparse.Namespace) -> Config:
    flags = vars(arguments)
    places = {
        "host": ("server", "host"),
        "port": ("server", "port"),
        "http_port": ("server", "http_port"),
        "transport": ("server", "transport"),
        "repository": ("repository", "paths"),
        "stream_http_port": ("stream", "http_port"),
        "control_mode": ("repository", "control_mode"),
        "load_model": ("repository", "load_models"),
    }
    overrides: dict[str, Any] = {}
    for flag, (section, key) in places.items():
        if flags.get(flag) is not None:
            overrides.setdefault(section, {})[key] = flags[flag]
    return load(arguments.config, os.environ, overrides)


def _serve(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    from inferd.app import launch

    if arguments.print_envoy_config:
        say(launch.envoy_config(config))
        return 0
    choice = launch.choose(config.server.transport)
    if choice.envoy:
        launch.become_envoy(config)
    from inferd.app.serve import run  # onnxruntime takes a while: not for `--help`

    return run(config, say, choice.why)


def _stream(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    from inferd.app.stream import run

    return run(config, say)


def _check(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    from inferd.app import launch
    from inferd.app.check import check

    if launch.choose(config.server.transport).envoy:
        launch.envoy_config(config)  # says so when it cannot be made
    wrong = 0
    for what, problem in check(config):
        if problem:
            wrong += 1
            _complain(f"{what}: {problem}")
        else:
            say(f"{what}: ready to serve")
    return UNUSABLE if wrong else 0


def _vectors(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    from inferd.app.vectors import run

    names = [name.strip() for name in arguments.features.split(",")]
    log, out = arguments.log, arguments.out
    return run(config, say, _complain, log, names, out=out, slack_s=arguments.slack_s)


def _models(arguments: argparse.Namespace) -> int:
    import inferd_client
    from inferd.app.announce import table

    address = f"{arguments.host}:{arguments.port}"
    try:
        with inferd_client.Client(address) as client:
            index = client.repository_index(timeout_s=ASK_S)
    except inferd_client.InferdError as error:
        why = "nobody answers; is `inferd serve` running there?" if error.never_sent else error
        _complain(f"{address}: {why}")
        return UNUSABLE
    say(table(index))
    return 0


def _audit_verify(arguments: argparse.Namespace) -> int:
    from inferd.app.audit import run

    server, head = arguments.server, arguments.head
    if arguments.path:
        return run(say, arguments.path, server=server, head=head)
    audit = _config(arguments).fraud.audit
    # That its whole trail is gone, nobody else would notice.
    writer = audit.server if arguments.config else None
    return run(say, audit.path, server=server, head=head, writer=writer)


def _audit_replay(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    from inferd.app.audit_replay import run

    return run(config, say, arguments.path, arguments.ids)


def _experiments_report(arguments: argparse.Namespace) -> int:
    from inferd.app.experiments_report import run
    from inferd.experiments.analysis import Wanted

    return run(
        say,
        _complain,
        _config(arguments).experiments,
        Wanted(arguments.alpha, arguments.ratio),
        experiment=arguments.experiment,
        as_json=arguments.json,
    )


def _experiments_selftest(arguments: argparse.Namespace) -> int:
    from inferd.app.experiments_report import run_selftest

    return run_selftest(say, arguments.runs, arguments.seed)


def say(text: str) -> None:
    """Print for the person at the terminal, who may have left."""
    _write(text, sys.stdout)


def _complain(line: str) -> None:
    _write(f"inferd: {line}", sys.stderr)


def _write(text: str, stream: TextIO) -> None:
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        # Nobody reads any more, and the interpreter would stumble over the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
