"""One decision for one transaction, and one record of it."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest
from msgspec import Raw

from inferd.cache import blobs
from inferd.cache.blobs import Written
from inferd.cache.journal.chain import Entry, Record
from inferd.call import Call
from inferd.config import resilience
from inferd.config.fraud import Audit, Idempotency
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, InferdError, InvalidRequest
from inferd.resilience.breaker import State
from inferd.resilience.degradation import Degradation
from inferd.services.fraud.assessments import Assessments
from inferd.services.fraud.audit import Place, Trail
from inferd.services.fraud.idempotency import Answer, Decided, Once, Recalled
from support.caches import Store
from support.guards import a_dependency, now

CALL = Call("/inferd.v1.FraudService/AssessTransaction", arrived=0.0)


class Book:
    """Records, as a journal keeps them; it can be slow or full."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        self.seconds = 0.0
        self.error: Exception | None = None
        #: When all was recorded, and why it cannot be read.
        self.at_us = 0
        self.unreadable: InferdError | None = None
        self._tasks: set[asyncio.Task[int]] = set()

    def begin(self, entry: Entry) -> Awaitable[int]:
        task = asyncio.create_task(self._written(entry))
        self._tasks.add(task)
        task.add_done_callback(self._heard)
        return asyncio.shield(task)

    def knows(self, id: str) -> bool:
        return id in self.records

    async def last(self, id: str) -> Record | None:
        if self.unreadable is not None:
            raise self.unreadable
        seq = [*self.records].index(id) + 1
        return Record(seq, "", self.at_us, "assessment", id, Raw(self.records[id]), "")

    def _heard(self, task: "asyncio.Task[int]") -> None:
        self._tasks.discard(task)
        task.exception()

    async def _written(self, entry: Entry) -> int:
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        self.records.setdefault(entry.id, entry.body)
        return [*self.records].index(entry.id) + 1


def recall(body: bytes) -> Recalled | None:
    """Return what `Server.decide` put on record."""
    return Recalled("f", body.strip(b'"'))


class Server:
    """One of several servers that share a store."""

    def __init__(
        self, store: Store, name: str = "one", *, ahead_s: float = 0.0, **audit: Any
    ) -> None:
        self.store, self.name = store, name
        self.book = Book()
        self.decisions = 0
        self.seconds = 0.01
        self.failed: list[InferdError] = []
        settings = Idempotency(ttl_s=3600, patience_ms=500)
        self.audit_guard = a_dependency("audit", timeout_ms=50)
        self.trail = Trail(
            self.book,
            Audit.model_validate({"server": name, **audit}),
            self.audit_guard,
            failed=self.failed.append,
        )
        self.reads = a_dependency("reads", timeout_ms=15)
        hedge = resilience.Hedge(enabled=False)
        writes = a_dependency("writes", timeout_ms=25, hedge=hedge)
        assessments = Assessments(store, settings, reads=self.reads, writes=writes)
        self.once = Once(
            assessments, self.trail, settings, clock=now, wall_clock=lambda: now() + ahead_s
        )

    async def decide(self, call: Call, deadline: Deadline) -> Decided:
        self.decisions += 1
        number = self.decisions
        await asyncio.sleep(self.seconds)
        said = f"{self.name}{number}".encode()
        return Decided(said, b'"' + said + b'"')

    async def ask(self, id: str = "t", fingerprint: str = "f", within_s: float = 0.1) -> Answer:
        deadline = Deadline.after(within_s, now=now())
        return await self.once.answer(
            CALL, deadline, id, fingerprint, decide=self.decide, recall=recall
        )

    async def restarted(self) -> "Server":
        await self.once.close()
        return self.killed()

    def killed(self) -> "Server":
        """Return the server that comes after this one, which says no more."""
        again = Server(self.store, self.name)
        again.book = again.trail._records = self.book
        return again


async def test_the_same_transaction_gets_the_same_answer_and_one_record() -> None:
    it = Server(Store())

    first, second = await it.ask(), await it.ask()

    assert first == Answer(b"one1", Place("one", 1), repeated=False, degradations=())
    assert second == first._replace(repeated=True)
    assert it.book.records == {"t": b'"one1"'}
    assert it.decisions == 1


