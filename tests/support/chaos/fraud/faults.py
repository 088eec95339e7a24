"""What is broken, and how: everything that a decision needs, and those who ask for it."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import cast

from support.chaos.faults import SLOW_MS, Break, Breaking, at
from support.chaos.fraud.world import MODELS, Bank
from support.chaos.world import World

DISK_MS = 200
RELOAD_S = 0.1
AT_WEBHOOK = 503
NO_RULES = "rules: ["

Ruining = Callable[[Bank], AbstractContextManager[None]]


def _of_bank(ruining: Ruining) -> Breaking:
    return lambda world: ruining(cast(Bank, world))


def together(*breakings: Breaking) -> Breaking:
    """Return what breaks several things at once."""

    @contextmanager
    def all_of_them(world: World) -> Iterator[None]:
        with ExitStack() as stack:
            for each in breakings:
                stack.enter_context(each(world))
            yield

    return all_of_them


def _redis_says(broken: tuple[str, ...], repaired: tuple[str, ...]) -> Breaking:
    @contextmanager
    def told(bank: Bank) -> Iterator[None]:
        bank.redis_says(*broken)
        yield
        bank.redis_says(*repaired)

    return _of_bank(told)


def _disk(told: str) -> Breaking:
    return _of_bank(lambda bank: bank.disk(told))


@contextmanager
def _silent(bank: Bank) -> Iterator[None]:
    bank.hook.answers.clear()
    yield
    bank.hook.answers.set()


@contextmanager
def _refusing(bank: Bank) -> Iterator[None]:
    status, bank.hook.status = bank.hook.status, AT_WEBHOOK
    yield
    bank.hook.status = status


@contextmanager
def _other_rules(bank: Bank) -> Iterator[None]:
    """Have others in force, then such that are none, then those of before; over and over."""
    good = bank.rules.read_text()
    other = good.replace("mode: shadow", "mode: 'off'")
    for text in (other, NO_RULES, good, other, good):
        bank.rules.write_text(text)
        assert bank.reload() == (text != NO_RULES), "the right ones are taken, and no others"
        time.sleep(RELOAD_S)
    yield


@contextmanager
def _other_models(bank: Bank) -> Iterator[None]:
    for model in MODELS:
        bank.unload(model)
        time.sleep(RELOAD_S)
        bank.load(model)
    yield


@contextmanager
def _nothing(_: World) -> Iterator[None]:
    yield


def _of_models(*names: str) -> dict[str, Break]:
    def all_of(kind: str, **parameters: float | str) -> Breaking:
        return together(*(at(f"model.{name}", kind, **parameters) for name in names))

    return {
        "slow": Break(f"runs take {SLOW_MS:g} ms", all_of("latency", ms=SLOW_MS)),
        "hung": Break("runs do not end", all_of("hang")),
        "error": Break("runs fail", all_of("error")),
        "NaN": Break("answers are NaN", all_of("corrupt")),
    }


def _of_guard(guard: str) -> dict[str, Break]:
    return {
        "slow": Break(f"{SLOW_MS:g} ms more (at the guard)", at(guard, "latency", ms=SLOW_MS)),
        "hung": Break("never an answer (at the guard)", at(guard, "drop")),
        "error": Break("fails (at the guard)", at(guard, "error", reason="DEPENDENCY_FAILED")),
    }


NO_RIGHTS = ("ACL", "SETUSER", "default", "-@all", "+acl")
ALL_RIGHTS = ("ACL", "SETUSER", "default", "+@all")
NO_ROOM = ("CONFIG", "SET", "maxmemory", "1")
ROOM = ("CONFIG", "SET", "maxmemory", "0")

REDIS = {
    "slow": Break(f"{SLOW_MS:g} ms on the way (proxy)", at("proxy.redis", "latency", ms=SLOW_MS)),
    "cut off": Break("bytes get lost (proxy)", at("proxy.redis", "timeout", timeout_ms=0)),
    "reset": Break("connections end (proxy)", at("proxy.redis", "reset_peer", timeout_ms=0)),
    "starved": Break("1 kB/s (proxy)", at("proxy.redis", "bandwidth", rate_kb_s=1), total=False),
    "errors": Break("answers NOPERM to all", _redis_says(NO_RIGHTS, ALL_RIGHTS)),
    "full": Break("answers OOM to writes", _redis_says(NO_ROOM, ROOM)),
}
MODEL = {name: _of_models(name) for name in MODELS}
ALL_MODELS = _of_models(*MODELS)
FEATURES = _of_guard("features")
RULES = _of_guard("fraud_rules")
AUDIT = {
    "full": Break("no file can grow (RLIMIT_FSIZE)", _of_bank(lambda bank: bank.full_disk())),
    "slow": Break(f"fsync takes {DISK_MS} ms", _disk(f"slow {DISK_MS}")),
    "hung": Break("fsync does not return", _disk("hung")),
    "error": Break("fsync fails (EIO)", _disk("error")),
}
ALERTS = {
    "hung": Break("the webhook says nothing", _of_bank(_silent)),
    "error": Break(f"the webhook says {AT_WEBHOOK}", _of_bank(_refusing)),
}
OTHER_RULES = Break("other rules, broken ones, and back", _of_bank(_other_rules), total=False)
OTHER_MODELS = Break("each unloaded and loaded again", _of_bank(_other_models), total=False)
NOTHING = Break("", _nothing, total=False)
"""Nothing is broken: it is those who ask."""
