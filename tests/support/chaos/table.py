"""The results as a table, where docs/resilience.md says that it belongs."""

import math
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from support.chaos.trial import Result

BEGIN, END = "<!-- chaos table -->", "<!-- end of chaos table -->"
_HEAD = (
    "| what breaks | load | how | calls | answered | degraded | refused | late | held up | lost"
    " | breaker opened | recovery |",
    "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
)


def machine() -> str:
    """Return what this machine is, in a few words."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(": ")[2]
            break
    return f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}"


def table(results: Sequence[tuple[str, Result]], command: str) -> str:
    """Return the table; each result has the transport that it was got with."""
    lines = []
    for transport in dict.fromkeys(each for each, _ in results):
        of_it = [result for each, result in results if each == transport]
        lines += [f"{_title(transport, of_it)}", "", *_HEAD, *map(_row, of_it), ""]
    return "\n".join([f"`{command}`, {machine()}.", "", *lines])


def write(path: Path, text: str) -> None:
    """Put a table where the last one was."""
    before, _, rest = path.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{text}{END}{after}")


def _title(transport: str, results: Iterable[Result]) -> str:
    of_it = list(results)
    calls = sum(each.tally.calls for each in of_it)
    lost = sum(each.tally.lost for each in of_it)
    late = sum(each.tally.late for each in of_it)
    return f"**{transport}**: {len(of_it)} cells, {calls} calls, {late} late, {lost} lost."


def _row(result: Result) -> str:
    cell, it = result.cell, result.tally
    columns = [
        f"{cell.dependency}: {cell.kind}",
        cell.load,
        cell.fault.how,
        *map(str, (it.calls, it.answered, it.degraded, it.refused, it.late, it.held_up, it.lost)),
        str(result.opened),
        recovery(result.recovery_s),
    ]
    return f"| {' | '.join(columns)} |"


def recovery(seconds: float | None) -> str:
    """Return how long it took, for people."""
    if seconds is None:
        return "none"
    return "never" if math.isinf(seconds) else f"{seconds * 1e3:.0f} ms"
