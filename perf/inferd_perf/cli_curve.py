"""The command `curve`: goodput over offered load for every way of scheduling, as a picture."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inferd_perf import picture, rates, report, stats
from inferd_perf.arguments import (
    EXIT_CODES,
    Failed,
    add_open_loop_arguments,
    add_request_arguments,
    add_server_arguments,
    conclude,
    end_servers_on_sigterm,
    positive,
    scheduling,
    several,
    transport,
)
from inferd_perf.cli_overload import plan_of
from inferd_perf.sides import SCHEDULINGS, scheduled

if TYPE_CHECKING:
    from inferd_perf import overload

MULTIPLES = [0.5, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 5.0]


def add_curve(commands: Any) -> None:
    """Add `curve`."""
    parser = commands.add_parser(
        "curve",
        help="draw goodput over offered load for every way of scheduling",
        description="Start inferd with each way of scheduling, in turns, offer every one the same "
        "multiples of one capacity in an open loop (Poisson arrivals), and draw how many calls "
        "were answered in time: medians of the rounds.",
        epilog=f"A rate at which the generator's lag p99 exceeds {stats.LAG_LIMIT_MS:g} ms is "
        "INVALID. " + EXIT_CODES,
    )
    parser.set_defaults(command=_curve)
    parser.add_argument(
        "--capacity",
        type=positive,
        help="calls per second (the most of which 99 %% are in time under the first scheduling)",
    )
    parser.add_argument(
        "--tolerance", type=positive, default=0.03, help="of that search, a share (0.03)"
    )
    parser.add_argument(
        "--multiples",
        type=several(positive),
        default=MULTIPLES,
        metavar="N,N,...",
        help=f"of the capacity ({','.join(f'{each:g}' for each in MULTIPLES)})",
    )
    parser.add_argument(
        "--scheduling",
        type=several(scheduling),
        default=list(SCHEDULINGS),
        metavar="NAME,NAME",
        help=f"({','.join(SCHEDULINGS)})",
    )
    parser.add_argument("--transport", type=transport, default="envoy", help="(envoy)")
    parser.add_argument("--deadline-ms", type=positive, default=50.0, help="of every call (50)")
    add_open_loop_arguments(parser)
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the curve there")
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="FILE",
        help='draw others\' points, too: {"label": ..., "points": [[offered/s, in time/s], ...]}',
    )
    add_server_arguments(parser)
    add_request_arguments(parser)


def _tell(m: rates.Measurement) -> None:
    invalid = f"  INVALID: {'; '.join(m.report.faults)}" if m.report.faults else ""
    print(
        f"round {m.round + 1}  {m.side:<9} {m.rate:>6.0f}/s offered  "
        f"{m.report.in_time_per_s:>6.0f}/s in time{invalid}",
        file=sys.stderr,
        flush=True,
    )


def _capacity(plan: "overload.Plan") -> float:
    """Return what the first side holds; raise Failed when it holds nothing."""
    from inferd_perf import overload

    first = replace(plan, sides=plan.sides[:1])
    capacity = overload.capacities(first, _tell)[first.sides[0].name]
    if not capacity:
        raise Failed(f"{first.sides[0].name} holds no rate at all")
    return capacity


def _measure(
    args: argparse.Namespace, plan: "overload.Plan"
) -> tuple[float, list[rates.Measurement]]:
    from inferd_perf import overload, servers

    try:
        capacity = args.capacity or _capacity(plan)
        offered = [round(capacity * multiple) for multiple in sorted(plan.multiples)]
        return capacity, overload.run(replace(plan, rates=offered), {}, _tell)
    except servers.ServerFailed as error:
        raise Failed(str(error)) from error


def _draw(
    args: argparse.Namespace,
    title: str,
    measurements: Sequence[rates.Measurement],
    references: Sequence[picture.Reference],
) -> None:
    if args.svg is not None:
        args.svg.parent.mkdir(parents=True, exist_ok=True)
        svg = picture.goodput_svg(title, measurements, references)
        args.svg.write_text(svg, encoding="utf-8")


def _curve(args: argparse.Namespace) -> int:
    plan = plan_of(args, [scheduled(name, args.transport) for name in args.scheduling])
    try:
        references = picture.read_references(args.reference)
    except picture.NoReference as error:
        raise Failed(str(error)) from error
    machine = report.machine()
    end_servers_on_sigterm()
    capacity, measurements = _measure(args, plan)
    table = rates.standings(measurements, dict.fromkeys(args.scheduling, capacity))
    faults = rates.faults(measurements)
    title = f"{args.model}, deadline {args.deadline_ms:g} ms, medians of {args.rounds} round(s)"
    print(report.overload_text(title, table, faults))
    _draw(args, title, measurements, references)
    values = {
        "capacity": capacity,
        "references": [asdict(reference) for reference in references],
        "standings": [asdict(standing) for standing in table],
        "measurements": [asdict(measurement) for measurement in measurements],
        "machine": machine,
    }
    return conclude(args, "curve", faults, values)
