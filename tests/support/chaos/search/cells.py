"""The cells: what is broken, how, and who asks meanwhile."""

from collections.abc import Callable, Iterator, Set
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import cast

from support.chaos.faults import SLOW_MS, Break, at
from support.chaos.search.verdict import RANKING, RETRIEVAL
from support.chaos.search.world import RATES, Shop
from support.chaos.world import World
from support.transports import Transport

MODEL = "model.search_ranker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One experiment."""

    what: str
    kind: str
    fault: Break
    #: It is named in every answer that could not be whole.
    stages: Set[str] = frozenset()
    load: str = "full"
    #: Shares of callers who hang up, and who have next to no time.
    leave: float = 0.0
    tiny: float = 0.0
    #: Whether documents are refused meanwhile.
    unwritten: bool = False

    @property
    def name(self) -> str:
        """How it is called."""
        return f"{self.what}: {self.kind}"

    @property
    def rate(self) -> float:
        """Calls per second during the fault."""
        return RATES[self.load]


@contextmanager
def _nothing(_: World) -> Iterator[None]:
    yield


def _of_shop(ruining: Callable[[Shop], AbstractContextManager[None]]) -> Break:
    how = "no file can grow (RLIMIT_FSIZE)"
    return Break(how, lambda world: ruining(cast("Shop", world)), total=False)


NOTHING = Break("", _nothing, total=False)
_RANKING, _RETRIEVAL = frozenset({RANKING}), frozenset({RETRIEVAL})
_SLOW = f"{SLOW_MS:g} ms more (at the guard)"

CELLS = [
    Cell(
        what="model",
        kind="slow",
        fault=Break(f"runs take {SLOW_MS:g} ms", at(MODEL, "latency", ms=SLOW_MS)),
        stages=_RANKING,
    ),
    Cell(what="model", kind="hung", fault=Break("hangs", at(MODEL, "hang")), stages=_RANKING),
    Cell(what="model", kind="error", fault=Break("fails", at(MODEL, "error")), stages=_RANKING),
    Cell(what="model", kind="NaN", fault=Break("says NaN", at(MODEL, "corrupt")), stages=_RANKING),
    Cell(
        what="index",
        kind="slow",
        fault=Break(_SLOW, at("search_index", "latency", ms=SLOW_MS)),
        stages=_RETRIEVAL,
    ),
    Cell(
        what="index",
        kind="hung",
        fault=Break("never an answer (at the guard)", at("search_index", "drop")),
        stages=_RETRIEVAL,
    ),
    Cell(
        what="index",
        kind="error",
        fault=Break("fails", at("search_index", "error", reason="DEPENDENCY_FAILED")),
        stages=_RETRIEVAL,
    ),
    Cell(what="disk", kind="full", fault=_of_shop(lambda shop: shop.full_disk()), unwritten=True),
    Cell(what="callers", kind="hang up", fault=NOTHING, leave=0.5),
    Cell(what="callers", kind="have 1 to 12 ms", fault=NOTHING, tiny=0.5),
    Cell(what="callers", kind="too many", fault=NOTHING, load="burst"),
]
"""Those that one server goes through one after the other."""
KILLED = Cell(what="server", kind="killed", fault=NOTHING)
BOUNDED: dict[Transport, Set[str]] = {
    "grpcio": {"model: hung", "index: hung", "disk: full", "callers: have 1 to 12 ms"},
    "envoy": {"model: error", "callers: too many"},
}
"""A few, for CI."""
ONLY_GRPCIO = {"disk: full"}
"""Envoy's process may not write beyond a limit either: it dies of that signal."""
