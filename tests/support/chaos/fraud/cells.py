"""The cells: what is broken, how, and who asks meanwhile."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace

from support.chaos.faults import BREAKS, Break
from support.chaos.fraud.faults import (
    ALERTS,
    ALL_MODELS,
    AUDIT,
    FEATURES,
    MODEL,
    NOTHING,
    OTHER_MODELS,
    OTHER_RULES,
    REDIS,
    RULES,
)
from support.chaos.fraud.world import MODELS, RATES
from support.transports import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One experiment."""

    what: str
    kind: str
    fault: Break
    #: One of these is named in every answer that could not be whole.
    stages: Set[str] = frozenset()
    load: str = "full"
    #: Shares of callers who hang up, and who have next to no time.
    leave: float = 0.0
    tiny: float = 0.0
    streamed: bool = False

    @property
    def name(self) -> str:
        """How it is called in the table and in tests."""
        return f"{self.what}: {self.kind}{', streamed' if self.streamed else ''}"

    @property
    def rate(self) -> float:
        """Calls per second during the fault."""
        return RATES[self.load]


def _all(what: str, kinds: Mapping[str, Break], *stages: str) -> Iterator[Cell]:
    for kind, fault in kinds.items():
        yield Cell(what=what, kind=kind, fault=fault, stages=frozenset(stages))


_KILLS = {kind: BREAKS["tastes"][kind] for kind in ("hung", "killed", "restarted")}
_KILLS["killed"] = replace(_KILLS["killed"], how="kill -9, started again empty")

_UNARY = [
    *_all("Redis", {**REDIS, **_KILLS}, "idempotency", "features"),
    *(cell for name in MODELS for cell in _all(name, MODEL[name], name)),
    *_all("all models", ALL_MODELS, *MODELS),
    *_all("features", FEATURES, "features"),
    *_all("rules", RULES, "rules"),
    *_all("audit", AUDIT, "audit"),
    *_all("alerts", ALERTS),
    Cell(what="callers", kind="hang up", fault=NOTHING, leave=0.5),
    Cell(what="callers", kind="have 1 to 12 ms", fault=NOTHING, tiny=0.5),
    Cell(what="callers", kind="too many", fault=NOTHING, load="burst"),
    Cell(what="rules", kind="reloaded", fault=OTHER_RULES),
    Cell(what="models", kind="reloaded", fault=OTHER_MODELS, stages=frozenset(MODELS)),
]
_STREAMED = {
    "Redis: cut off",
    "Redis: killed",
    "all models: hung",
    "features: hung",
    "audit: slow",
    "audit: hung",
    "callers: too many",
}
CELLS = _UNARY + [replace(each, streamed=True) for each in _UNARY if each.name in _STREAMED]
"""Those that one server goes through one after the other."""
REFUSING = [
    Cell(what="audit", kind=f"{kind}, on_failure: refuse", fault=AUDIT[kind])
    for kind in ("full", "slow")
]
"""Those of a server that answers nothing that is not on record."""
KILLED = Cell(what="server", kind="killed", fault=replace(NOTHING, how="kill -9, started again"))
_FORGOTTEN = replace(BREAKS["tastes"]["hung"], how="kill -9 while Redis is stopped, started again")
KILLED_ALONE = Cell(what="server", kind="killed, Redis hung", fault=_FORGOTTEN)
"""What it decides is on record, and nowhere else."""
TOLD = Cell(what="server", kind="told to stop", fault=replace(NOTHING, how="SIGTERM"))
BOUNDED: Mapping[Transport, Set[str]] = {
    "grpcio": {"Redis: cut off", "all models: hung", "audit: full", "all models: hung, streamed"},
    "envoy": {"Redis: killed", "audit: slow"},
}
"""A few, for CI."""
ONLY_GRPCIO = {"audit: full"}
"""Envoy's process may not write beyond a limit either: it dies of that signal, before Python is
told of an error."""


def bounded(transport: Transport) -> list[Cell]:
    """Return those for CI on a transport."""
    return [each for each in CELLS if each.name in BOUNDED[transport]]
