"""The parties of a comparison: names and the commands behind them. Pure."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

BASELINES = Path(__file__).resolve().parent.parent / "baselines"


@dataclass(frozen=True, slots=True)
class Side:
    """One party of a comparison: a name and a command with placeholders."""

    name: str
    command: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def words(self, values: Mapping[str, object]) -> list[str]:
        """Return the command line with its placeholders filled in."""
        return [word.format_map(values) for word in shlex.split(self.command)]

    def variables(self, values: Mapping[str, object]) -> dict[str, str]:
        """Return the environment variables to set, with their placeholders filled in."""
        return {name: text.format_map(values) for name, text in self.environment.items()}


RAW = "raw"
#: inferd by its transport: the same server behind another wire.
TRANSPORTS = ("grpcio", "envoy")


#: inferd by how its queues are scheduled (`inference.scheduling`).
SCHEDULINGS = ("goodput", "fail_fast", "fifo")


def _inferd(name: str, **environment: str) -> Side:
    return Side(
        name,
        "{bin}/inferd serve --repository {repository} --port {port} --http-port {http_port}",
        {"INFERD__RUNTIME__INTRA_OP_THREADS": "{threads}", **environment},
    )


KNOWN = {
    "inferd": _inferd("inferd"),
    **{name: _inferd(name, INFERD__SERVER__TRANSPORT=name) for name in TRANSPORTS},
    "plain": Side(
        "plain",
        "{python} {baselines}/plain.py --repository {repository} --port {port} --threads {threads}",
    ),
    RAW: Side(
        RAW,
        "{python} {baselines}/raw.py --repository {repository} --model {model} --threads {threads}",
    ),
}


def scheduled(scheduling: str, transport: str) -> Side:
    """Return inferd behind a transport, with a way of scheduling that names the side."""
    environment = {
        "INFERD__SERVER__TRANSPORT": transport,
        "INFERD__INFERENCE__SCHEDULING": scheduling,
    }
    if scheduling == "fifo":  # as elsewhere: nothing is refused before it has waited
        environment["INFERD__SERVER__ENVOY__SHED_ABOVE_BUSY"] = "1"
    return _inferd(scheduling, **environment)


def side_of(text: str) -> Side:
    """Return a known side by its name, or the one that `NAME=COMMAND` describes."""
    if text in KNOWN:
        return KNOWN[text]
    name, equals, command = text.partition("=")
    if not equals or not name or not command.strip():
        raise ValueError(f"'{text}' is neither one of {', '.join(KNOWN)} nor NAME=COMMAND")
    return Side(name, command)
