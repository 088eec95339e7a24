"""One cell: calls come, something breaks, it is repaired, and then everything is looked at."""

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.chaos.fraud.trial import AFTER_S, BEFORE_S, DURING_S, RECOVERS_S, WARM_S
from support.chaos.recommendation import verdict
from support.chaos.recommendation.cells import Cell
from support.chaos.recommendation.verdict import Outage
from support.chaos.recommendation.world import RATES, House
from support.chaos.remains import Held, left_behind
from support.chaos.trial import SPOILT_S, STARTS_S, calling, reasons, sleep_until
from support.chaos.verdict import LATE_S, Tally, recovered_s, tally

_runs = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a cell."""

    cell: Cell
    tally: Tally
    #: Calls that their callers gave up.
    left: int
    #: Calls that had ample time, and got no list.
    refused: int
    #: Lists of what is popular.
    popular: int
    #: None: there is nothing to recover.
    recovery_s: float | None
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
    house: House, cell: Cell, directory: Path, before: Held, *, tolerance_s: float = 0.0
) -> Result:
    """Run a cell and judge it; `before` is what the server had when nothing was wrong yet.

    `tolerance_s` is for a machine that has other things to do: what comes so late is forgiven.
    """
    begin, name = time.monotonic() + STARTS_S, f"c{next(_runs)}"
    phases = [(BEFORE_S, RATES["low"]), (DURING_S, cell.rate), (AFTER_S, RATES["low"])]
    with calling(house, directory, begin, phases, *_generator(cell, name)) as history_of:
        sleep_until(begin + BEFORE_S)
        with cell.fault.breaking(house):
            began = time.monotonic()
            sleep_until(begin + BEFORE_S + DURING_S)
            repair_began = time.monotonic()
        repaired = time.monotonic()
        history = history_of()
    total = cell.fault.total and bool(cell.stages)
    outage = Outage(cell.stages, began, repair_began, total, cell.load == "burst")
    slack_s = history.slack_s + tolerance_s
    recovery_s = None
    if cell.stages:
        recovery_s = recovered_s(
            history.calls, repaired, lambda call: verdict.is_whole(call, cell.stages)
        )
    wrong = [
        *verdict.violations(name, history.calls, outage, late_s=LATE_S + tolerance_s),
        *(f"call {each.number} was not taken" for each in history.calls if each.unseen),
        *left_behind(house, before),
    ]
    if recovery_s is not None and recovery_s > RECOVERS_S + slack_s:
        wrong.append(f"recovered after {recovery_s:.2f} s")
    answers = [it for each in history.calls if (it := verdict.answer_of(each)) is not None]
    return Result(
        cell=cell,
        tally=tally(history.calls),
        left=sum(each.ended == "cancelled" for each in history.calls),
        refused=0 if outage.crowded else len(verdict.refused(history.calls)),
        popular=sum(each.source == each.POPULAR for each in answers),
        recovery_s=recovery_s,
        slack_s=history.slack_s,
        reasons=reasons(history),
        wrong=tuple(wrong),
    )


def warm_up(house: House, directory: Path) -> None:
    """Have the server see every load once."""
    phases = [(WARM_S, RATES["full"]), (WARM_S, RATES["low"])]
    begin, name = time.monotonic() + STARTS_S, f"c{next(_runs)}"
    with calling(house, directory, begin, phases, *_generator(None, name)) as history_of:
        history_of()


def _generator(cell: Cell | None, name: str) -> Iterator[str]:
    yield "support.chaos.recommendation.generate"
    yield from ("--run", name)
    if cell is not None:
        yield from ("--leave", str(cell.leave), "--tiny", str(cell.tiny))
