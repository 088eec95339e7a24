"""`python -m support.chaos.search`: all cells, one after the other."""

import argparse
import sys
import tempfile
from pathlib import Path

from support.chaos.remains import held
from support.chaos.search import trial
from support.chaos.search.cells import CELLS, KILLED, ONLY_GRPCIO
from support.chaos.search.trial import Result
from support.chaos.search.world import House
from support.chaos.table import recovery
from support.transports import Transport


def main() -> int:
    """Run the cells that were asked for; 1 if anything happened that may not."""
    parser = argparse.ArgumentParser(prog="python -m support.chaos.search", description=__doc__)
    parser.add_argument("--transport", default="grpcio", choices=["grpcio", "envoy"])
    parser.add_argument("--only", default="", help="cells whose name has this in it")
    arguments = parser.parse_args()
    transport: Transport = arguments.transport
    cells = [
        each
        for each in CELLS
        if arguments.only in each.name and (transport == "grpcio" or each.name not in ONLY_GRPCIO)
    ]
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        directory = Path(name)
        with House(directory / "cells").shop(transport) as shop:
            trial.warm_up(shop, directory)
            before = held(shop)
            for cell in cells:
                wrong += _told(trial.run(shop, cell, directory, before))
        if arguments.only in KILLED.name:
            house = House(directory / "killed")
            wrong += _told(trial.kill(house, KILLED, directory, transport))
    return int(wrong > 0)


def _told(result: Result) -> int:
    """Print what came of a cell; return how much was wrong."""
    it = result.tally
    most = ", ".join(f"{what} ({count})" for what, count in result.reasons.most_common(3))
    sys.stdout.write(
        f"{result.cell.name}: {it.calls} calls, {it.answered} answered, {it.degraded} degraded,"
        f" {it.refused - result.left} refused, {it.late} late, {it.held_up} held up,"
        f" {it.lost} lost, {result.acknowledged} documents,"
        f" recovery {recovery(result.recovery_s)}"
        f" (held up for up to {result.slack_s * 1e3:.1f} ms): {most or 'nothing'}\n"
    )
    for each in result.wrong[:10]:
        sys.stdout.write(f"    {each}\n")
    sys.stdout.flush()
    return len(result.wrong)


if __name__ == "__main__":
    sys.exit(main())
