"""`make chaos`: all cells, and some on both transports; the table goes into docs/fraud.md."""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

from support.chaos import table as tables
from support.chaos.fraud import trial
from support.chaos.fraud.cells import CELLS, KILLED, KILLED_ALONE, ONLY_GRPCIO, REFUSING, TOLD, Cell
from support.chaos.fraud.table import refused, table, told
from support.chaos.fraud.trial import Result
from support.chaos.fraud.world import House, house
from support.chaos.remains import held
from support.server import ROOT
from support.transports import Transport

DOCUMENT = ROOT / "docs" / "fraud.md"
RESULTS = ROOT / "build" / "chaos_fraud.json"
COMMAND = "python -m support.chaos.fraud --write"
TRIES = 3
STOOD_STILL_S = 0.05
ON_ENVOY = ("Redis", "all models", "audit", "callers", "rules: reloaded", "server")
"""What breaks is the same behind either transport: the second time, these will do."""

Chosen = Callable[[Cell], bool]


def main() -> int:
    """Run the cells that were asked for; 1 if anything happened that may not."""
    parser = argparse.ArgumentParser(prog="python -m support.chaos.fraud", description=__doc__)
    parser.add_argument("--transport", action="append", choices=["grpcio", "envoy"])
    parser.add_argument("--only", default="", help="cells whose name has this in it")
    parser.add_argument("--write", action="store_true", help="write the table into the document")
    arguments = parser.parse_args()
    results = []
    for transport in arguments.transport or ("grpcio", "envoy"):
        for result in _on(transport, _choice(transport, arguments.only)):
            _tell(transport, result)
            results.append((transport, result))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([_as_json(*each) for each in results], indent=1))
    if arguments.write:
        tables.write(DOCUMENT, table(results, COMMAND))
    return int(any(each.wrong for _, each in results))


def _choice(transport: Transport, only: str) -> Chosen:
    def is_chosen(cell: Cell) -> bool:
        if transport == "envoy" and (
            not cell.name.startswith(ON_ENVOY) or cell.name.startswith(tuple(ONLY_GRPCIO))
        ):
            return False
        return only in cell.name

    return is_chosen


def _on(transport: Transport, chosen: Chosen) -> Iterator[Result]:
    """Yield the results of the cells that are chosen."""
    for on_failure, cells in (("answer", CELLS), ("refuse", REFUSING)):
        wanted = list(filter(chosen, cells))
        if wanted:
            with _house() as at, at.bank(transport, on_failure=on_failure) as bank:
                trial.warm_up(bank, at.directory)
                before = held(bank)
                how = trial.run if on_failure == "answer" else trial.refuse
                for cell in wanted:
                    yield _tried(partial(how, bank, cell, at.directory, before))
    for cell, ends in ((KILLED, trial.kill), (KILLED_ALONE, trial.kill), (TOLD, trial.leave)):
        if chosen(cell):
            with _house() as at:
                yield ends(at, cell, at.directory, transport)


def _tried(attempt: Callable[[], Result]) -> Result:
    """Return the result of a cell, tried again where the machine stood still and it went wrong."""
    for _ in range(TRIES):
        result = attempt()
        if not result.wrong or result.slack_s < STOOD_STILL_S:
            break
    return result


@contextmanager
def _house() -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="chaos-") as name, house(Path(name)) as it:
        yield it


def _tell(transport: str, result: Result) -> None:
    it = result.tally
    sys.stdout.write(
        f"{transport} {result.cell.name}: {it.calls} calls, {it.answered} answered,"
        f" {result.careful} careful, {refused(result)} refused, {it.late} late,"
        f" {it.held_up} held up, {it.lost} lost, opened {result.opened},"
        f" loop late {result.late_loop}, recovery {tables.recovery(result.recovery_s)}"
        f" (held up for up to {result.slack_s * 1e3:.1f} ms): {told(result.reasons)}\n"
    )
    for each in result.wrong[:10]:
        sys.stdout.write(f"    {each}\n")
    sys.stdout.flush()


def _as_json(transport: str, result: Result) -> dict[str, object]:
    return {
        "transport": transport,
        "cell": result.cell.name,
        **asdict(result.tally),
        "careful": result.careful,
        "opened": result.opened,
        "late_loop": result.late_loop,
        "recovery_s": result.recovery_s,
        "slack_s": result.slack_s,
        "reasons": dict(result.reasons.most_common()),
        "wrong": result.wrong,
    }


if __name__ == "__main__":
    sys.exit(main())
