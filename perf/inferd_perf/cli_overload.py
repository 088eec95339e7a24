"""The commands that ask what a server cannot take: `overload` and `churn`."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inferd_perf import rates, report, stats
from inferd_perf.arguments import (
    EXIT_CODES,
    Failed,
    add_open_loop_arguments,
    add_request_arguments,
    add_server_arguments,
    add_transports,
    at_least_one,
    conclude,
    end_servers_on_sigterm,
    mix,
    positive,
    recipe_of,
    repository_of,
    several,
)
from inferd_perf.sides import KNOWN, Side

if TYPE_CHECKING:
    from inferd_perf import churn, overload


def add_overload(commands: Any) -> None:
    """Add `overload`."""
    parser = commands.add_parser(
        "overload",
        help="offer inferd's transports what they can take, and multiples of it",
        description="Start inferd behind each transport, find the most calls per second of which "
        "99 % are in time, offer that and multiples of it in an open loop (Poisson arrivals), and "
        "print medians of the rounds, how soon refusals came, and where the CPU went.",
        epilog=f"A rate at which the generator's lag p99 exceeds {stats.LAG_LIMIT_MS:g} ms is "
        "INVALID. " + EXIT_CODES,
    )
    parser.set_defaults(command=_overload)
    pattern = parser.add_mutually_exclusive_group(required=True)
    pattern.add_argument(
        "--rates", type=several(positive), metavar="N,N,...", help="calls per second"
    )
    pattern.add_argument(
        "--find-capacity", action="store_true", help="and offer multiples of what is found"
    )
    parser.add_argument(
        "--multiples",
        type=several(positive),
        default=[1.0, 2.0, 4.0],
        metavar="N,N,...",
        help="of the capacity (1,2,4)",
    )
    parser.add_argument(
        "--tolerance", type=positive, default=0.03, help="of the capacity, a share (0.03)"
    )
    parser.add_argument(
        "--mix",
        type=mix,
        default={"": 1.0},
        metavar="CLASS=SHARE,...",
        help="what share of the calls says which x-criticality, with a line for each class; the "
        "rest says none. Each class has its own connections",
    )
    add_transports(parser, ["grpcio", "envoy"])
    parser.add_argument("--deadline-ms", type=positive, default=50.0, help="of every call (50)")
    add_open_loop_arguments(parser)
    add_server_arguments(parser)
    add_request_arguments(parser)


def add_churn(commands: Any) -> None:
    """Add `churn`."""
    parser = commands.add_parser(
        "churn",
        help="watch the server's memory while clients come and go",
        description="Start inferd; sessions connect, make a few calls, and wait for the answers, "
        "cancel, or hang up. INVALID (exit code 3) when the server's memory grows by more than "
        "--most over the last two thirds, or when connections are left open.",
        epilog=EXIT_CODES,
    )
    parser.set_defaults(command=_churn)
    parser.add_argument("--minutes", type=positive, default=10.0, help="(10)")
    add_transports(parser, ["envoy"])
    parser.add_argument("--sessions-per-s", type=positive, default=100.0, help="that begin (100)")
    parser.add_argument("--connections", type=at_least_one, default=64, help="at once (64)")
    parser.add_argument("--most", type=positive, default=0.02, help="a share (0.02)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the readings there, too")
    add_server_arguments(parser)
    add_request_arguments(parser)


def plan_of(
    args: argparse.Namespace, sides: Sequence[Side], *, rates: Sequence[float] = ()
) -> "overload.Plan":
    """Return what to offer these sides: `rates`, or multiples of a capacity."""
    from inferd_perf import overload

    return overload.Plan(
        sides=sides,
        repository=repository_of(args),
        recipe=recipe_of(args),
        rates=rates,
        multiples=args.multiples,
        tolerance=args.tolerance,
        rounds=args.rounds,
        warmup_s=args.warmup_s,
        duration_s=args.duration_s,
        deadline_s=args.deadline_ms / 1000,
        grace_s=args.grace_ms / 1000,
        connections=args.connections,
        threads=args.threads,
        ready_timeout_s=args.ready_timeout_s,
    )


def _tell_rate(m: rates.Measurement) -> None:
    invalid = f"  INVALID: {'; '.join(m.report.faults)}" if m.report.faults else ""
    print(
        f"round {m.round + 1}  {m.side:<20} {m.rate:>6.0f}/s offered  "
        f"{m.report.share_in_time:7.2%} in time{invalid}",
        file=sys.stderr,
        flush=True,
    )


def _overload(args: argparse.Namespace) -> int:
    from inferd_perf import overload, servers

    sides = [KNOWN[name] for name in args.transport]
    plan = replace(plan_of(args, sides, rates=args.rates or ()), mix=args.mix)
    machine = report.machine()
    end_servers_on_sigterm()
    try:
        found = overload.capacities(plan, _tell_rate) if args.find_capacity else {}
        measurements = overload.run(plan, found, _tell_rate)
    except servers.ServerFailed as error:
        raise Failed(str(error)) from error
    table = rates.standings(measurements, found)
    faults = rates.faults(measurements)
    title = (
        f"{args.model}, {args.rows} row(s), deadline {args.deadline_ms:g} ms, medians of "
        f"{args.rounds} round(s)"
    )
    print(report.overload_text(title, table, faults))
    values = {
        "capacities": found,
        "standings": [asdict(standing) for standing in table],
        "measurements": [asdict(measurement) for measurement in measurements],
        "machine": machine,
    }
    return conclude(args, "overload", faults, values)


def _churn_plan(args: argparse.Namespace, name: str) -> "churn.Plan":
    from inferd_perf import churn

    return churn.Plan(
        side=KNOWN[name],
        repository=repository_of(args),
        recipe=recipe_of(args),
        sessions_per_s=args.sessions_per_s,
        connections=args.connections,
        duration_s=args.minutes * 60,
        threads=args.threads,
        ready_timeout_s=args.ready_timeout_s,
    )


def _tell_reading(reading: "churn.Reading") -> None:
    print(
        f"{reading.at_s:>7.0f} s  {reading.rss_bytes / 1e6:8.1f} MB resident  "
        f"{reading.open_files:>5} files",
        file=sys.stderr,
        flush=True,
    )


def _churn(args: argparse.Namespace) -> int:
    from inferd_perf import churn, servers

    machine = report.machine()
    end_servers_on_sigterm()
    try:
        outcomes = {
            name: churn.churn(_churn_plan(args, name), _tell_reading) for name in args.transport
        }
    except servers.ServerFailed as error:
        raise Failed(str(error)) from error
    faults = [
        f"{name}: {fault}"
        for name, outcome in outcomes.items()
        for fault in churn.faults(outcome, args.most)
    ]
    title = f"{args.model}, {args.sessions_per_s:g} sessions/s for {args.minutes:g} min"
    print(report.churn_text(title, outcomes, faults))
    values = {
        "outcomes": {name: asdict(outcome) for name, outcome in outcomes.items()},
        "machine": machine,
    }
    return conclude(args, "churn", faults, values)
