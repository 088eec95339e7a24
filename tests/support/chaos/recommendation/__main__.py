"""`make chaos`: all cells; the table goes into docs/recommendation.md."""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from support.chaos import table as tables
from support.chaos.fraud.table import told
from support.chaos.recommendation import trial
from support.chaos.recommendation.cells import CELLS, Cell
from support.chaos.recommendation.trial import Result
from support.chaos.recommendation.world import house
from support.chaos.remains import held
from support.server import ROOT

DOCUMENT = ROOT / "docs" / "recommendation.md"
COMMAND = "python -m support.chaos.recommendation --write"
TRIES = 3

_HEAD = (
    "| what breaks | how | calls | answered | popular | refused | told most | late | recovery |",
    "|---|---|--:|--:|--:|--:|---|--:|--:|",
)


def main() -> int:
    """Run the cells that were asked for; 1 if anything happened that may not."""
    parser = argparse.ArgumentParser(prog="python -m support.chaos.recommendation")
    parser.add_argument("--only", default="", help="cells whose name has this in it")
    parser.add_argument("--write", action="store_true", help="write the table into the document")
    arguments = parser.parse_args()
    results = list(_results([each for each in CELLS if arguments.only in each.name]))
    if arguments.write:
        tables.write(DOCUMENT, _table(results))
    return int(any(each.wrong for each in results))


def _results(cells: Sequence[Cell]) -> Iterator[Result]:
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        directory = Path(name)
        with house(directory / "server", "grpcio") as it:
            trial.warm_up(it, directory)
            before = held(it)
            for cell in cells:
                for _ in range(TRIES):
                    result = trial.run(it, cell, directory, before)
                    if not result.spoilt:
                        break
                sys.stdout.write("\n".join([_row(result), *result.wrong[:5], ""]))
                sys.stdout.flush()
                yield result


def _table(results: Sequence[Result]) -> str:
    calls, late = (sum(getattr(each.tally, it) for each in results) for it in ("calls", "late"))
    title = f"{len(results)} cells, {calls} calls, {late} late."
    return "\n".join(
        [f"`{COMMAND}`, {tables.machine()}. {title}", "", *_HEAD, *map(_row, results), ""]
    )


def _row(result: Result) -> str:
    it = result.tally
    columns = [
        result.cell.name,
        result.cell.fault.how or "nothing",
        *map(str, (it.calls, it.answered, result.popular, it.refused - result.left)),
        told(result.reasons) or "nothing",
        str(it.late),
        tables.recovery(result.recovery_s),
    ]
    return f"| {' | '.join(columns)} |"


if __name__ == "__main__":
    sys.exit(main())
