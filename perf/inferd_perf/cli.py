"""The command `inferd-perf`: arguments to plain settings, exceptions to exit codes.

Exit codes: 0 measured; 1 could not measure; 2 wrong arguments; 3 measured, but INVALID.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inferd_perf import report, stats
from inferd_perf.arguments import (
    EXIT_CODES,
    Failed,
    add_request_arguments,
    at_least_one,
    not_negative,
    positive,
    recipe_of,
    repository_of,
    settings_of,
    write_json,
)
from inferd_perf.cli_closed import add_closed, add_compare
from inferd_perf.cli_curve import add_curve
from inferd_perf.cli_overload import add_churn, add_overload
from inferd_perf.cli_simulate import add_simulate
from inferd_perf.cli_validate import add_validate
from inferd_perf.openload import GeneratorFailed, NotBuilt
from inferd_perf.payload import DoesNotFit
from inferd_perf.schedule import Window

FAILED_EXIT = 1


def _add_run(commands: Any) -> None:
    parser = commands.add_parser(
        "run",
        help="load a server and print latencies, goodput and statuses",
        description="Load one model on a running server. Open loop (--rate): requests leave on "
        "schedule and latency counts from the intended send time. Closed loop (--concurrency): "
        "each caller waits for its answer.",
        epilog=f"A run whose generator lag p99 exceeds {stats.LAG_LIMIT_MS:g} ms is INVALID. "
        + EXIT_CODES,
    )
    parser.set_defaults(command=_run)
    parser.add_argument("--target", default="127.0.0.1:8001", help="(127.0.0.1:8001)")
    pattern = parser.add_mutually_exclusive_group(required=True)
    pattern.add_argument("--rate", type=positive, help="open loop: requests per second")
    pattern.add_argument("--concurrency", type=at_least_one, help="closed loop: callers")
    parser.add_argument(
        "--arrivals", choices=["poisson", "fixed"], default="poisson", help="open loop (poisson)"
    )
    parser.add_argument(
        "--max-in-flight",
        type=at_least_one,
        default=10_000,
        help="open loop: drop arrivals beyond it, and call the run INVALID (10000)",
    )
    parser.add_argument("--channels", type=at_least_one, default=4, help="connections (4)")
    parser.add_argument(
        "--deadline-ms", type=positive, default=1000.0, help="of every request (1000)"
    )
    parser.add_argument("--warmup-s", type=not_negative, default=1.0, help="sent, not measured (1)")
    parser.add_argument("--duration-s", type=positive, default=10.0, help="measured (10)")
    parser.add_argument("--count", type=at_least_one, help="stop after so many measured requests")
    parser.add_argument("--seed", type=int, default=0, help="of arrivals and data (0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    add_request_arguments(parser)
    parser.add_argument("--model-version", default="", help="(the newest)")
    parser.add_argument(
        "--variants", type=at_least_one, default=8, help="different requests, sent in turn (8)"
    )
    parser.add_argument(
        "--check", action="store_true", help="parse every answer; one without outputs failed"
    )


def _add_models(commands: Any) -> None:
    parser = commands.add_parser(
        "models",
        help="build the benchmark models",
        description="Build mlp_small (microseconds a run) and mlp_large (milliseconds a run) "
        "from a seed, in Triton's repository layout.",
    )
    parser.set_defaults(command=_models)
    parser.add_argument(
        "--out", type=Path, default=Path("perf/models"), metavar="DIR", help="(perf/models)"
    )
    parser.add_argument(
        "--instances", type=at_least_one, default=1, help="of each model in a server (1)"
    )


def _add_soak(commands: Any) -> None:
    parser = commands.add_parser(
        "soak",
        help="watch the server's memory",
        description="Start inferd, send requests, then load and unload the model, and read its"
        " memory after every tenth. INVALID (exit code 3) when it grows by more than --most"
        " after the first tenth of either.",
    )
    parser.set_defaults(command=_soak)
    parser.add_argument("--repository", type=Path, default=Path("perf/models"))
    parser.add_argument("--requests", type=at_least_one, default=200_000, help="(200000)")
    parser.add_argument("--cycles", type=at_least_one, default=200, help="(200)")
    parser.add_argument("--most", type=positive, default=0.02, help="a share (0.02)")
    add_request_arguments(parser)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="inferd-perf",
        description="Loads Open Inference Protocol servers, and compares them with baselines.",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands)
    add_compare(commands)
    add_closed(commands)
    add_overload(commands)
    add_curve(commands)
    add_churn(commands)
    add_simulate(commands)
    add_validate(commands)
    _add_soak(commands)
    _add_models(commands)
    return top


def _run_title(args: argparse.Namespace) -> str:
    pattern = (
        f"closed loop, {args.concurrency} in flight"
        if args.rate is None
        else f"open loop, {args.arrivals}, {args.rate:g}/s"
    )
    return (
        f"{args.model} at {args.target}: {pattern}, {args.rows} row(s), "
        f"deadline {args.deadline_ms:g} ms"
    )


def _run(args: argparse.Namespace) -> int:
    import grpc

    from inferd_perf import generator

    pattern = (
        generator.ClosedLoop(args.concurrency)
        if args.rate is None
        else generator.OpenLoop(args.rate, args.arrivals, args.seed, args.max_in_flight)
    )
    load = generator.Load(
        target=args.target,
        recipe=recipe_of(args, version=args.model_version, seed=args.seed, variants=args.variants),
        pattern=pattern,
        window=Window(args.warmup_s, args.duration_s, args.count),
        deadline_s=args.deadline_ms / 1000,
        channels=args.channels,
        check=args.check,
    )
    machine = report.machine()
    try:
        outcome = generator.run_blocking(load)
    except TimeoutError:
        raise Failed(f"nobody answers at {args.target}") from None
    except grpc.aio.AioRpcError as error:
        raise Failed(f"{args.target} says {error.code().name}: {error.details()}") from None
    found = stats.faults(outcome.summary)
    print(report.run_text(_run_title(args), outcome.summary, outcome.cpu_cores, found))
    values = report.run_json(settings_of(args), outcome.summary, outcome.cpu_cores, found)
    write_json(args.json, {**values, "machine": machine})
    return stats.INVALID_EXIT if found else 0


def _soak(args: argparse.Namespace) -> int:
    from inferd_perf import soak
    from inferd_perf.servers import ServerFailed

    def tell(reading: soak.Reading) -> None:
        print(f"{reading.done:>8} {reading.phase:<20} {reading.rss_bytes / 1e6:8.1f} MB resident")

    try:
        readings = soak.soak(
            repository_of(args),
            recipe_of(args),
            requests=args.requests,
            cycles=args.cycles,
            tell=tell,
        )
    except (ServerFailed, OSError) as error:
        raise Failed(str(error)) from error
    worst = 0.0
    for phase in dict.fromkeys(reading.phase for reading in readings):
        grown = soak.growth(readings, phase)
        worst = max(worst, grown)
        print(f"{phase}: {grown:+.1%} after the first tenth")
    return stats.INVALID_EXIT if worst > args.most else 0


def _models(args: argparse.Namespace) -> int:
    from inferd_perf import models

    for mlp in models.BENCHMARK_MODELS:
        path = models.write(mlp, args.out, args.instances)
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    args = parser().parse_args(argv)
    try:
        code: int = args.command(args)
    except (Failed, DoesNotFit, GeneratorFailed, NotBuilt) as error:
        print(f"inferd-perf: {error}", file=sys.stderr)
        return FAILED_EXIT
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
