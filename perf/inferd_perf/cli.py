"""The command `inferd-perf`: arguments to plain settings, exceptions to exit codes.

Exit codes: 0 measured; 1 could not measure; 2 wrong arguments; 3 measured, but INVALID.
"""

import argparse
import json
import math
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inferd_perf import h2load, report, rounds, stats
from inferd_perf.payload import DoesNotFit, Recipe
from inferd_perf.rounds import Measurement
from inferd_perf.schedule import Window
from inferd_perf.sides import Side, side_of

FAILED_EXIT = 1

_EXIT_CODES = "Exit codes: 0 measured, 1 could not measure, 2 wrong arguments, 3 INVALID."


class Failed(Exception):
    """There is nothing to report; the message says why."""


def positive(text: str) -> float:
    """Read a finite number above zero."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def not_negative(text: str) -> float:
    """Read a finite number, zero or above."""
    return 0.0 if float(text) == 0 else positive(text)


def at_least_one(text: str) -> int:
    """Read a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Read `NAME=1,64`."""
    name, _equals, dims = text.partition("=")
    try:
        return name, tuple(int(dim) for dim in dims.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=DIM,DIM,...") from None


def side(text: str) -> Side:
    """Read the name of a known side, or `NAME=COMMAND`."""
    try:
        return side_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_request_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("requests")
    group.add_argument("--model", required=True, help="the model's name")
    group.add_argument(
        "--rows", type=at_least_one, default=1, help="rows in the batch dimension (1)"
    )
    group.add_argument(
        "--shape",
        type=shape,
        action="append",
        default=[],
        metavar="NAME=DIMS",
        help="the whole shape of an input, e.g. input=1,64; else free dimensions are 1",
    )
    group.add_argument("--data", choices=["random", "zero"], default="random", help="(random)")


def _add_run(commands: Any) -> None:
    parser = commands.add_parser(
        "run",
        help="load a server and print latencies, goodput and statuses",
        description="Load one model on a running server. Open loop (--rate): requests leave on "
        "schedule and latency counts from the intended send time. Closed loop (--concurrency): "
        "each caller waits for its answer.",
        epilog=f"A run whose generator lag p99 exceeds {stats.LAG_LIMIT_MS:g} ms is INVALID. "
        + _EXIT_CODES,
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
    _add_request_arguments(parser)
    parser.add_argument("--model-version", default="", help="(the newest)")
    parser.add_argument(
        "--variants", type=at_least_one, default=8, help="different requests, sent in turn (8)"
    )
    parser.add_argument(
        "--check", action="store_true", help="parse every answer; one without outputs failed"
    )


def _add_compare(commands: Any) -> None:
    parser = commands.add_parser(
        "compare",
        help="start servers and baselines in turns and print ratios",
        description="Start each side in turn (A B A B), load it in a closed loop, and print "
        "medians of the rounds and ratios against the first baseline.",
        epilog="A side is `inferd`, `plain` (grpc.aio without batching), `raw` (ONNX Runtime in a "
        "loop: the limit) or NAME=COMMAND. A command may use {repository} {port} {http_port} "
        "{threads} {model} {python} {bin} {baselines}. " + _EXIT_CODES,
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
    parser.add_argument("--repository", type=Path, default=Path("perf/models"))
    parser.add_argument(
        "--concurrency", type=at_least_one, nargs="+", default=[1, 64], help="in flight (1 64)"
    )
    parser.add_argument("--rounds", type=at_least_one, default=3, help="turns of every side (3)")
    parser.add_argument(
        "--tool",
        choices=["h2load", "own"],
        default="h2load",
        help="h2load: light, closed loop, the same bytes again and again; own: `inferd-perf run`",
    )
    parser.add_argument("--threads", type=at_least_one, default=1, help="intra-op threads (1)")
    parser.add_argument("--channels", type=at_least_one, default=4, help="connections (4)")
    parser.add_argument("--deadline-ms", type=positive, default=1000.0, help="(1000)")
    parser.add_argument(
        "--warmup-s", type=not_negative, default=1.0, help="before each measurement (1)"
    )
    parser.add_argument("--duration-s", type=positive, default=3.0, help="each measurement (3)")
    parser.add_argument("--ready-timeout-s", type=positive, default=60.0, help="(60)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rounds there, too")
    _add_request_arguments(parser)


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
    _add_request_arguments(parser)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="inferd-perf",
        description="Loads Open Inference Protocol servers, and compares them with baselines.",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands)
    _add_compare(commands)
    _add_soak(commands)
    _add_models(commands)
    return top


def _recipe(args: argparse.Namespace, **more: Any) -> Recipe:
    shapes = dict(args.shape)
    return Recipe(model=args.model, rows=args.rows, shapes=shapes, data=args.data, **more)


def _write_json(path: Path | None, values: Mapping[str, Any]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values, indent=2, default=str) + "\n", encoding="utf-8")


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(args).items() if name not in ("command", "json")}


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
        recipe=_recipe(args, version=args.model_version, seed=args.seed, variants=args.variants),
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
    values = report.run_json(_settings(args), outcome.summary, outcome.cpu_cores, found)
    _write_json(args.json, {**values, "machine": machine})
    return stats.INVALID_EXIT if found else 0


def _tell(m: Measurement) -> None:
    faults = f"  INVALID: {'; '.join(m.faults)}" if m.faults else ""
    rate, p99 = report.number(m.rows_per_s), report.number(m.p99_ms)
    print(
        f"round {m.round + 1}  {m.side:<8} {m.concurrency:>4} in flight  "
        f"{rate:>9} rows/s  p99 {p99} ms{faults}",
        file=sys.stderr,
        flush=True,
    )


def _compare(args: argparse.Namespace) -> int:
    from inferd_perf import compare, servers

    if args.tool == "h2load" and not h2load.installed():
        raise Failed(f"no h2load: install {h2load.PACKAGE}, or use --tool own")
    if not (args.repository / args.model).is_dir():
        raise Failed(f"no {args.model} in {args.repository}: run `inferd-perf models` first")
    baselines = args.baseline or [side_of("plain"), side_of("raw")]
    sides = [args.server, *baselines]
    if len({each.name for each in sides}) < len(sides):
        raise Failed("two sides have the same name; use NAME=COMMAND")
    plan = compare.Plan(
        sides=sides,
        reference=baselines[0].name,
        repository=args.repository.resolve(),
        recipe=_recipe(args),
        concurrencies=args.concurrency,
        rounds=args.rounds,
        warmup_s=args.warmup_s,
        duration_s=args.duration_s,
        deadline_s=args.deadline_ms / 1000,
        channels=args.channels,
        threads=args.threads,
        ready_timeout_s=args.ready_timeout_s,
        tool=args.tool,
    )
    machine = report.machine()
    # By default SIGTERM would leave the servers behind.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        measurements = compare.run(plan, _tell)
    except servers.ServerFailed as error:
        raise Failed(str(error)) from error
    table = rounds.standings(measurements, plan.reference)
    found = rounds.faults(measurements)
    title = f"{args.model}, {args.rows} row(s), {args.tool}, medians of {args.rounds} round(s)"
    print(report.comparison_text(title, table, plan.reference, found))
    values = {
        "kind": "comparison",
        "valid": not found,
        "faults": found,
        "settings": _settings(args),
        "reference": plan.reference,
        "standings": [asdict(standing) for standing in table],
        "measurements": [asdict(measurement) for measurement in measurements],
        "machine": machine,
    }
    _write_json(args.json, values)
    return stats.INVALID_EXIT if found else 0


def _soak(args: argparse.Namespace) -> int:
    from inferd_perf import soak
    from inferd_perf.servers import ServerFailed

    def tell(reading: soak.Reading) -> None:
        print(f"{reading.done:>8} {reading.phase:<20} {reading.rss_bytes / 1e6:8.1f} MB resident")

    try:
        readings = soak.soak(
            args.repository, _recipe(args), requests=args.requests, cycles=args.cycles, tell=tell
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
        path = models.write(mlp, args.out)
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    args = parser().parse_args(argv)
    try:
        code: int = args.command(args)
    except (Failed, DoesNotFit) as error:
        print(f"inferd-perf: {error}", file=sys.stderr)
        return FAILED_EXIT
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
