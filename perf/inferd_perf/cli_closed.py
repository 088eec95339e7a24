"""The commands that compare servers in a closed loop: `compare` and `closed`."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inferd_perf import report, rounds
from inferd_perf.arguments import (
    EXIT_CODES,
    Failed,
    add_request_arguments,
    add_server_arguments,
    add_transports,
    at_least_one,
    at_least_zero,
    conclude,
    end_servers_on_sigterm,
    not_negative,
    positive,
    recipe_of,
    repository_of,
    several,
    side,
)
from inferd_perf.rounds import Measurement
from inferd_perf.sides import KNOWN, Side, side_of

if TYPE_CHECKING:
    from inferd_perf import compare


def _add_loop_arguments(parser: argparse.ArgumentParser, concurrency: list[int]) -> None:
    shown = ",".join(map(str, concurrency))
    parser.add_argument(
        "--concurrency",
        type=several(at_least_one),
        default=concurrency,
        metavar="N,N,...",
        help=f"in flight ({shown})",
    )
    parser.add_argument("--rounds", type=at_least_one, default=3, help="turns of every side (3)")
    parser.add_argument("--connections", type=at_least_one, default=4, help="busy ones (4)")
    parser.add_argument(
        "--idle-connections", type=at_least_zero, default=0, help="open beside them (0)"
    )
    parser.add_argument("--deadline-ms", type=positive, default=1000.0, help="(1000)")
    parser.add_argument(
        "--warmup-s", type=not_negative, default=1.0, help="before each measurement (1)"
    )
    parser.add_argument("--duration-s", type=positive, default=3.0, help="each measurement (3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rounds there, too")
    add_server_arguments(parser)
    add_request_arguments(parser)


def add_compare(commands: Any) -> None:
    """Add `compare`."""
    parser = commands.add_parser(
        "compare",
        help="start servers and baselines in turns and print ratios",
        description="Start each side in turn (A B A B), load it in a closed loop, and print "
        "medians of the rounds and ratios against the first baseline.",
        epilog="A side is `inferd`, `grpcio` or `envoy` (inferd by its transport), `plain` "
        "(grpc.aio without batching), `raw` (ONNX Runtime in a loop: the limit) or NAME=COMMAND. "
        "A command may use {repository} {port} {http_port} {threads} {model} {python} {bin} "
        "{baselines}. " + EXIT_CODES,
    )
    parser.set_defaults(command=_compare)
    parser.add_argument(
        "--server", type=side, default="inferd", metavar="SIDE", help="under test (inferd)"
    )
    parser.add_argument(
        "--baseline",
        type=side,
        action="append",
        metavar="SIDE",
        help="may be repeated (plain and raw)",
    )
    _add_loop_arguments(parser, [1, 64])


def add_closed(commands: Any) -> None:
    """Add `closed`."""
    parser = commands.add_parser(
        "closed",
        help="compare inferd's transports in a closed loop",
        description="Start inferd behind each transport in turn, load it in a closed loop, and "
        "print medians of the rounds and ratios against the first transport.",
        epilog=EXIT_CODES,
    )
    parser.set_defaults(command=_closed)
    add_transports(parser, ["grpcio", "envoy"])
    _add_loop_arguments(parser, [64, 256, 1])


def _compare(args: argparse.Namespace) -> int:
    baselines = args.baseline or [side_of("plain"), side_of("raw")]
    sides = [args.server, *baselines]
    if len({each.name for each in sides}) < len(sides):
        raise Failed("two sides have the same name; use NAME=COMMAND")
    return _run(args, sides, reference=baselines[0].name)


def _closed(args: argparse.Namespace) -> int:
    return _run(args, [KNOWN[name] for name in args.transport], reference=args.transport[0])


def _tell(m: Measurement) -> None:
    faults = f"  INVALID: {'; '.join(m.faults)}" if m.faults else ""
    rate, p99 = report.number(m.rows_per_s), report.number(m.p99_ms)
    print(
        f"round {m.round + 1}  {m.side:<8} {m.concurrency:>4} in flight  "
        f"{rate:>9} rows/s  p99 {p99} ms{faults}",
        file=sys.stderr,
        flush=True,
    )


def _plan(args: argparse.Namespace, sides: list[Side], reference: str) -> "compare.Plan":
    from inferd_perf import compare

    return compare.Plan(
        sides=sides,
        reference=reference,
        repository=repository_of(args),
        recipe=recipe_of(args),
        concurrencies=args.concurrency,
        rounds=args.rounds,
        warmup_s=args.warmup_s,
        duration_s=args.duration_s,
        deadline_s=args.deadline_ms / 1000,
        connections=args.connections,
        idle_connections=args.idle_connections,
        threads=args.threads,
        ready_timeout_s=args.ready_timeout_s,
    )


def _run(args: argparse.Namespace, sides: list[Side], reference: str) -> int:
    from inferd_perf import compare, servers

    plan = _plan(args, sides, reference)
    machine = report.machine()
    end_servers_on_sigterm()
    try:
        measurements = compare.run(plan, _tell)
    except servers.ServerFailed as error:
        raise Failed(str(error)) from error
    table = rounds.standings(measurements, reference)
    found = rounds.faults(measurements)
    title = f"{args.model}, {args.rows} row(s), medians of {args.rounds} round(s)"
    print(report.comparison_text(title, table, reference, found))
    values = {
        "reference": reference,
        "standings": [asdict(standing) for standing in table],
        "measurements": [asdict(measurement) for measurement in measurements],
        "machine": machine,
    }
    return conclude(args, "comparison", found, values)
