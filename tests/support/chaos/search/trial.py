"""One cell: calls and documents come, something breaks, is repaired, and all is looked at."""

import itertools
import math
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from support.chaos.history import History, Record
from support.chaos.remains import Held, left_behind
from support.chaos.search import verdict
from support.chaos.search.cells import Cell
from support.chaos.search.verdict import Outage
from support.chaos.search.world import RATES, House, Shop, Stockist
from support.chaos.trial import SPOILT_S, STARTS_S, calling, reasons, sleep_until
from support.chaos.verdict import LATE_S, Tally, recovered_s, tally
from support.transports import Transport

WARM_S = 2.0
WRITING_MIB = 150
"""What tantivy takes to write and merge, and gives back. It comes and goes while documents do."""
BEFORE_S, DURING_S, AFTER_S = 0.3, 1.0, 2.3
RECOVERS_S = 2.0
_runs = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a cell."""

    cell: Cell
    tally: Tally
    #: Calls that their callers gave up.
    left: int
    #: Documents that were acknowledged.
    acknowledged: int
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
    shop: Shop, cell: Cell, directory: Path, before: Held, *, tolerance_s: float = 0.0
) -> Result:
    """Run a cell and judge it; `before` is what the server had when nothing was wrong yet.

    `tolerance_s` is for a machine that has other things to do: what comes so late is forgiven.
    """
    begin = time.monotonic() + STARTS_S
    phases = [(BEFORE_S, RATES["low"]), (DURING_S, cell.rate), (AFTER_S, RATES["low"])]
    stockist = Stockist(shop.server.address, f"r{next(_runs)}")
    with (
        stockist.sending(),
        calling(shop, directory, begin, phases, *_generator(cell)) as history_of,
    ):
        sleep_until(begin + BEFORE_S)
        with cell.fault.breaking(shop):
            began = time.monotonic()
            sleep_until(begin + BEFORE_S + DURING_S)
            repair_began = time.monotonic()
        repaired = time.monotonic()
        history = history_of()
    outage = Outage(cell.stages, began, repair_began, cell.fault.total)
    recovery_s = None
    if cell.stages:
        recovery_s = recovered_s(
            history.calls, repaired, lambda call: verdict.is_whole(call, cell.stages)
        )
    wrong = [
        *verdict.violations(history.calls, outage, late_s=LATE_S + tolerance_s),
        *_slow(recovery_s, history.slack_s + tolerance_s),
        *_lost(shop, stockist),
        *left_behind(shop, replace(before, rss_mib=before.rss_mib + WRITING_MIB)),
    ]
    return _result(cell, history, stockist, wrong, recovery_s)


def kill(
    house: House, cell: Cell, directory: Path, transport: Transport, *, tolerance_s: float = 0.0
) -> Result:
    """Kill a server while calls and documents come, start another, and look at what is there."""
    with house.shop(transport, exit_code=-signal.SIGKILL) as shop:
        warm_up(shop, directory)
        begin = time.monotonic() + STARTS_S
        phases = [(2 * BEFORE_S + DURING_S, cell.rate)]
        stockist = Stockist(shop.server.address, f"r{next(_runs)}")
        with (
            stockist.sending(),
            calling(shop, directory, begin, phases, *_generator(cell)) as history_of,
        ):
            sleep_until(begin + DURING_S)
            killed = time.monotonic()
            shop.server.signal(signal.SIGKILL)
            history = history_of()
        shop.server.ended()
    calls = [each for each in history.calls if each.answered or not _cut(each, killed)]
    nothing = Outage(frozenset(), math.inf, math.inf, total=False)
    wrong = [*verdict.violations(calls, nothing, late_s=LATE_S + tolerance_s)]
    with house.shop(transport) as shop:
        wrong += _lost(shop, stockist)
    return _result(cell, History(tuple(calls), history.slack_s), stockist, wrong, None)


def warm_up(shop: Shop, directory: Path) -> None:
    """Have the server see every load once, and every query: so it has answered all of them."""
    phases = [(WARM_S, RATES["full"])]
    begin = time.monotonic() + STARTS_S
    with (
        Stockist(shop.server.address, f"r{next(_runs)}").sending(),
        calling(shop, directory, begin, phases, "support.chaos.search.generate") as history_of,
    ):
        history_of()


def _generator(cell: Cell) -> Iterator[str]:
    yield "support.chaos.search.generate"
    yield from ("--leave", str(cell.leave), "--tiny", str(cell.tiny))


def _cut(call: Record, killed: float) -> bool:
    """Return whether nobody was there any more to say what became of a call."""
    return call.unseen or call.finished is None or call.finished >= killed


def _slow(recovery_s: float | None, slack_s: float) -> Iterator[str]:
    if recovery_s is not None and recovery_s > RECOVERS_S + slack_s:
        yield f"recovered after {recovery_s:.2f} s"


def _lost(shop: Shop, stockist: Stockist) -> Iterator[str]:
    if not stockist.acknowledged:
        yield "no document was acknowledged"
    if missing := shop.missing(stockist.acknowledged):
        yield f"acknowledged, and not there: {', '.join(missing[:10])}"


def _result(
    cell: Cell,
    history: History,
    stockist: Stockist,
    wrong: Sequence[str],
    recovery_s: float | None,
) -> Result:
    return Result(
        cell=cell,
        tally=tally(history.calls),
        left=sum(each.ended == "cancelled" for each in history.calls),
        acknowledged=len(stockist.acknowledged),
        recovery_s=recovery_s,
        slack_s=history.slack_s,
        reasons=reasons(history),
        wrong=tuple(wrong),
    )
