"""The cells: what is broken, how, and while how much is asked.

Full is what the server can do without leaving anything out for load; that is where its optional
stages are still asked. In most cells of double load the ladder has left out what is broken
before it broke: the proof is that nothing else happens.
"""

from dataclasses import dataclass

from support.chaos.faults import BAD_INSTANCE, BREAKS, MEMORY, STALL, Break

RATES = {"low": 50.0, "full": 130.0, "double": 260.0}
"""Calls per second."""
STAGE = {"tastes": "taste", "ranker": "score", "trend": "trend", "order": "order"}
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
"""All of one running server; `departures` has those that end with it."""

BOUNDED = [
    ("tastes", "killed", "full"),
    ("tastes", "hung", "low"),
    ("tastes", "partitioned", "full"),
    ("trend", "slow", "full"),
    ("trend", "restarted", "low"),
    ("ranker", "corrupt", "full"),
    ("ranker", "killed", "full"),
    ("ranker", "hung", "double"),
    ("ranker", "bad instance", "full"),
    ("order", "flapping", "low"),
    ("order", "error", "full"),
]
"""A few that have every kind and every dependency, for CI."""


def bounded() -> list[Cell]:
    """Return those for CI."""
    return [each for each in CELLS if (each.dependency, each.kind, each.load) in BOUNDED]
