"""What a person reads when the server is up: what it serves, where, and a line to try."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from inferd import __version__
from inferd.config import Config
from inferd.config.fraud_service import Fraud
from inferd.inference.registry import IndexEntry
from inferd.inference.version import State

ANYWHERE = ("0.0.0.0", "::", "")


class Row(Protocol):
    """One version, from our own index or from a server's answer."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def version(self) -> str:
        """The version's number; empty if there is none."""

    @property
    def state(self) -> str:
        """Where it stands."""

    @property
    def reason(self) -> str:
        """Why it stands there."""


def announcement(
    config: Config,
    index: Sequence[IndexEntry],
    *,
    port: int,
    http_port: int,
    admin_port: int | None = None,
    views: Iterable[str] = (),
) -> str:
    """Return the lines that `inferd serve` prints; `views`: the names of those of features."""
    host = "127.0.0.1" if config.server.host in ANYWHERE else config.server.host
    ready = [each for each in index if each.state is State.READY]
    lines = [
        f"inferd {__version__} serves {_count(ready)} from"
        f" {', '.join(str(path) for path in config.repository.paths)}",
        "",
        table(index),
        "",
        *_features(views, config.features.store),
        *_fraud(config.fraud),
        f"  gRPC     {host}:{port}",
        f"  metrics  http://{host}:{http_port}/metrics",
        f"  health   http://{host}:{http_port}/v2/health/ready",
        *([] if admin_port is None else [f"  admin    {host}:{admin_port}"]),
        "",
        "Try:",
        f"  grpcurl -plaintext {host}:{port} list",
    ]
    if ready:
        lines.append(
            f"""  grpcurl -plaintext -d '{{"name": "{ready[-1].name}"}}' {host}:{port}"""
            " inference.GRPCInferenceService/ModelMetadata"
        )
    if config.fraud.rules is not None:
        lines.append(f"  grpcurl -plaintext {host}:{port} inferd.v1.FraudService/ListRules")
    return "\n".join(lines)


def table(index: Sequence[Row]) -> str:
    """Return models, versions and states in columns, with the reason where there is one."""
    if not index:
        return "  (no models)"
    width = max(len(each.name) for each in index)
    rows = []
    for each in index:
        version = each.version or "-"
        row = f"  {each.name:<{width}}  {version:>4}  {each.state:<8}"
        rows.append(f"{row}  {each.reason}".rstrip())
    return "\n".join(rows)


def _features(views: Iterable[str], store: str) -> list[str]:
    names = ", ".join(views)
    return [f"  features  {names} ({store})", ""] if names else []


def _fraud(settings: Fraud) -> list[str]:
    if settings.rules is None:
        return []
    return [f"  fraud     by {settings.rules}, on record in {settings.audit.path}", ""]


def _count(ready: Sequence[IndexEntry]) -> str:
    models = len({each.name for each in ready})
    return f"{models} model{'' if models == 1 else 's'}"
