"""`make chaos`: all cells, and some on both transports; the table goes into docs/resilience.md."""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

from support.chaos import table, trial
from support.chaos.cells import CELLS, LEAVING, POLLING, RATES, Cell
from support.chaos.faults import BREAKS, REMOVED
from support.chaos.remains import Held, held
from support.chaos.trial import Result
from support.chaos.world import World, world
from support.server import ROOT
from support.transports import Transport

DOCUMENT = ROOT / "docs" / "resilience.md"
TRIES = 3
RESULTS = ROOT / "build" / "chaos.json"
COMMAND = "make chaos"
LOADS: Mapping[Transport, Collection[str]] = {"grpcio": tuple(RATES), "envoy": ("full",)}
"""What breaks is the same behind either transport: the second time, one load is enough."""


def main() -> int:
    """Run the cells that were asked for; 1 if anything happened that may not."""
    parser = argparse.ArgumentParser(prog="python -m support.chaos", description=__doc__)
    parser.add_argument("--transport", action="append", choices=sorted(LOADS))
    parser.add_argument("--only", default="", help="cells whose name has this in it")
    parser.add_argument("--write", action="store_true", help="write the table into the document")
    arguments = parser.parse_args()
    results = []
    for transport in arguments.transport or LOADS:
        chosen = partial(_is_chosen, LOADS[transport], arguments.only)
        for result in _on(transport, chosen):
            _tell(transport, result)
            results.append((transport, result))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([_as_json(*each) for each in results], indent=1))
    if arguments.write:
        table.write(DOCUMENT, table.table(results, COMMAND))
    return int(any(each.wrong for _, each in results))


def _is_chosen(loads: Collection[str], only: str, cell: Cell) -> bool:
    return cell.load in loads and only in cell.name


def _on(transport: Transport, chosen: Callable[[Cell], bool]) -> Iterator[Result]:
    """Yield the results of the cells that are chosen."""
    for control_mode, repair, cells in (
        ("explicit", BREAKS["trend"]["killed"], CELLS),
        ("poll", REMOVED, POLLING),
    ):
        wanted = list(filter(chosen, cells))
        if wanted:
            with (
                _directory() as directory,
                world(directory, transport, control_mode=control_mode) as it,
            ):
                trial.warm_up(it, directory, repair)
                before = held(it)
                for cell in wanted:
                    yield _tried(it, cell, directory, before)
    for cell in filter(chosen, LEAVING):
        with _directory() as directory, world(directory, transport) as it:
            yield trial.leave(it, cell, directory)


def _tried(it: World, cell: Cell, directory: Path, before: Held) -> Result:
    """Return the result of a cell, tried again where the machine spoilt it."""
    for _ in range(TRIES):
        result = trial.run(it, cell, directory, before)
        if not result.spoilt:
            break
    return result


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        yield Path(name)


def _tell(transport: str, result: Result) -> None:
    it = result.tally
    sys.stdout.write(
        f"{transport} {result.cell.name}: {it.calls} calls, {it.answered} answered,"
        f" {it.degraded} degraded, {it.refused} refused, {it.late} late, {it.held_up} held up,"
        f" {it.lost} lost,"
        f" opened {result.opened}, recovery {table.recovery(result.recovery_s)}"
        f" (held up for up to {result.slack_s * 1e3:.1f} ms)\n"
    )
    for each in result.wrong[:10]:
        sys.stdout.write(f"    {each}\n")
    sys.stdout.flush()


def _as_json(transport: str, result: Result) -> dict[str, object]:
    cell = result.cell
    return {
        "transport": transport,
        "cell": cell.name,
        **asdict(result.tally),
        "opened": result.opened,
        "recovery_s": result.recovery_s,
        "slack_s": result.slack_s,
        "reasons": dict(result.reasons.most_common()),
        "wrong": result.wrong,
    }


if __name__ == "__main__":
    sys.exit(main())
