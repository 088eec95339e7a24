"""What is broken, and how: every dependency of the example, in every way that means something.

Redis is a process behind a socket, and really is killed, stopped, cut off and filled with
nonsense. Models are broken where they run, on their instances' threads, or deleted and loaded
again by RPC. `order` is a few lines on the event loop: it can be slow, hang, fail or never return,
but not be restarted, cut off, or wrong in a way that could be told.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from support.chaos.world import World
from support.server import eventually

SLOW_MS = 120.0
"""Longer than any caller waits."""
FLAP_S = 0.15


Breaking = Callable[[World], AbstractContextManager[None]]
"""Breaks something for as long as a block lasts, and repairs it then."""


@dataclass(frozen=True, slots=True)
class Break:
    """One way to break something."""

    #: In a few words, for the table.
    how: str
    breaking: Breaking
    #: Whether nobody can have it meanwhile: then an answer that claims to is a lie.
    total: bool = True
    #: Whether the event loop is held up on purpose.
    stalls: bool = False


def at(point: str, kind: str, **parameters: float | str) -> Breaking:
    """Return what breaks something at a fault point."""
    return lambda world: world.broken(point, kind, **parameters)


@contextmanager
def _stopped(world: World) -> Iterator[None]:
    with world.redis.paused():
        yield


@contextmanager
def _killed(world: World) -> Iterator[None]:
    world.redis.kill()
    yield
    world.redis.start()
    world.fill()


@contextmanager
def _restarted(world: World) -> Iterator[None]:
    world.redis.restart()
    world.fill()
    yield


@contextmanager
def _spoilt(world: World) -> Iterator[None]:
    world.spoil()
    yield
    world.fill()


def _deleted(model: str) -> Breaking:
    @contextmanager
    def deleted(world: World) -> Iterator[None]:
        world.unload(model)
        yield
        world.load(model)

    return deleted


def _reloaded(model: str) -> Breaking:
    @contextmanager
    def reloaded(world: World) -> Iterator[None]:
        world.unload(model)
        world.load(model)
        yield

    return reloaded


@contextmanager
def _removed(world: World) -> Iterator[None]:
    model, elsewhere = world.models / "ranker", world.models.parent / "ranker"
    model.rename(elsewhere)
    eventually(lambda: "READY" not in world.states("ranker"))
    yield
    elsewhere.rename(model)
    eventually(lambda: world.states("ranker") == {"READY"})


@contextmanager
def _intact(world: World) -> Iterator[None]:
    yield


def _of_model(model: str) -> dict[str, Break]:
    point = f"model.{model}"
    return {
        "slow": Break(f"runs take {SLOW_MS:g} ms", at(point, "latency", ms=SLOW_MS)),
        "hung": Break("runs do not end", at(point, "hang")),
        "error": Break("runs fail", at(point, "error")),
        "flapping": Break(
            f"runs fail, every other {FLAP_S:g} s", at(point, "error", flap_s=FLAP_S), total=False
        ),
        "killed": Break("unloaded by RPC, loaded again", _deleted(model)),
        "restarted": Break("unloaded and loaded at once", _reloaded(model), total=False),
        "partitioned": Break("no request gets there (drop at the guard)", at(model, "drop")),
        "corrupt": Break("answers are NaN", at(point, "corrupt")),
    }


BREAKS: dict[str, dict[str, Break]] = {
    "tastes": {
        "slow": Break(
            f"{SLOW_MS:g} ms on the way (proxy)", at("proxy.redis", "latency", ms=SLOW_MS)
        ),
        "hung": Break("SIGSTOP", _stopped),
        "error": Break("refuses (at the guard)", at("tastes", "error", reason="DEPENDENCY_FAILED")),
        "flapping": Break(
            f"connections end, every other {FLAP_S:g} s (proxy)",
            at("proxy.redis", "down", flap_s=FLAP_S),
            total=False,
        ),
        "killed": Break("kill -9, started again empty, filled", _killed),
        "restarted": Break("kill -9 and started at once", _restarted, total=False),
        "partitioned": Break("bytes get lost (proxy)", at("proxy.redis", "timeout", timeout_ms=0)),
        "corrupt": Break("nonsense under every key", _spoilt),
    },
    "ranker": _of_model("ranker"),
    "trend": _of_model("trend"),
    "order": {
        "slow": Break(f"takes {SLOW_MS:g} ms", at("order", "latency", ms=SLOW_MS)),
        "hung": Break("does not go on", at("order", "hang")),
        "error": Break("fails", at("order", "error")),
        "flapping": Break(
            f"fails, every other {FLAP_S:g} s", at("order", "error", flap_s=FLAP_S), total=False
        ),
        "killed": Break("never returns", at("order", "drop")),
    },
}
"""By dependency and by what it is."""

BAD_INSTANCE = Break("one of two says NaN", at("model.ranker#0", "corrupt"), total=False)
STALL = Break(
    "holds up the loop for 3 ms a call",
    at("order", "cpu_stall", ms=3),
    total=False,
    stalls=True,
)
MEMORY = Break("takes 64 MiB", at("order", "memory_pressure", mib=64), total=False)
REMOVED = Break("its directory is removed, and put back", _removed)
INTACT = Break("SIGTERM", _intact)
"""Nothing else is wrong."""
STOPPED = Break("SIGTERM while Redis is stopped", _stopped)
