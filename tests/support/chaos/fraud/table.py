"""The results as a table, where docs/fraud.md says that it belongs."""

from collections import Counter
from collections.abc import Iterable, Sequence

from support.chaos.fraud.trial import Result
from support.chaos.table import machine, recovery

_HEAD = (
    "| what breaks | how | calls | answered | careful | refused | told most | late | held up | lost"
    " | breakers opened | loop late | recovery |",
    "|---|---|--:|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|",
)
MOST_TOLD = 3


def table(results: Sequence[tuple[str, Result]], command: str) -> str:
    """Return the table; each result has the transport that it was got with."""
    lines = []
    for transport in dict.fromkeys(each for each, _ in results):
        of_it = [result for each, result in results if each == transport]
        lines += [_title(transport, of_it), "", *_HEAD, *map(_row, of_it), ""]
    return "\n".join([f"`{command}`, {machine()}.", "", *lines])


def told(reasons: Counter[str]) -> str:
    """Return what callers were told most: stages that answers do without, and refusals."""
    return ", ".join(f"{what} ({count})" for what, count in reasons.most_common(MOST_TOLD))


def refused(result: Result) -> int:
    """Return how many were refused: not those who hung up."""
    return result.tally.refused - result.left


def _title(transport: str, results: Iterable[Result]) -> str:
    of_it = list(results)
    calls = sum(each.tally.calls for each in of_it)
    lost, late = (sum(getattr(each.tally, it) for each in of_it) for it in ("lost", "late"))
    return f"**{transport}**: {len(of_it)} cells, {calls} calls, {late} late, {lost} lost."


def _row(result: Result) -> str:
    it = result.tally
    columns = [
        result.cell.name,
        result.cell.fault.how or "nothing",
        *map(str, (it.calls, it.answered, result.careful, refused(result))),
        told(result.reasons) or "nothing",
        *map(str, (it.late, it.held_up, it.lost, result.opened, result.late_loop)),
        recovery(result.recovery_s),
    ]
    return f"| {' | '.join(columns)} |"
