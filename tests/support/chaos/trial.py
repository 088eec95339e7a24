"""One cell: calls come, something breaks, it is repaired, and then everything is looked at."""

import itertools
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from support.chaos import books, verdict
from support.chaos.cells import RATES, Cell
from support.chaos.faults import Break
from support.chaos.generate import Phase
from support.chaos.history import History, Record, read
from support.chaos.remains import Held, left_behind
from support.chaos.starvation import Starvation, watching
from support.chaos.verdict import Outage, Tally, stages_of
from support.chaos.world import World, with_examples

STARTS_S = 0.5
"""A generator is up before that."""
WARM_S = 0.7
"""At each load, before anything breaks."""
BEFORE_S, DURING_S, AFTER_S = 0.4, 1.0, 2.3
RECOVERS_S = 2.0
SPOILT_S = 0.5
GENERATOR_S = 60.0
"""Far more than it takes."""

_seeds = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a cell."""

    cell: Cell
    tally: Tally
    #: None: there is nothing to recover.
    recovery_s: float | None
    #: How often the dependency's breaker opened.
    opened: int
    #: The longest that the machine held up callers or the server.
    slack_s: float
    #: How often which stage was degraded for which reason, and calls refused.
    reasons: Counter[str]
    #: What may not have happened.
    wrong: tuple[str, ...]

    @property
    def spoilt(self) -> bool:
        """Whether the machine stood still for so long that nothing can be said of the server."""
        return self.slack_s > SPOILT_S


def run(
    world: World, cell: Cell, directory: Path, before: Held, *, tolerance_s: float = 0.0
) -> Result:
    """Run a cell and judge it; `before` is what the server had when nothing was wrong yet.

    `tolerance_s` is for a machine that has other things to do: what comes so late is forgiven.
    """
    books_before = books.books(world)
    begin = time.monotonic() + STARTS_S
    phases = [(BEFORE_S + DURING_S, cell.rate), (AFTER_S, RATES["low"])]
    with calling(world, directory, begin, phases) as history_of:
        sleep_until(begin + BEFORE_S)
        with cell.fault.breaking(world):
            began = time.monotonic()
            sleep_until(begin + BEFORE_S + DURING_S)
            repair_began = time.monotonic()
        outage = Outage(cell.stage, began, time.monotonic(), cell.fault.total)
        history = history_of()
    slack_s = history.slack_s + tolerance_s
    books_after = books.books(world)
    recovery_s = verdict.recovery_s(history.calls, outage)
    certain = replace(outage, ended=repair_began)
    wrong = [
        *verdict.violations(history.calls, certain, late_s=verdict.LATE_S + tolerance_s),
        *(f"call {each.number} was not taken" for each in history.calls if each.unseen),
        *([] if recovery_s < RECOVERS_S + slack_s else [f"recovered after {recovery_s:.2f} s"]),
        *books.violations(
            books_before, books_after, cell.dependency, slack_s=slack_s, stalls=cell.fault.stalls
        ),
        *left_behind(world, before),
    ]
    opened = books_after.opened[cell.dependency] - books_before.opened[cell.dependency]
    return _result(cell, history, recovery_s, opened, wrong)


def leave(world: World, cell: Cell, directory: Path, *, tolerance_s: float = 0.0) -> Result:
    """Tell the server to stop while calls come; its exit is judged by whoever started it."""
    begin = time.monotonic() + STARTS_S
    with calling(world, directory, begin, [(2 * BEFORE_S + DURING_S, cell.rate)]) as history_of:
        sleep_until(begin + BEFORE_S)
        with cell.fault.breaking(world):
            sleep_until(begin + 2 * BEFORE_S)
            world.server.signal(signal.SIGTERM)
            history = history_of()
    nothing = Outage(cell.stage, math.inf, math.inf, total=False)
    wrong = list(verdict.violations(history.calls, nothing, late_s=verdict.LATE_S + tolerance_s))
    return _result(cell, history, None, 0, wrong)


def warm_up(world: World, directory: Path, repair: Break) -> None:
    """Have the server see every load once, and a repair, so that it has what it will need."""
    with repair.breaking(world):
        pass
    phases = [(WARM_S, rate) for rate in (*RATES.values(), RATES["low"])]
    with calling(world, directory, time.monotonic() + STARTS_S, phases) as history_of:
        history_of()


@contextmanager
def calling(
    world: World,
    directory: Path,
    begin: float,
    phases: Sequence[Phase],
    *generator: str,
) -> Iterator["Finish"]:
    """Have a generator send calls from `begin` on; yield what waits for what became of them.

    `generator` is its module, and what it is told besides.
    """
    path = directory / "history.jsonl"
    command = [sys.executable, "-m", *(generator or ("support.chaos.generate",)), str(path)]
    command += ["--port", str(world.server.port), "--at", str(begin), "--seed", str(next(_seeds))]
    for seconds, rate in phases:
        command += ["--phase", f"{seconds}:{rate}"]
    with (
        watching(world.server.pid) as starvation,
        subprocess.Popen(command, env=os.environ | with_examples()) as process,
    ):
        try:
            yield Finish(process, path, starvation)
        finally:
            process.kill()


@dataclass(frozen=True, slots=True)
class Finish:
    """A generator that runs. Called, it waits for the end, and returns the history."""

    process: "subprocess.Popen[bytes]"
    path: Path
    starvation: Starvation

    def __call__(self) -> History:
        assert self.process.wait(GENERATOR_S) == 0, "the generator failed"
        history = read(self.path)
        return History(
            tuple(replace(each, slack_s=self._slack_s(each)) for each in history.calls),
            max(history.slack_s, self.starvation.most_s),
        )

    def _slack_s(self, call: Record) -> float:
        ended = call.finished or call.sent + call.timeout_s
        return call.slack_s + self.starvation.between(call.sent, ended)


def _result(
    cell: Cell, history: History, recovery_s: float | None, opened: int, wrong: Sequence[str]
) -> Result:
    return Result(
        cell,
        verdict.tally(history.calls),
        recovery_s,
        opened,
        history.slack_s,
        reasons(history),
        tuple(wrong),
    )


def reasons(history: History) -> Counter[str]:
    """Return how often which stage was degraded for which reason, and calls refused."""
    found = Counter[str]()
    for call in history.calls:
        found.update(f"{stage} {reason}" for stage, reason in stages_of(call.degraded).items())
        if not call.answered:
            found[f"refused {call.reason or call.ended or call.statuses}"] += 1
    return found


def sleep_until(at: float) -> None:
    """Return at a time, or at once when it is over."""
    time.sleep(max(0.0, at - time.monotonic()))
