"""The cells: what is broken, how, and who asks meanwhile."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace

from support.chaos.faults import BREAKS, SLOW_MS, Break, Breaking, at
from support.chaos.fraud.faults import NOTHING, REDIS, together
from support.chaos.recommendation.world import MODELS, RATES
from support.recommending import RANKERS
from support.transports import Transport

STAGES: Mapping[str, str] = {"rec_users": "user_vector"}
"""Of models whose stage has another name."""


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

    @property
    def name(self) -> str:
        """How it is called in the table and in tests."""
        return f"{self.what}: {self.kind}"

    @property
    def rate(self) -> float:
        """Calls per second during the fault."""
        return RATES[self.load]


def _all(what: str, kinds: Mapping[str, Break], *stages: str) -> Iterator[Cell]:
    for kind, fault in kinds.items():
        yield Cell(what=what, kind=kind, fault=fault, stages=frozenset(stages))


def _of_models(*names: str) -> dict[str, Break]:
    def all_of(kind: str, **parameters: float | str) -> Breaking:
        return together(*(at(f"model.{name}", kind, **parameters) for name in names))

    return {
        "slow": Break(f"runs take {SLOW_MS:g} ms", all_of("latency", ms=SLOW_MS)),
        "hung": Break("runs do not end", all_of("hang")),
        "error": Break("runs fail", all_of("error")),
        "NaN": Break("answers are NaN", all_of("corrupt")),
    }


_OF_REDIS = {
    **{kind: REDIS[kind] for kind in ("slow", "cut off", "reset")},
    **{kind: BREAKS["tastes"][kind] for kind in ("hung", "killed", "restarted")},
}
_OF_REDIS["killed"] = replace(_OF_REDIS["killed"], how="kill -9, started again empty")
_GUARDED = "recommendation_candidates"
_CANDIDATES = {
    # Who has the time waits for it.
    "slow": Break(
        f"{SLOW_MS:g} ms more (at the guard)", at(_GUARDED, "latency", ms=SLOW_MS), total=False
    ),
    "hung": Break("never an answer (at the guard)", at(_GUARDED, "drop")),
    "error": Break("fails (at the guard)", at(_GUARDED, "error", reason="DEPENDENCY_FAILED")),
}

CELLS = [
    *_all("Redis", _OF_REDIS, "profile"),
    *(cell for it in MODELS for cell in _all(it, _of_models(it), STAGES.get(it, it))),
    *_all("all rankers", _of_models(*RANKERS), *RANKERS),
    *_all("candidates", _CANDIDATES, "candidates"),
    Cell(what="callers", kind="hang up", fault=NOTHING, leave=0.5),
    Cell(what="callers", kind="have 1 to 12 ms", fault=NOTHING, tiny=0.5),
    Cell(what="callers", kind="too many", fault=NOTHING, load="burst"),
]
BOUNDED: Mapping[Transport, Set[str]] = {
    "grpcio": {"Redis: cut off", "all rankers: hung", "callers: too many"},
    "envoy": {"Redis: killed", "rec_users: hung"},
}
"""A few, for CI."""


def bounded(transport: Transport) -> list[Cell]:
    """Return those for CI on a transport."""
    return [each for each in CELLS if each.name in BOUNDED[transport]]
