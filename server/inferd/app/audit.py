"""`inferd audit verify`: whether an audit trail is whole, and if not, which record is the first."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inferd.cache.journal import files
from inferd.cache.journal.chain import Link
from inferd.cache.journal.verification import Verdict, verify

Say = Callable[[str], None]
"""Gets what somebody at the terminal should read."""

NOT_WHOLE = 1


def add_audit(
    commands: Any,
    verified: Callable[[argparse.Namespace], int],
    replayed: Callable[[argparse.Namespace], int],
    add_config: Callable[[Any], None],
) -> None:
    """Add the command to a parser."""
    audit = commands.add_parser("audit", help="look into an audit trail")
    acts = audit.add_subparsers(title="commands", metavar="COMMAND", required=True)
    verify_it = acts.add_parser(
        "verify",
        help="check that no record was changed or is missing",
        description="Follow the chain of records from one to the next, and name the first that is"
        " not as it was written. A server may be writing meanwhile. Exits 1 if there is one.",
    )
    verify_it.set_defaults(command=verified)
    add_config(verify_it)
    _add_path(verify_it)
    verify_it.add_argument("--server", help="whose chain (those of all servers)")
    verify_it.add_argument(
        "--head",
        type=_link,
        metavar="SEQ:HASH",
        help="a record that is known to have been there, as this command told before",
    )
    replay = acts.add_parser(
        "replay",
        help="make decisions that are on record again",
        description="Make decisions again, from what is on record of them, by the rules and the"
        " policy of a configuration, and tell in what they would differ, and why. Exits 1 if any"
        " would.",
    )
    replay.set_defaults(command=replayed)
    add_config(replay)
    _add_path(replay)
    replay.add_argument("ids", nargs="*", metavar="ID", help="of transactions (the latest 100000)")


def _add_path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--path", type=Path, metavar="DIR", help="where it is (fraud.audit.path)")


def run(
    say: Say,
    path: Path,
    *,
    server: str | None = None,
    head: Link | None = None,
    writer: str | None = None,
) -> int:
    """Check the chains in a directory, or one, and return the exit code.

    `writer` is who has one there. Raises `OSError`.
    """
    known = files.servers(path)
    servers = known if server is None else [server]
    if not servers:
        raise FileNotFoundError(f"there is no audit trail in {path}")
    wanted = server or writer
    if wanted is not None and not head and wanted not in known:
        there = ", ".join(known) or "none"
        raise FileNotFoundError(f"there is no audit trail of {wanted} in {path}; there are {there}")
    verdicts = [verify(path, each, expected=head) for each in servers]
    for each in verdicts:
        say(_told(each))
    return 0 if all(each.whole for each in verdicts) else NOT_WHOLE


def _told(verdict: Verdict) -> str:
    notes = [f"  note in record {note}" for note in verdict.notes]
    if verdict.bad is None:
        are = "is" if verdict.records == 1 else "are"
        said = f"{verdict.server}: {_records(verdict)} {are} whole; the last is {verdict.head}"
    else:
        said = f"{verdict.server}: BROKEN after {_records(verdict, 'good ')}: {verdict.bad}"
    return "\n".join([said, *notes])


def _records(verdict: Verdict, how: str = "") -> str:
    return f"{verdict.records} {how}record{'s' * (verdict.records != 1)}"


def _link(text: str) -> Link:
    seq, _, hash = text.partition(":")
    if not seq.isdecimal() or not hash:
        raise argparse.ArgumentTypeError("must be like 12:0a1b..., a number and a hash")
    return Link(int(seq), hash)
