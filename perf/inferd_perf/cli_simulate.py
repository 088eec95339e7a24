"""The command `simulate`: policies under workloads, without a server and without waiting."""

import argparse
import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from inferd_perf.arguments import Failed, at_least_one, positive, several

if TYPE_CHECKING:
    from inferd_perf.simulation.grid import Cell
    from inferd_perf.simulation.page import Timeline
    from inferd_perf.simulation.plan import Task

DURATION_S = 2.0
#: The columns of the table: heading, key, factor, decimals.
COLUMNS = (
    ("success %", "success", 100.0, 1),
    ("of cap. %", "goodput_of_capacity", 100.0, 1),
    ("wasted %", "wasted_work", 100.0, 1),
    ("reject p50", "reject_ms_p50", 1.0, 2),
    ("p99 ms", "reject_ms_p99", 1.0, 2),
    ("adm. SLO %", "slo_of_admitted", 100.0, 2),
    ("p50 ms", "p50_ms", 1.0, 2),
    ("p99 ms", "p99_ms", 1.0, 2),
    ("batch", "batch", 1.0, 1),
)
#: What is drawn of each policy beside the curves.
SHOWN = ("w2", 1.2)


def add_simulate(commands: Any) -> None:
    """Add `simulate`."""
    parser = commands.add_parser(
        "simulate",
        help="simulate scheduling policies under load, deterministically",
        description="Simulate one model version under inferd's scheduler and the published "
        "policies it is compared with: same arrivals, same noise, whatever the policy. Nothing "
        "takes real time. Loads are shares of the capacity. The grids: ci (the gate, under a "
        "minute on one core), full (every workload, five seeds), heldout (other machines, "
        "deadlines, bursts and seeds, on which nothing is tuned).",
        epilog="Exit codes: 0 simulated, 1 could not, 2 wrong arguments.",
    )
    parser.set_defaults(command=_simulate)
    parser.add_argument("--grid", choices=["ci", "full", "heldout"], help="a whole grid of cells")
    names = several(str)
    parser.add_argument("--policy", type=names, metavar="NAME,...", help="only these (all)")
    parser.add_argument(
        "--workload", type=names, metavar="NAME,...", help="without a grid: these (w1,w2,w3)"
    )
    parser.add_argument(
        "--load", type=several(positive), metavar="X,...", help="shares of the capacity"
    )
    parser.add_argument("--seed", type=several(int), metavar="N,...", help="of the random numbers")
    parser.add_argument("--duration-s", type=positive, help=f"simulated ({DURATION_S:g})")
    parser.add_argument(
        "--front",
        choices=["free", "measured"],
        default="free",
        help="what a call costs the event loop: nothing, or what was measured (free)",
    )
    parser.add_argument("--jobs", type=at_least_one, default=1, help="processes (1)")
    parser.add_argument("--json", action="store_true", help="print the cells as one JSON object")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report with curves")
    parser.add_argument("--svg", type=Path, metavar="DIR", help="write its pictures, a file each")
    parser.add_argument(
        "--tune",
        metavar="POLICY",
        help="search the parameters of a policy that inferd is compared with, on workloads and "
        "seeds that are not reported, and end",
    )
    parser.add_argument(
        "--gate",
        action="store_true",
        help="fail (exit code 1) where another policy serves more calls than inferd, by over 2 %%",
    )
    parser.add_argument(
        "--golden", type=Path, metavar="FILE", help="write the decisions' fingerprints, and end"
    )


def _simulate(args: argparse.Namespace) -> int:
    if args.golden is not None:
        return _write_golden(args.golden)
    if args.tune is not None:
        return _tune(args.tune)
    from inferd_perf.simulation import plan

    tasks = _tasks(args)
    if not tasks:
        raise Failed("the grid has no such cells")
    if args.gate and not plan.comparable(task.policy for task in tasks):
        raise Failed("a gate needs inferd-goodput and a rival")
    cells = list(plan.compute(tasks, jobs=args.jobs))
    if args.html is not None or args.svg is not None:
        _report(args, cells, _timelines(tasks))
    print(json.dumps({"cells": cells}) if args.json else table(cells))
    if args.gate and (found := plan.worse(cells)):
        raise Failed("\n  ".join(["it is not the best:", *found]))
    return 0


