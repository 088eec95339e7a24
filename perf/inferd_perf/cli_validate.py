"""The command `validate`: the simulator against the server."""

import argparse
import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from inferd_perf import report, stats
from inferd_perf.arguments import (
    EXIT_CODES,
    Failed,
    add_open_loop_arguments,
    add_request_arguments,
    add_server_arguments,
    conclude,
    end_servers_on_sigterm,
    not_negative,
    positive,
    recipe_of,
    repository_of,
    scheduling,
    several,
)

if TYPE_CHECKING:
    from inferd_perf import foretell

WORKLOADS = ["w1", "w2", "w3", "w4"]
LOADS = [0.5, 0.8, 1.2, 2.0]


def add_validate(commands: Any) -> None:
    """Add `validate`."""
    parser = commands.add_parser(
        "validate",
        help="hold the simulator against the server",
        description="Start inferd behind Envoy, measure what the simulator has to know with calls "
        "of their own, then make the same calls to both and print what became of them, side by "
        "side: medians of the rounds.",
        epilog=f"A round in which the generator's lag p99 exceeds {stats.LAG_LIMIT_MS:g} ms is "
        "INVALID. A simulator that is wrong is not. " + EXIT_CODES,
    )
    parser.set_defaults(command=_validate)
    parser.add_argument(
        "--workloads",
        type=several(str),
        default=WORKLOADS,
        metavar="NAME,NAME",
        help=f"of `simulate` ({','.join(WORKLOADS)})",
    )
    parser.add_argument(
        "--loads",
        type=several(positive),
        default=LOADS,
        metavar="N,N,...",
        help=f"of what the model can do beside the rest ({','.join(f'{n:g}' for n in LOADS)})",
    )
    parser.add_argument("--scheduling", type=scheduling, default="goodput", help="(goodput)")
    add_open_loop_arguments(parser, duration_s=5.0, of="run")
    _add_switches(parser)
    add_server_arguments(parser)
    add_request_arguments(parser)


def _add_switches(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("why they differ: what the simulator is told")
    group.add_argument(
        "--direct-s", type=positive, default=0.5, help="of each batch size, run alone (0.5)"
    )
    group.add_argument(
        "--sounding-s", type=positive, help="of each calibration run (as long as of the others)"
    )
    group.add_argument(
        "--slowdown",
        type=positive,
        help="of runs beside the rest, e.g. 1 for none (calibrated for each load)",
    )
    group.add_argument("--noise", type=not_negative, help="of runs (that of the direct ones)")
    group.add_argument(
        "--front",
        choices=["calibrated", "measured", "free"],
        default="calibrated",
        help="what calls cost the event loop (calibrated)",
    )
    group.add_argument(
        "--shed-above-busy",
        type=positive,
        default=0.3,
        help="of the server, and of the simulated one; 1: Envoy never refuses (0.3)",
    )
    group.add_argument("--guard-ms", type=not_negative, default=0.5, help="of both (0.5)")


def _plan(args: argparse.Namespace) -> "foretell.Plan":
    from inferd_perf import foretell
    from inferd_perf.replay import Manner
    from inferd_perf.simulation.front import FRONTS

    front = None if args.front == "calibrated" else FRONTS[args.front]
    return foretell.Plan(
        repository=repository_of(args),
        recipe=recipe_of(args),
        manner=Manner(
            warmup_s=args.warmup_s,
            grace_s=args.grace_ms / 1000,
            connections=args.connections,
        ),
        workloads=args.workloads,
        loads=sorted(args.loads),
        scheduling=args.scheduling,
        rounds=args.rounds,
        duration_s=args.duration_s,
        threads=args.threads,
        guard_ms=args.guard_ms,
        shed_above_busy=min(args.shed_above_busy, 1.0),
        ready_timeout_s=args.ready_timeout_s,
        direct_s=args.direct_s,
        sounding_s=args.sounding_s or args.duration_s,
        slowdown=args.slowdown,
        noise=args.noise,
        front=None if front is None else replace(front, guard_ms=args.guard_ms),
    )


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _known_text(known: "foretell.Known") -> str:
    front, machine = known.front, known.machine
    runs = "  ".join(f"{rows}: {report.number(ms)}" for rows, ms in machine.profile_ms)
    slow = "  ".join(f"{load:g}x: {each:.2f}" for load, each in known.slowdowns.items())
    costs = {
        "receive": front.receive_us,
        "admit": front.admit_us,
        "answer": front.answer_us,
        "refuse": front.refuse_us,
        "batch": front.dispatch_us,
        "there and back": front.round_trip_us,
    }
    calls = "  ".join(f"{name} {report.number(each)}" for name, each in costs.items())
    return (
        f"ms by rows  {runs}\n"
        f"noise       {machine.noise:.3f}, shared cores {machine.sharing:.2f}\n"
        f"slowdown    {slow}\n"
        f"us a call   {calls}\n"
        f"load of 1   {report.number(known.capacity)} rows/s"
    )


def _validate(args: argparse.Namespace) -> int:
    from inferd_perf import foretell, servers, validation

    plan = _plan(args)
    machine = report.machine()
    end_servers_on_sigterm()
    try:
        known, pairs = foretell.validate(plan, _tell)
    except servers.ServerFailed as error:
        raise Failed(str(error)) from error
    except KeyError as error:
        raise Failed(str(error.args[0])) from error
    found = validation.verdicts(pairs)
    faults = [
        f"{pair.workload} at {pair.load:g}x, round {pair.round + 1}: {fault}"
        for pair in pairs
        for fault in pair.faults
    ]
    title = f"{args.model}, {args.scheduling}, medians of {args.rounds} round(s)"
    print(validation.validation_text(f"{title}\n\n{_known_text(known)}", found))
    others = max(pair.other_cores for pair in pairs)
    print(f"others on the machine kept {others:.2f} cores busy at most")
    print(f"\n{report.verdict_line(faults)}")
    values = {
        "known": asdict(known),
        "verdicts": [validation.verdict_json(verdict) for verdict in found],
        "pairs": [asdict(pair) for pair in pairs],
        "machine": machine,
    }
    return conclude(args, "validate", faults, values)
