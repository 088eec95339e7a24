"""The cells: what is broken, how, and while how much is asked.

Full is what the server can do without leaving anything out for load; that is where its optional
stages are still asked. In most cells of double load the ladder has left out what is broken
before it broke: the proof is that nothing else happens.
"""

from dataclasses import dataclass

from support.chaos.faults import (
    BAD_INSTANCE,
    BREAKS,
    INTACT,
    MEMORY,
    REMOVED,
    STALL,
    STOPPED,
    Break,
)

RATES = {"low": 50.0, "full": 130.0, "double": 260.0}
"""Calls per second."""
STAGE = {"tastes": "taste", "ranker": "score", "trend": "trend", "order": "order", "server": ""}
"""The stage that asks a dependency in its first rung."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One experiment."""

    dependency: str
    kind: str
    load: str
    fault: Break

    @property
    def name(self) -> str:
        """How it is called in the table and in tests."""
        return f"{self.dependency} {self.kind}, {self.load}"

    @property
    def stage(self) -> str:
        """The stage that suffers."""
        return STAGE[self.dependency]

    @property
    def rate(self) -> float:
        """Calls per second before and during the fault."""
        return RATES[self.load]


CELLS = [
    Cell(dependency, kind, load, fault)
    for dependency, kinds in BREAKS.items()
    for kind, fault in kinds.items()
    for load in RATES
] + [
    Cell("ranker", "bad instance", "low", BAD_INSTANCE),
    Cell("ranker", "bad instance", "full", BAD_INSTANCE),
    Cell("order", "stalling", "low", STALL),
    Cell("order", "filling memory", "full", MEMORY),
]
"""Those that one server goes through one after the other."""
POLLING = [
    Cell("ranker", "removed", "low", REMOVED),
    Cell("ranker", "removed", "full", REMOVED),
]
"""Those of a server that follows its repository."""
LEAVING = [
    Cell("server", "told to stop", "full", INTACT),
    Cell("server", "told to stop", "double", INTACT),
    Cell("server", "told to stop, Redis hung", "full", STOPPED),
]
"""Those that a server does not survive: each has its own."""
BOUNDED = {
    "grpcio": (
        ("tastes", "killed", "full"),
        ("tastes", "hung", "low"),
        ("trend", "slow", "full"),
        ("ranker", "corrupt", "double"),
        ("ranker", "bad instance", "full"),
        ("server", "told to stop", "full"),
    ),
    "envoy": (
        ("tastes", "partitioned", "full"),
        ("trend", "restarted", "low"),
        ("ranker", "killed", "full"),
        ("order", "flapping", "low"),
        ("order", "error", "double"),
    ),
}
"""A few that have every kind, every dependency and both transports, for CI."""


def bounded(transport: str) -> list[Cell]:
    """Return those for CI on a transport."""
    return [
        each
        for each in (*CELLS, *LEAVING)
        if (each.dependency, each.kind, each.load) in BOUNDED[transport]
    ]
