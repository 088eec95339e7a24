"""One cell: calls come, something breaks, it is repaired, and then everything is looked at."""

import itertools
import math
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from support.chaos.books import LAGS_S
from support.chaos.fraud import trail, verdict
from support.chaos.fraud.cells import Cell
from support.chaos.fraud.transactions import is_repeated
from support.chaos.fraud.verdict import Outage
from support.chaos.fraud.world import RATES, Bank, House
from support.chaos.history import History, Record
from support.chaos.remains import Held, left_behind
from support.chaos.trial import SPOILT_S, STARTS_S, calling, reasons, sleep_until
from support.chaos.verdict import LATE_S, Tally, recovered_s, tally
from support.server import eventually
from support.transports import Transport

WARM_S = 0.6
BEFORE_S, DURING_S, AFTER_S = 0.3, 1.0, 2.3
RECOVERS_S = 2.0
ASKED_AGAIN = 100
"""So many transactions are asked for again when all is over."""
LATE_LOOP_S = 0.025

_runs = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a cell."""

    cell: Cell
    tally: Tally
    #: Calls that their callers gave up.
    left: int
    #: Answers with the decision for when too much has failed.
    careful: int
    #: None: there is nothing to recover.
    recovery_s: float | None
    #: How often breakers opened.
    opened: int
    #: How often the event loop was more than 25 ms late.
    late_loop: int
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


@dataclass(frozen=True, slots=True)
class _Books:
    """What the server counts."""

    opened: int
    late_loop: int


def run(
    bank: Bank, cell: Cell, directory: Path, before: Held, *, tolerance_s: float = 0.0
) -> Result:
    """Run a cell and judge it; `before` is what the server had when nothing was wrong yet.

    `tolerance_s` is for a machine that has other things to do: what comes so late is forgiven.
    """
    books, begin = _books(bank), time.monotonic() + STARTS_S
    phases = [(BEFORE_S, RATES["low"]), (DURING_S, cell.rate), (AFTER_S, RATES["low"])]
    name = f"c{next(_runs)}"
    with calling(bank, directory, begin, phases, *_generator(bank, cell, name)) as history_of:
        sleep_until(begin + BEFORE_S)
        with cell.fault.breaking(bank):
            began = time.monotonic()
            sleep_until(begin + BEFORE_S + DURING_S)
            repair_began = time.monotonic()
        repaired = time.monotonic()
        history = history_of()
    total = cell.fault.total and bool(cell.stages)
    outage = Outage(cell.stages, began, repair_began, total, cell.load == "burst")
    slack_s = history.slack_s + tolerance_s
    recovery_s = _recovery_s(cell, history, repaired)
    bank.settled()
    wrong = [
        *verdict.violations(name, history.calls, outage, late_s=LATE_S + tolerance_s),
        *(f"call {each.number} was not taken" for each in history.calls if each.unseen),
        *_slow(recovery_s, slack_s),
        *_kept(bank, name, history.calls),
        *left_behind(bank, before),
        *_unsent_alerts(bank),
    ]
    after = _books(bank)
    return _result(
        cell,
        history,
        wrong,
        recovery_s=recovery_s,
        opened=after.opened - books.opened,
        late_loop=after.late_loop - books.late_loop,
    )


def refuse(
    bank: Bank, cell: Cell, directory: Path, before: Held, *, tolerance_s: float = 0.0
) -> Result:
    """Run a cell with a server that may answer nothing that is not on record."""
    result = run(bank, cell, directory, before, tolerance_s=tolerance_s)
    wrong = [f"answered, and {each}" for each in result.reasons if each.startswith("audit ")]
    if not result.tally.refused:
        wrong.append("nothing could be put on record, and nobody was refused")
    return replace(result, wrong=(*result.wrong, *wrong))


def kill(
    house: House, cell: Cell, directory: Path, transport: Transport, *, tolerance_s: float = 0.0
) -> Result:
    """Kill a server while calls come, start another, and look at what was acknowledged."""
    name = f"c{next(_runs)}"
    with house.bank(transport, exit_code=-signal.SIGKILL) as bank:
        warm_up(bank, directory)
        with cell.fault.breaking(bank):
            history, killed = _ended(bank, cell, directory, name, signal.SIGKILL)
        bank.server.ended()
    calls = [each for each in history.calls if each.answered or not _cut(each, killed)]
    nothing = Outage(frozenset(), math.inf, math.inf, total=False)
    wrong = list(verdict.violations(name, calls, nothing, late_s=LATE_S + tolerance_s))
    with house.bank(transport) as bank:
        for each in history.calls:  # also those of whom nobody knows whether they were decided on
            bank.assess(name, each.number)
        wrong += _kept(bank, name, calls, most=len(calls))
    kept = History(tuple(calls), history.slack_s)
    return _result(cell, kept, wrong)


def leave(
    house: House, cell: Cell, directory: Path, transport: Transport, *, tolerance_s: float = 0.0
) -> Result:
    """Tell a server to stop while calls come; its exit is judged by whoever started it."""
    name = f"c{next(_runs)}"
    with house.bank(transport) as bank:
        warm_up(bank, directory)
        history, _ = _ended(bank, cell, directory, name, signal.SIGTERM)
    nothing = Outage(frozenset(), math.inf, math.inf, total=False)
    wrong = [
        *verdict.violations(name, history.calls, nothing, late_s=LATE_S + tolerance_s),
        *trail.damage(house.directory / "audit"),
        *trail.violations(
            trail.trail(house.directory / "audit", name), verdict.by_transaction(history.calls)
        ),
    ]
    return _result(cell, history, wrong)


def warm_up(bank: Bank, directory: Path) -> None:
    """Have the server see every load once."""
    phases = [(WARM_S, RATES["full"]), (WARM_S, RATES["low"])]
    generator = _generator(bank, None, f"c{next(_runs)}")
    begin = time.monotonic() + STARTS_S
    with calling(bank, directory, begin, phases, *generator) as history_of:
        history_of()


def _generator(bank: Bank, cell: Cell | None, name: str) -> Iterator[str]:
    streamed = cell is not None and cell.streamed
    yield f"support.chaos.fraud.{'streaming' if streamed else 'generate'}"
    yield from ("--run", name, "--epoch-us", str(bank.epoch_us))
    if cell is not None and not streamed:
        yield from ("--leave", str(cell.leave), "--tiny", str(cell.tiny))


def _ended(
    bank: Bank, cell: Cell, directory: Path, name: str, how: signal.Signals
) -> tuple[History, float]:
    """Have a server end while calls come; return their history, and when that was."""
    begin = time.monotonic() + STARTS_S
    phases = [(2 * BEFORE_S + DURING_S, cell.rate)]
    with calling(bank, directory, begin, phases, *_generator(bank, cell, name)) as history_of:
        sleep_until(begin + DURING_S)
        ended = time.monotonic()
        bank.server.signal(how)
        return history_of(), ended


def _cut(call: Record, killed: float) -> bool:
    """Return whether nobody was there any more to say what became of a call."""
    return call.unseen or call.finished is None or call.finished >= killed


def _recovery_s(cell: Cell, history: History, repaired: float) -> float | None:
    if not cell.stages:
        return None
    first = [each for each in history.calls if not is_repeated(each.number)]
    return recovered_s(first, repaired, lambda call: verdict.is_whole(call, cell.stages))


def _slow(recovery_s: float | None, slack_s: float) -> Iterator[str]:
    if recovery_s is not None and recovery_s > RECOVERS_S + slack_s:
        yield f"recovered after {recovery_s:.2f} s"


def _kept(
    bank: Bank, name: str, calls: Sequence[Record], *, most: int = ASKED_AGAIN
) -> Iterator[str]:
    """Yield what is not as it was told, now that it is asked for again, and what is on record."""
    told = verdict.by_transaction(calls)
    numbers = {
        answer.transaction_id: each.number
        for each in calls
        if (answer := verdict.answer_of(each)) is not None and answer.HasField("audit_sequence")
    }
    for id, number in [*numbers.items()][-most:]:
        again = bank.assess(name, number)
        if verdict.decided(again) != verdict.decided(told[id][0]):
            yield f"{id} is decided otherwise when it is asked for again"
        told[id].append(again)
    yield from trail.damage(bank.audit)
    yield from trail.violations(trail.trail(bank.audit, name), told)


def _unsent_alerts(bank: Bank) -> Iterator[str]:
    sent = 'inferd_alerts_waiting{sink="webhook"}'
    try:
        eventually(lambda: not bank.samples("inferd_alerts_waiting")[sent])
    except AssertionError:
        yield "alerts are left that nobody gets"


def _books(bank: Bank) -> _Books:
    lag = "inferd_event_loop_lag_seconds"
    found = bank.samples(f"{lag}_count", f"{lag}_bucket")
    assert LATE_LOOP_S in LAGS_S
    below = found[f'{lag}_bucket{{le="{LATE_LOOP_S}"}}']
    opened = sum(each.opened for each in bank.breakers().values())
    return _Books(opened, round(found[f"{lag}_count"] - below))


def _result(
    cell: Cell,
    history: History,
    wrong: Sequence[str],
    *,
    recovery_s: float | None = None,
    opened: int = 0,
    late_loop: int = 0,
) -> Result:
    answers = [each for each in map(verdict.answer_of, history.calls) if each is not None]
    return Result(
        cell=cell,
        tally=tally(history.calls),
        left=sum(each.ended == "cancelled" for each in history.calls),
        careful=sum(each.basis == each.CONSERVATIVE for each in answers),
        recovery_s=recovery_s,
        opened=opened,
        late_loop=late_loop,
        slack_s=history.slack_s,
        reasons=reasons(history),
        wrong=tuple(wrong),
    )