async def test_who_asks_meanwhile_waits_for_the_first() -> None:
    it = Server(Store())

    answers = await asyncio.gather(*(it.ask() for _ in range(10)))

    assert {each.assessment for each in answers} == {b"one1"}
    assert [each.repeated for each in answers].count(False) == 1
    assert (it.decisions, len(it.book.records)) == (1, 1)


async def test_it_is_known_after_a_restart() -> None:
    it = Server(Store())
    await it.ask()
    again = await it.restarted()

    answer = await again.ask()

    assert answer == Answer(b"one1", Place("one", 1), repeated=True, degradations=())
    assert again.decisions == 0


async def test_two_servers_that_are_asked_at_once_give_one_answer_and_make_one_record() -> None:
    store = Store()
    one, two = Server(store), Server(store, "two")
    two.seconds = 0.011

    answers = await asyncio.gather(one.ask(), two.ask())

    assert [each.assessment for each in answers] == [b"one1", b"one1"]
    assert [each.place for each in answers] == [Place("one", 1)] * 2
    assert (len(one.book.records), len(two.book.records)) == (1, 0)
    assert two.once.statistics.lost == 1


async def test_what_a_server_could_not_record_before_it_died_another_records() -> None:
    store = Store()
    dead, alive = Server(store), Server(store, "two")
    dead.book.error = DependencyFailed("the disk is full")
    await dead.ask()
    await dead.once.close()
    await asyncio.sleep(6)

    answer = await alive.ask()

    assert answer == Answer(b"one1", Place("two", 1), repeated=True, degradations=())
    assert alive.book.records == {"t": b'"one1"'}
    assert alive.once.statistics.adopted == 1


@pytest.mark.parametrize("ahead_s", [-3, 0, 3])
async def test_a_server_has_its_time_to_record_whatever_its_clock_says(ahead_s: float) -> None:
    store = Store()
    slow, other = Server(store, ahead_s=ahead_s), Server(store, "two")
    slow.book.seconds = 1e6
    await slow.ask()

    early = await other.ask()
    await asyncio.sleep(0.6)
    late = await other.ask()

    assert early.degradations == (Degradation("audit", "none", "TIMED_OUT"),)
    assert (late.assessment, late.place) == (b"one1", Place("two", 1))


async def test_what_could_not_be_recorded_is_recorded_when_that_is_possible_again() -> None:
    store = Store()
    it = Server(store)
    it.book.error = DependencyFailed("the disk is full")
    for number in range(3):
        await it.ask(str(number))
    await asyncio.sleep(60)
    it.book.error = None

    await asyncio.sleep(11)

    assert it.book.records == {str(n): b'"one%d"' % (n + 1) for n in range(3)}
    found = await Server(store, "two").ask("0")
    assert (found.place, found.degradations) == (Place("one", 1), ())
    assert it.trail.unrecorded == 3, "nobody is told of it twice"


async def test_the_store_is_told_at_once_of_all_that_went_on_record_lately() -> None:
    it, told = Server(Store()), list[list[str]]()
    it.store.changed = lambda keys: told.append([*keys])

    await asyncio.gather(*(it.ask(str(number)) for number in range(3)))
    await asyncio.sleep(1)

    assert told == [["0"], ["1"], ["2"], ["0", "1", "2"]]


async def test_who_ends_tells_the_store_first_what_is_on_record() -> None:
    it, told = Server(Store()), list[list[str]]()
    await it.ask()
    it.store.changed = lambda keys: told.append([*keys])

    await it.once.close()

    assert told == [["t"]]


async def test_what_another_server_has_recorded_meanwhile_is_not_recorded_again() -> None:
    store = Store()
    full, other = Server(store), Server(store, "two")
    full.book.error = DependencyFailed("the disk is full")
    await full.ask()
    await asyncio.sleep(6)
    await other.ask()
    full.book.error = None

    await asyncio.sleep(11)

    assert full.book.records == {}
    assert other.book.records == {"t": b'"one1"'}
    assert (await full.ask()).place == Place("two", 1)


async def test_what_may_not_be_answered_without_a_record_is_recorded_all_the_same() -> None:
    it = Server(Store(), on_failure="refuse")
    it.book.error = DependencyFailed("the disk is full")
    with pytest.raises(DependencyFailed, match="full"):
        await it.ask()
    it.book.error = None

    await asyncio.sleep(1)

    assert it.book.records == {"t": b'"one1"'}


