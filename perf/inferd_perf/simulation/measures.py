"""From what happened to the figures of a cell.

Times count from when a call was meant to be sent, and a call that is tried again counts once:
it succeeded if one of its attempts was answered in time.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inferd_perf.simulation.calls import Column, History, Outcome
from inferd_perf.simulation.machine import Machine

SECOND_NS = 1_000_000_000
MILLISECOND_NS = 1_000_000
#: The server has recovered when so many of the calls in each bin succeed again.
BIN_NS = 20 * MILLISECOND_NS
RECOVERED = 0.9

Figures = dict[str, Any]


def measure(history: History, machine: Machine, *, rows_per_s: float) -> Figures:
    """Return the figures of one simulation; `rows_per_s` is the capacity they are held against."""
    calls, outcome = history.calls, history.outcome
    ok = outcome == Outcome.OK
    sound = ~calls.poison[history.call]
    asked = ~calls.poison
    served = np.zeros(len(calls), bool)
    served[history.call[ok]] = True
    admitted = history.admitted & sound
    told = np.isin(outcome, (Outcome.REFUSED, Outcome.DROPPED, Outcome.EXPIRED))
    waited_ms = (history.ended_ns - history.sent_ns) / MILLISECOND_NS
    took_ms = (history.ended_ns - calls.sent_ns[history.call]) / MILLISECOND_NS
    in_window = ok & (history.ended_ns <= calls.duration_s * SECOND_NS)
    rows = calls.rows[history.call]
    return {
        "success": _share(served & asked, asked),
        "goodput_of_capacity": _round(
            float(rows[in_window].sum()) / (calls.duration_s * rows_per_s)
        ),
        **_executors(history, machine),
        "reject_ms_p50": _percentile(waited_ms[told], 50) or 0.0,
        "reject_ms_p99": _percentile(waited_ms[told], 99) or 0.0,
        "slo_of_admitted": _share(ok & admitted, admitted),
        "p50_ms": _percentile(took_ms[ok], 50),
        "p99_ms": _percentile(took_ms[ok], 99),
        "refused": _share(outcome == Outcome.REFUSED, sound),
        "late": _share(outcome == Outcome.LATE, sound),
        "offered_per_s": _round(len(calls) / calls.duration_s),
        "attempts_per_request": _round(len(outcome) / max(len(calls), 1)),
        "recovery_ms": _recovery_ms(history, served),
        "by_class": {
            name: _share(served & asked & (calls.kind == at), asked & (calls.kind == at))
            for at, name in enumerate(calls.kinds)
        },
        "jain": _fairness(history, served & asked, rows_per_s),
        "loop_busy": _round(history.loop_ns / max(history.end_ns, 1)),
    }


def _executors(history: History, machine: Machine) -> Figures:
    """Return what the executors' time was spent on."""
    worked = wasted = padding = 0.0
    rows = 0
    for run in history.runs:
        took = run.end_ns - run.start_ns
        worked += took
        wasted += took * (run.late + run.gone) / len(run.members)
        spare = machine.padding(run.rows)
        padding += took * spare / (run.rows + spare)
        rows += run.rows
    return {
        "wasted_work": _round(wasted / worked if worked else 0.0),
        "padding": _round(padding / worked if worked else 0.0),
        "utilisation": _round(worked / max(history.end_ns * machine.instances, 1)),
        "batch": _round(rows / max(len(history.runs), 1)),
    }


def _recovery_ms(history: History, served: Column) -> float | None:
    """Return how long after a burst the server was back to normal; None: never, or no burst."""
    calls = history.calls
    if calls.burst_over_ns is None:
        return None
    after = calls.sent_ns >= calls.burst_over_ns
    bins = (calls.sent_ns[after] - calls.burst_over_ns) // BIN_NS
    asked = np.bincount(bins)
    good = np.bincount(bins, weights=served[after])
    bad = np.flatnonzero(good < RECOVERED * asked)
    if len(bad) and bad[-1] >= len(asked) - 2:  # the last bin may be a short one
        return None
    return float((bad[-1] + 1) * BIN_NS / MILLISECOND_NS) if len(bad) else 0.0


def _fairness(history: History, served: Column, rows_per_s: float) -> float:
    """Return Jain's index (1984) of how much everybody got of what was theirs: 1 is fair.

    Callers own what max-min fairness gives them of the capacity; where callers are not told
    apart, classes own what they ask for.
    """
    calls = history.calls
    who = calls.caller if calls.named else calls.kind
    asked = np.bincount(who, weights=calls.rows)
    got = np.bincount(who, weights=calls.rows * served)
    own = max_min(asked.tolist(), rows_per_s * calls.duration_s) if calls.named else asked
    present = asked > 0
    shares = np.minimum(got[present] / np.asarray(own)[present], 1.0)
    squares = float((shares**2).sum()) * len(shares)
    return _round(float(shares.sum()) ** 2 / squares if squares else 1.0)


def max_min(asked: Sequence[float], capacity: float) -> list[float]:
    """Return the max-min fair shares: nobody gets more than asked, nor less for another's sake."""
    shares = [0.0] * len(asked)
    left, waiting = capacity, sorted(range(len(asked)), key=lambda at: asked[at])
    for served, at in enumerate(waiting):
        shares[at] = min(asked[at], left / (len(asked) - served))
        left -= shares[at]
    return shares


def _share(part: Column, whole: Column) -> float:
    return _round(float((part & whole).sum()) / max(int(whole.sum()), 1))


def _percentile(values: Column, at: float) -> float | None:
    return _round(float(np.percentile(values, at))) if len(values) else None


def _round(value: float) -> float:
    return round(value, 5)
