"""What is put on record of experiments: once, and without anybody waiting for it."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from inferd.cache.journal.chain import Entry, opened
from inferd.cache.journal.journal import Journal
from inferd.config.experiments import Exposures as Settings
from inferd.errors import DependencyFailed, Saturated
from inferd.experiments.experiments import Experiments
from inferd.experiments.log import Exposures, Log, Outcomes
from inferd.experiments.plan import Assignments
from support.experiments import experiment, in_force

HOUR_US = 3_600_000_000


class Records:
    """Keeps what it gets, or refuses it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        #: Raised at once, and later.
        self.at_once: Exception | None = None
        self.later: Exception | None = None

    def begin(self, entry: Entry) -> "asyncio.Future[int]":
        if self.at_once is not None:
            raise self.at_once
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self.later is not None:
            done.set_exception(self.later)
        else:
            self.entries.append(entry)
            done.set_result(len(self.entries))
        return done


class Server:
    """Experiments, and what is recorded of them."""

    def __init__(self, there: Experiments | None = None, *, remember: int = 100) -> None:
        self.now_us = 10 * HOUR_US
        self.records = Records()
        self.log = Log()
        self.log.open(self.records)
        self.experiments = there or in_force(experiment(), experiment("other"))
        self.exposures = Exposures(
            self.log, window_s=3600.0, remember=remember, now_us=lambda: self.now_us
        )
        self.outcomes = Outcomes(self.log, now_us=lambda: self.now_us)

    def assigned(self, user: str) -> Assignments:
        return self.experiments.surfaces["home"].assign({"user_id": user}, {})

    def use(self, user: str) -> None:
        self.exposures.used(self.assigned(user), {"user_id": user})

    @property
    def exposed(self) -> int:
        return sum(each.exposed for each in self.experiments.tallies.values())


async def test_a_use_is_on_record_with_all_that_a_report_needs() -> None:
    server = Server(in_force(experiment(revision=3)))
    (arm,) = server.assigned("ann").arms

    server.use("ann")

    (entry,) = server.records.entries
    assert (entry.kind, entry.id, entry.at_us) == ("exposure", "ann", 10 * HOUR_US)
    assert json.loads(entry.body) == {
        "experiment": "mmr",
        "revision": 3,
        "arm": arm.arm,
        "unit": "user_id",
        "window_us": 10 * HOUR_US,
    }


async def test_a_unit_is_on_record_once_in_a_window_and_experiment() -> None:
    server = Server()

    for _ in range(3):
        server.use("ann")
        server.now_us += HOUR_US // 4
    await asyncio.sleep(0)

    assert len(server.records.entries) == server.exposed == 2
    server.now_us += HOUR_US
    server.use("ann")
    assert len(server.records.entries) == 4


async def test_an_assignment_that_nobody_used_is_not_on_record() -> None:
    server = Server()

    server.assigned("ann")

    assert not server.records.entries


async def test_forced_arms_do_not_count() -> None:
    server = Server(in_force(experiment(forced={"ann": "control"})))

    server.use("ann")

    assert not server.records.entries


@pytest.mark.parametrize("when", ["at_once", "later"])
async def test_what_could_not_be_written_is_counted_and_tried_with_the_next_use(when: str) -> None:
    server = Server(in_force(experiment()))
    setattr(server.records, when, Saturated("too many wait"))
    server.use("ann")
    await asyncio.sleep(0)
    assert server.log.dropped == {("exposure", "LIMITED"): 1}
    setattr(server.records, when, None)

    server.use("ann")
    await asyncio.sleep(0)

    assert len(server.records.entries) == server.exposed == 1


async def test_before_the_log_is_open_uses_are_counted_as_dropped() -> None:
    server = Server(in_force(experiment()))
    server.log.close()

    server.use("ann")

    assert server.log.dropped == {("exposure", "CLOSED"): 1}
    assert server.exposed == 0


async def test_what_is_remembered_is_bounded_and_then_left_to_the_log() -> None:
    server = Server(in_force(experiment()), remember=2)

    for user in ("ann", "bob", "cid", "ann", "cid"):
        server.use(user)

    assert [each.id for each in server.records.entries] == ["ann", "bob", "cid", "cid"]


async def test_outcomes_say_who_did_what_and_which_answer_led_to_it() -> None:
    server = Server()

    server.outcomes.happened(
        "user_id", "ann", "purchase", 2.0, at_us=7, event="e1", request="r1", item="book"
    )

    (entry,) = server.records.entries
    assert (entry.kind, entry.id, entry.at_us) == ("outcome", "ann", 7)
    assert json.loads(entry.body) == {
        "unit": "user_id",
        "metric": "purchase",
        "amount": 2.0,
        "event": "e1",
        "request": "r1",
        "item": "book",
    }


async def test_two_outcomes_without_an_event_are_two() -> None:
    server = Server()

    server.outcomes.happened("user_id", "ann", "click")
    server.outcomes.happened("user_id", "ann", "click")

    one, other = server.records.entries
    assert one.body != other.body


async def test_the_picks_of_interleaved_rankings_are_on_record() -> None:
    server = Server()

    server.outcomes.shown("mmr", "user_id", "ann", "r1", {"old": ["a", "c"], "new": ["b"]})

    (entry,) = server.records.entries
    assert entry.kind == "picks"
    assert json.loads(entry.body) == {
        "experiment": "mmr",
        "unit": "user_id",
        "request": "r1",
        "picks": {"old": ["a", "c"], "new": ["b"]},
    }


def test_a_unit_is_on_record_once_also_across_restarts(tmp_path: Path) -> None:
    async def life(users: Sequence[str]) -> None:
        journal = Journal(Settings(path=tmp_path), wall_clock=lambda: 36_000.0)
        server = Server(in_force(experiment()))
        server.log.open(journal)
        for user in users:
            server.use(user)
        await journal.close()

    for _ in range(3):
        asyncio.run(life(["ann", "bob", "ann"]))

    assert [each.id for each in exposures(tmp_path)] == ["ann", "bob"]


def test_a_log_that_is_full_drops_and_counts(tmp_path: Path) -> None:
    async def life() -> Server:
        journal = Journal(Settings(path=tmp_path, max_waiting=3), wall_clock=lambda: 36_000.0)
        server = Server(in_force(experiment()))
        server.log.open(journal)
        for number in range(50):  # the loop is not left, so nobody hears that any is written
            server.use(f"user-{number}")
        await journal.close()
        return server

    server = asyncio.run(life())

    assert server.log.written["exposure"] == server.exposed == 3
    assert server.log.dropped == {("exposure", "LIMITED"): 47}
    assert len(exposures(tmp_path)) == 3


async def test_a_failing_disk_is_no_exception_to_the_caller() -> None:
    server = Server()
    server.records.later = DependencyFailed("the disk is full")

    server.outcomes.happened("user_id", "ann", "click")
    await asyncio.sleep(0)

    assert server.log.dropped == {("outcome", "DEPENDENCY_FAILED"): 1}


def exposures(directory: Path) -> list[Any]:
    text = b"".join(path.read_bytes() for path in sorted(directory.glob("*.jsonl")))
    records = map(opened, text.splitlines(keepends=True))
    return [each for each in records if each.kind == "exposure"]