async def test_records_are_tried_again_until_nobody_knows_of_the_decision_any_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = Server(Store())
    it.book.error = DependencyFailed("the disk is full")
    await it.ask()

    await asyncio.sleep(3700)

    it.book.error = None
    await asyncio.sleep(60)
    assert it.book.records == {}
    told = "records that may not be there, and are not tried again: 1; the first: of 't'"
    assert told in caplog.messages


async def test_what_a_server_could_not_record_before_it_restarted_it_records_then() -> None:
    it = Server(Store())
    it.book.error = DependencyFailed("the disk is full")
    await it.ask()
    again = await it.restarted()
    again.book.error = None

    assert (await again.ask()).place == Place("one", 1)
    assert it.book.records == {"t": b'"one1"'}


async def test_a_guard_that_lets_nobody_wait_loses_no_record() -> None:
    it = Server(Store())
    it.audit_guard.breaker.force(State.FORCED_OPEN, now())

    answer = await it.ask()
    await asyncio.sleep(0.1)

    assert answer.degradations == (Degradation("audit", "none", "BREAKER_OPEN"),)
    assert it.book.records == {"t": b'"one1"'}


async def test_a_store_that_is_away_for_a_moment_hears_of_what_is_on_record_all_the_same() -> None:
    store = Store()
    it = Server(store)
    store.error = DependencyFailed("it is gone")
    answer = await it.ask()
    await asyncio.sleep(0.2)
    store.error = None
    await asyncio.sleep(3)

    again = await Server(store).ask()

    assert (again.assessment, again.place) == (answer.assessment, answer.place)
    assert it.once.statistics.unmarked == 0


async def test_who_waits_in_vain_for_another_servers_record_says_so() -> None:
    store = Store()
    slow, other = Server(store), Server(store, "two")
    slow.book.seconds = 0.3
    asking = asyncio.create_task(slow.ask(within_s=1.0))
    await asyncio.sleep(0.02)

    answer = await other.ask()

    assert answer.degradations == (Degradation("audit", "none", "TIMED_OUT"),)
    assert other.book.records == {}
    assert len(other.failed) == 1
    await asking


async def test_another_transaction_under_the_same_id_is_refused() -> None:
    it = Server(Store())
    await it.ask()

    with pytest.raises(InvalidRequest, match=r"another transaction of this id") as caught:
        await it.ask(fingerprint="other")

    assert [each.field for each in caught.value.violations] == ["transaction.id"]
    assert it.once.statistics.conflicts == 1


async def test_another_transaction_under_the_id_of_one_that_is_decided_now_is_refused() -> None:
    it = Server(Store())

    answer, error = await asyncio.gather(
        it.ask(), it.ask(fingerprint="other"), return_exceptions=True
    )

    assert isinstance(answer, Answer)
    assert isinstance(error, InvalidRequest)


async def test_a_store_that_is_down_takes_only_the_promise_from_an_answer() -> None:
    store = Store()
    store.error = DependencyFailed("down")
    it = Server(store)

    answer = await it.ask()

    assert answer.assessment == b"one1"
    assert answer.degradations == (Degradation("idempotency", "none", "DEPENDENCY_FAILED"),)
    assert (await it.ask()).assessment == b"one1", "this server knows it all the same"
    assert it.decisions == 1


async def test_a_decision_that_cannot_be_recorded_is_answered_and_tried_again_next_time() -> None:
    it = Server(Store())
    it.book.error = DependencyFailed("the disk is full")

    answer = await it.ask()

    assert answer.assessment == b"one1"
    assert answer.place is None
    assert answer.degradations == (Degradation("audit", "none", "DEPENDENCY_FAILED"),)
    assert it.trail.unrecorded == len(it.failed) == 1
    it.book.error = None
    assert (await it.ask()).place == Place("one", 1)
    assert it.decisions == 1


async def test_where_decisions_must_be_on_record_one_that_cannot_be_is_refused() -> None:
    it = Server(Store(), on_failure="refuse")
    it.book.error = DependencyFailed("the disk is full")

    with pytest.raises(DependencyFailed, match="full"):
        await it.ask()
    assert it.trail.refused == 1
    it.book.error = None

    assert (await it.ask()).assessment == b"one1"
    assert it.decisions == 1


