"""Chains of records, as short as they can be."""

from pathlib import Path
from typing import Any

from inferd.cache.journal import files
from inferd.cache.journal.chain import Entry
from inferd.cache.journal.verification import Verdict, verify
from inferd.cache.journal.writer import US, Writer
from inferd.config.journal import Journal as Settings

DAY_US = 86_400 * US


def settings(path: Path, **said: Any) -> Settings:
    return Settings(**{"path": path, "server": "one", **said})


def writer(path: Path, now_us: int = 0, **said: Any) -> Writer:
    return Writer(settings(path, **said), now_us=now_us, known=lambda before: None)


def entry(id: str, at_us: int = 0) -> Entry:
    return Entry("assessment", id, at_us, b'{"score":0.5}')


def chain(path: Path, *ids: str, per_segment: int = 100) -> None:
    """Write records, and end as a server does."""
    it = writer(path)
    for number, id in enumerate(ids):
        # A segment is continued in another when it is old: time passes in days.
        at_us = number // per_segment * DAY_US
        it.write([entry(id, at_us)], at_us, sync=False)
    it.close()


def segments(path: Path) -> list[Path]:
    return [each.path for each in files.segments(path, "one")]


def checked(path: Path) -> Verdict:
    return verify(path, "one")


def bad(path: Path) -> tuple[int, str]:
    """Return the number of the first bad record, and what is wrong with it."""
    verdict = checked(path)
    assert verdict.bad is not None, "the chain is whole"
    return verdict.bad.seq, verdict.bad.why
