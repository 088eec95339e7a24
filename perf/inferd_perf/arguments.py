"""What the commands of `inferd-perf` share: words to values, common options, failure."""

import argparse
import json
import math
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from inferd.call import Criticality
from inferd_perf.payload import Recipe
from inferd_perf.sides import SCHEDULINGS, TRANSPORTS, Side, side_of
from inferd_perf.stats import INVALID_EXIT

EXIT_CODES = "Exit codes: 0 measured, 1 could not measure, 2 wrong arguments, 3 INVALID."

ROUNDING = 1e-9

Value = TypeVar("Value")


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


def at_least_zero(text: str) -> int:
    """Read a whole number of at least 0."""
    return 0 if int(text) == 0 else at_least_one(text)


def several(read: Callable[[str], Value]) -> Callable[[str], list[Value]]:
    """Return a reader of `A,B,C`, each of them different."""

    def values(text: str) -> list[Value]:
        found = [read(word) for word in text.split(",")]
        if len(set(found)) < len(found):
            raise argparse.ArgumentTypeError(f"'{text}' says the same twice")
        return found

    return values


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


def transport(text: str) -> str:
    """Read the name of one of inferd's transports."""
    if text not in TRANSPORTS:
        raise argparse.ArgumentTypeError(f"'{text}' is not one of {', '.join(TRANSPORTS)}")
    return text


def scheduling(text: str) -> str:
    """Read the name of one of inferd's ways of scheduling."""
    if text not in SCHEDULINGS:
        raise argparse.ArgumentTypeError(f"'{text}' is not one of {', '.join(SCHEDULINGS)}")
    return text


def mix(text: str) -> dict[str, float]:
    """Read `CLASS=SHARE,...`, shares of the calls; what is left says nothing of its class."""
    shares: dict[str, float] = {}
    known = ", ".join(Criticality)
    for word in text.split(","):
        name, _equals, share = word.partition("=")
        if name not in [*Criticality] or name in shares:
            raise argparse.ArgumentTypeError(f"'{name}' is not another of {known}")
        shares[name] = positive(share)
    left = 1 - sum(shares.values())
    if left < -ROUNDING:
        raise argparse.ArgumentTypeError(f"'{text}' is more than all calls")
    return {"": left, **shares} if left > ROUNDING else shares


def add_request_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what describes the request that is sent."""
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


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what describes the servers that a command starts by itself."""
    parser.add_argument("--repository", type=Path, default=Path("perf/models"))
    parser.add_argument("--threads", type=at_least_one, default=1, help="intra-op threads (1)")
    parser.add_argument("--ready-timeout-s", type=positive, default=60.0, help="(60)")


def add_transports(parser: argparse.ArgumentParser, names: list[str]) -> None:
    """Add which of inferd's transports to load; `names` are the default."""
    parser.add_argument(
        "--transport",
        type=several(transport),
        default=names,
        metavar="NAME,NAME",
        help=f"({','.join(names)})",
    )


def recipe_of(args: argparse.Namespace, **more: Any) -> Recipe:
    """Return the request that the arguments describe."""
    shapes = dict(args.shape)
    return Recipe(model=args.model, rows=args.rows, shapes=shapes, data=args.data, **more)


def repository_of(args: argparse.Namespace) -> Path:
    """Return the repository; raise Failed when the model is not in it."""
    repository: Path = args.repository
    if not (repository / args.model).is_dir():
        raise Failed(f"no {args.model} in {repository}: run `inferd-perf models` first")
    return repository.resolve()


def end_servers_on_sigterm() -> None:
    """Let SIGTERM unwind the stack: by default it would leave the servers behind."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments as a report names them."""
    return {name: value for name, value in vars(args).items() if name not in ("command", "json")}


def conclude(
    args: argparse.Namespace, kind: str, faults: Sequence[str], values: Mapping[str, Any]
) -> int:
    """Write the report of a command that measured, if it is wanted; return the exit code."""
    common = {"kind": kind, "valid": not faults, "faults": faults, "settings": settings_of(args)}
    write_json(args.json, {**common, **values})
    return INVALID_EXIT if faults else 0


def write_json(path: Path | None, values: Mapping[str, Any]) -> None:
    """Write a report, if there is somewhere to write it."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values, indent=2, default=str) + "\n", encoding="utf-8")


def add_open_loop_arguments(
    parser: argparse.ArgumentParser, *, duration_s: float = 4.0, of: str = "rate"
) -> None:
    """Add what all commands have in common that offer calls by a schedule, in rounds."""
    parser.add_argument(
        "--grace-ms",
        type=not_negative,
        default=10.0,
        help="after the deadline, until a call is reset: shows answers that are late (10)",
    )
    parser.add_argument("--rounds", type=at_least_one, default=3, help="turns of every side (3)")
    parser.add_argument("--connections", type=at_least_one, default=8, help="(8)")
    parser.add_argument("--warmup-s", type=not_negative, default=1.0, help=f"of each {of} (1)")
    parser.add_argument(
        "--duration-s", type=positive, default=duration_s, help=f"of each {of} ({duration_s:g})"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rounds there, too")