async def test_a_disk_that_hangs_delays_an_answer_for_so_long_and_no_longer() -> None:
    it = Server(Store())
    it.book.seconds = 1e6
    began = now()

    answer = await it.ask()

    assert now() - began <= 0.07
    assert answer.degradations == (Degradation("audit", "none", "TIMED_OUT"),)


class Fickle(Store):
    """A store whose answers get lost after it has done what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        #: Of writes, and how many more of them.
        self.lost_answers = 0

    async def put(self, entries: Sequence[blobs.Entry]) -> Sequence[Written]:
        written = await super().put(entries)
        if self.lost_answers:
            self.lost_answers -= 1
            raise DependencyFailed("the connection was lost")
        return written


FOREVER = 10**6
DOWN = DependencyFailed("down")
WITHOUT_STORE = Degradation("idempotency", "none", "DEPENDENCY_FAILED")


async def test_a_write_whose_answer_got_lost_is_done_again() -> None:
    store = Fickle()
    it = Server(store)
    store.lost_answers = 1

    answer = await it.ask()

    assert answer == Answer(b"one1", Place("one", 1), repeated=False, degradations=())
    assert (await Server(store, "two").ask()).assessment == b"one1"
    assert it.once.statistics.lost == 0


async def test_a_write_that_took_effect_while_nobody_heard_of_it_is_the_first() -> None:
    store = Fickle()
    it, other = Server(store), Server(store, "two")
    store.lost_answers = FOREVER
    answer = await it.ask()
    store.lost_answers = 0
    await asyncio.sleep(1)

    assert answer.degradations == (WITHOUT_STORE,)
    assert await other.ask() == Answer(b"one1", Place("one", 1), repeated=True, degradations=())
    assert await it.ask() == answer._replace(repeated=True, degradations=())
    assert other.decisions == it.once.statistics.lost == 0


async def test_every_answer_says_that_the_store_was_not_told_until_it_is() -> None:
    store = Store()
    it = Server(store)
    store.error = DOWN
    first, second = await it.ask(), await it.ask()
    store.error = None

    third = await it.ask()

    assert first.degradations == second.degradations == (WITHOUT_STORE,)
    assert third.degradations == ()
    assert {each.assessment for each in (first, second, third)} == {b"one1"}


async def test_what_cannot_be_looked_for_but_can_be_offered_is_decided_once() -> None:
    it = Server(Store())
    it.reads.breaker.force(State.FORCED_OPEN, now())

    answer = await it.ask()

    assert answer == Answer(b"one1", Place("one", 1), repeated=False, degradations=())
    assert (await Server(it.store, "two").ask()).assessment == b"one1"


async def test_who_knows_only_that_another_was_first_says_so_and_asks_again() -> None:
    store = Store()
    one, two = Server(store), Server(store, "two")
    await one.ask()
    two.reads.breaker.force(State.FORCED_OPEN, now())

    lonely = await two.ask()

    assert lonely.degradations == (Degradation("idempotency", "none", "BREAKER_OPEN"),)
    two.reads.breaker.force(None, now())
    assert await two.ask() == Answer(b"one1", Place("one", 1), repeated=True, degradations=())


async def test_who_left_before_the_store_had_it_makes_no_second_decision() -> None:
    store = Store()
    one, two = Server(store), Server(store, "two")
    store.seconds = 0.01
    leaves = asyncio.create_task(one.ask())
    await asyncio.sleep(0.025)  # it was looked for, and decided, and is being offered
    leaves.cancel()
    await asyncio.wait([leaves])
    assert one.decisions == 1
    theirs = await two.ask()

    ours = await one.ask()

    assert ours == Answer(b"two1", Place("two", 1), repeated=True, degradations=())
    assert ours == theirs._replace(repeated=True)
    assert one.book.records == {}


async def test_the_first_decision_stays_whoever_goes_on_record_later() -> None:
    store = Store()
    cut_off, other = Server(store), Server(store, "two")
    store.error = DOWN
    lonely = await cut_off.ask()
    store.error = None
    first = await other.ask()

    await asyncio.sleep(1)

    assert (lonely.assessment, lonely.degradations) == (b"one1", (WITHOUT_STORE,))
    assert (first.assessment, first.degradations) == (b"two1", ())
    for server in (other, cut_off, Server(store, "three")):
        assert (await server.ask()).assessment == b"two1"


async def test_what_is_decided_twice_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    cut_off, other = Server(store), Server(store, "two")
    store.error = DOWN
    await cut_off.ask()
    store.error = None
    await other.ask()

    await asyncio.sleep(1)

    assert caplog.messages == [
        "'t' was decided here while the store was away, and before by two: that stays"
    ]


async def test_a_store_that_was_away_for_long_hears_of_all_that_is_on_record() -> None:
    store = Store()
    it = Server(store)
    store.error = DOWN
    for number in range(250):
        await it.ask(str(number))
    await asyncio.sleep(3000)
    store.error = None
    await asyncio.sleep(5)

    other = Server(store, "two")
    answers = [await other.ask(str(number)) for number in range(250)]

    assert [each.assessment for each in answers] == [b"one%d" % n for n in range(1, 251)]
    assert (other.decisions, it.once.statistics.unmarked) == (0, 0)


async def test_a_server_that_is_killed_before_the_store_knows_answers_from_its_record() -> None:
    store = Store()
    it = Server(store)
    store.error = DOWN
    first = await it.ask()
    again = it.killed()  # and what it would still have told the store is lost
    store.error = None
    await store.close()

    answer = await again.ask()

    assert answer == first._replace(repeated=True, degradations=())
    assert (again.decisions, again.once.statistics.recalled) == (0, 1)
    assert len(it.book.records) == 1
    assert (await Server(store, "two").ask()).assessment == b"one1", "the store knows it again"


async def test_what_is_on_record_is_answered_also_while_the_store_is_away() -> None:
    store = Store()
    it = Server(store)
    first = await it.ask()
    again = it.killed()
    store.error = DOWN

    answer = await again.ask()

    assert answer == first._replace(repeated=True, degradations=(WITHOUT_STORE,))
    assert again.decisions == 0


async def test_what_is_on_record_and_cannot_be_read_is_decided_anew_and_says_so() -> None:
    it = Server(Store())
    await it.ask()
    again = it.killed()
    await it.store.close()
    again.book.unreadable = DependencyFailed("the file was changed")

    answer = await again.ask()

    assert answer.degradations == (WITHOUT_STORE,)
    assert again.decisions == 1


async def test_what_was_recorded_too_long_ago_is_not_known_any_more() -> None:
    it = Server(Store())
    await it.ask()
    await asyncio.sleep(3601)

    again = it.killed()

    await again.ask()

    assert (again.decisions, again.once.statistics.recalled) == (1, 0)


async def test_a_decision_of_another_server_goes_before_what_is_on_record_here() -> None:
    store = Store()
    it, other = Server(store), Server(store, "two")
    store.error = DOWN
    await it.ask()
    again = it.killed()
    await it.once.close()
    store.error = None
    await other.ask()

    assert (await again.ask()).assessment == b"two1"


async def test_a_store_that_forgets_what_it_has_just_known_takes_the_promise() -> None:
    class Forgetful(Store):
        async def put(self, entries: Sequence[blobs.Entry]) -> Sequence[Written]:
            return [Written.SAME for _ in entries]

    it = Server(Forgetful())

    assert (await it.ask()).degradations == (WITHOUT_STORE,)


async def test_who_leaves_takes_nothing_from_those_who_stay() -> None:
    it = Server(Store())
    leaves = asyncio.create_task(it.ask())
    await asyncio.sleep(0.001)
    stays = asyncio.create_task(it.ask())
    await asyncio.sleep(0.001)

    leaves.cancel()

    assert (await stays).assessment == b"one1"


async def test_a_decision_that_fails_is_made_again_by_who_asks_next() -> None:
    it = Server(Store())

    async def fails(call: Call, deadline: Deadline) -> Decided:
        raise DependencyFailed("no")

    with pytest.raises(DependencyFailed):
        await it.once.answer(
            CALL, Deadline.after(1.0, now=now()), "t", "f", decide=fails, recall=recall
        )

    assert (await it.ask()).assessment == b"one1"


async def test_what_is_known_can_be_looked_up() -> None:
    it = Server(Store())
    deadline = Deadline.after(0.1, now=now())
    assert await it.once.known(CALL, deadline, "t") is None
    await it.ask()
    await asyncio.sleep(0.001)

    again = await it.restarted()
    found = await again.once.known(CALL, deadline, "t")

    assert found is not None
    assert (found.assessment, found.place, found.record) == (b"one1", Place("one", 1), b"")
