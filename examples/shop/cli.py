"""`python -m shop`: `generate` writes a world down, `replay` has it happen, `index` sends items."""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from shop import sinks
from shop.events import Json
from shop.replay import Bounds, Stamp, replay
from shop.world import DAYS, SEED, USERS, World, line

FILES: dict[str, Callable[[World], Iterator[Json]]] = {
    "events.jsonl": World.events,
    "outcomes.jsonl": World.outcomes,
    "items.jsonl": World.catalogue,
    "merchants.jsonl": World.sellers,
    "users.jsonl": World.customers,
    "truth/payments.jsonl": World.truth,
    "truth/lists.jsonl": World.true_lists,
    "truth/users.jsonl": World.true_users,
    "truth/items.jsonl": World.true_items,
}
"""What is written. Nothing but `truth` has the truth."""


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; 1 if it cannot be done."""
    asked = _parser().parse_args(arguments)
    try:
        world = World.generate(asked.seed, asked.days, users=asked.users)
        return COMMANDS[asked.command](world, asked)
    except (ValueError, OSError, sinks.Refused) as error:
        print(f"shop: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shop", description="A simulated shop.")
    commands = parser.add_subparsers(dest="command", required=True)
    generate = commands.add_parser("generate", help="write everything into files")
    generate.add_argument("--out", type=Path, required=True, metavar="DIR")
    again = commands.add_parser("replay", help="send events as they happen, with intervals")
    to = again.add_mutually_exclusive_group()
    to.add_argument("--server", default="127.0.0.1:8001", metavar="HOST:PORT")
    to.add_argument("--redis", metavar="URL", help="instead of a server: XADD to a stream")
    again.add_argument("--stream", default="events", help="of Redis (events)")
    again.add_argument("--speed", type=float, default=60.0, help="times as fast; 0: at once (60)")
    again.add_argument("--events", type=int, default=10_000, help="at most so many (10000)")
    again.add_argument("--seconds", type=float, default=600.0, help="at most so long (600)")
    again.add_argument("--from-day", type=float, default=0.0, help="leave out what was before")
    again.add_argument("--outcomes", action="store_true", help="with what banks say of payments")
    again.add_argument(
        "--stamp",
        type=Stamp,
        choices=list(Stamp),
        default=Stamp.END_NOW,
        help="event times: the last is now; when it was sent; or as it was",
    )
    stock = commands.add_parser("index", help="send all items to a server that searches")
    stock.add_argument("--server", default="127.0.0.1:8001", metavar="HOST:PORT")
    for each in (generate, again, stock):
        each.add_argument("--seed", type=int, default=SEED)
        each.add_argument("--days", type=int, default=DAYS)
        each.add_argument("--users", type=int, default=USERS)
    return parser


def _generate(world: World, asked: argparse.Namespace) -> int:
    out: Path = asked.out
    (out / "truth").mkdir(parents=True, exist_ok=True)
    for name, rows in FILES.items():
        count = _write(out / name, rows(world))
        print(f"{out / name}  {count}")
    return 0


def _write(path: Path, rows: Iterable[Json]) -> int:
    count = 0
    with path.open("w", encoding="ascii", newline="\n") as file:
        for row in rows:
            file.write(line(row) + "\n")
            count += 1
    return count


def _replay(world: World, asked: argparse.Namespace) -> int:
    bounds = Bounds(events=asked.events, seconds=asked.seconds, from_day=asked.from_day)
    to = sinks.to_redis(asked.redis, asked.stream) if asked.redis else sinks.to_server(asked.server)
    with to as sink:
        counts = replay(
            world,
            sink,
            bounds,
            speed=asked.speed,
            stamp=asked.stamp,
            outcomes=asked.outcomes,
            clock=time.monotonic,
            wall_clock=time.time,  # noqa: TID251 - events have times of day
            sleep=time.sleep,
        )
    print(", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "nothing sent")
    return 0


def _index(world: World, asked: argparse.Namespace) -> int:
    # Only who searches needs tantivy.
    import grpc

    from shop.indexing import index, messages

    try:
        counts = index(asked.server, messages(world))
    except grpc.RpcError as error:
        raise sinks.Refused(f"IndexDocuments: {error.code().name}: {error.details()}") from error
    print(", ".join(f"{count} {what}" for what, count in sorted(counts.items())))
    return int("rejected" in counts)


COMMANDS: dict[str, Callable[[World, argparse.Namespace], int]] = {
    "generate": _generate,
    "replay": _replay,
    "index": _index,
}