def _report(
    args: argparse.Namespace, cells: "Sequence[Cell]", timelines: "dict[str, Timeline]"
) -> None:
    from inferd_perf.simulation import page

    if args.html is not None:
        page.write(args.html, cells, timelines)
    if args.svg is not None:
        page.write_pictures(args.svg, cells, timelines)


def _tasks(args: argparse.Namespace) -> "list[Task]":
    """Return the cells that the arguments ask for. Raises `Failed` for unknown names."""
    from dataclasses import replace

    from inferd_perf.simulation import plan
    from inferd_perf.simulation.grid import POLICIES
    from inferd_perf.simulation.suites import find

    for policy in args.policy or ():
        if policy not in POLICIES:
            raise Failed(f"no policy '{policy}'; there are {', '.join(POLICIES)}")
    try:
        entries = {name: find(name) for name in args.workload or ()}
    except KeyError as error:
        raise Failed(str(error.args[0])) from None
    if args.grid:
        tasks = plan.grid(args.grid, args.duration_s or DURATION_S)
        kept = [task for task in tasks if _is_wanted(task, args)]
        return [replace(task, front=args.front) for task in kept]
    entries = entries or {name: find(name) for name in ("w1", "w2", "w3")}
    return [
        plan.Task(
            policy=policy,
            workload=name,
            load=load,
            seed=seed,
            duration_s=args.duration_s or DURATION_S,
            front=args.front,
        )
        for name, entry in entries.items()
        for load in args.load or entry.workload.loads
        for seed in args.seed or (1,)
        for policy in args.policy or POLICIES
    ]


def _is_wanted(task: "Task", args: argparse.Namespace) -> bool:
    return all(
        not wanted or value in wanted
        for wanted, value in (
            (args.policy, task.policy),
            (args.workload, task.workload),
            (args.load, task.load),
            (args.seed, task.seed),
        )
    )


def _timelines(tasks: "Iterable[Task]") -> "dict[str, Timeline]":
    """Return what each policy ran in one scene: all of them in the same."""
    from inferd_perf.simulation.grid import POLICIES, scene
    from inferd_perf.simulation.page import Timeline

    workload, load = SHOWN
    shown = scene(workload, load, 1, duration_s=0.3)
    return {
        policy: Timeline(
            runs=shown.play(POLICIES[policy]).runs, of=f"{shown.workload.title}, {load:g}x"
        )
        for policy in dict.fromkeys(task.policy for task in tasks)
    }


def _tune(policy: str) -> int:
    from inferd_perf.simulation import tuning

    if policy not in tuning.SPACES:
        raise Failed(f"no parameters for '{policy}'; there are for {', '.join(tuning.SPACES)}")
    print("success %  parameters; what is published is first of its equals")
    for trial in tuning.tune(policy):
        parameters = ", ".join(f"{name}={value:g}" for name, value in trial.parameters.items())
        print(f"{100 * trial.success:9.1f}  {parameters}")
    return 0


def _write_golden(path: Path) -> int:
    from inferd_perf.simulation import golden

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(golden.fingerprints(), indent=2) + "\n", encoding="utf-8")
    return 0


def table(cells: "Sequence[Cell]") -> str:
    """Return a table for people: a block per workload and load, the mean of the seeds."""
    lines: list[str] = []
    by_scene = sorted(cells, key=lambda cell: (cell["workload"], cell["load"]))
    for (workload, load), group in groupby(by_scene, lambda c: (c["workload"], c["load"])):
        of_scene = list(group)
        seeds = len({cell["seed"] for cell in of_scene})
        lines += ["", f"{workload} at {load:g}x, {seeds} seed(s)"]
        lines.append(f"  {'policy':18}" + "".join(f"{heading:>12}" for heading, *_ in COLUMNS))
        for policy in dict.fromkeys(cell["policy"] for cell in of_scene):
            mine = [cell for cell in of_scene if cell["policy"] == policy]
            figures = [_figure(mine, *column[1:]) for column in COLUMNS]
            lines.append(f"  {policy:18}" + "".join(figures))
    return "\n".join(lines[1:])


def _figure(cells: "Sequence[Cell]", key: str, factor: float, decimals: int) -> str:
    values = [cell[key] * factor for cell in cells if cell[key] is not None]
    return f"{fmean(values):12.{decimals}f}" if values else f"{'-':>12}"
