"""The simulated server, one call at a time, by hand: when everything happens, to the nanosecond."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from inferd.inference.scheduling import Drop, Reason, Run, Ticket
from inferd_perf.simulation.calls import Calls, History, Outcome, Retries
from inferd_perf.simulation.decisions import DecisionLog
from inferd_perf.simulation.engine import Engine, Misbehaved
from inferd_perf.simulation.front import Front
from inferd_perf.simulation.machine import Machine, Slow
from support.simulated import MS, PLAIN, Careful, Queue, calls_of

GUARDED = Front(name="guarded", guard_ms=0.5)


def played(
    calls: Calls,
    queue: Queue | None = None,
    *,
    machine: Machine = PLAIN,
    front: Front | None = None,
    log: DecisionLog | None = None,
) -> History:
    front = front or Front(name="free")
    queue = Queue() if queue is None else queue
    return Engine(queue, machine, calls, front=front, log=log).run()


def ends(history: History) -> list[tuple[str, float]]:
    """How each attempt ended, and when, in milliseconds."""
    pairs = zip(history.outcome.tolist(), history.ended_ns.tolist(), strict=True)
    return [(Outcome(outcome).name, ended / MS) for outcome, ended in pairs]


def runs(history: History) -> list[tuple[float, float, tuple[int, ...]]]:
    return [(run.start_ns / MS, run.end_ns / MS, run.members) for run in history.runs]


def test_a_call_alone_takes_as_long_as_its_run() -> None:
    history = played(calls_of(3.0))

    assert ends(history) == [("OK", 4.0)]
    assert runs(history) == [(3.0, 4.0, (0,))]
    assert history.admitted.tolist() == [True]
    assert history.end_ns == 4 * MS


def test_calls_that_come_in_one_turn_of_the_loop_share_a_batch() -> None:
    history = played(calls_of(3.0, 3.0, 3.000001))

    assert runs(history) == [(3.0, 5.0, (0, 1)), (5.0, 6.0, (2,))]


def test_calls_that_come_while_a_batch_runs_wait_for_its_end() -> None:
    history = played(calls_of(0.0, 0.1, 0.9, 1.5))

    assert runs(history) == [(0.0, 1.0, (0,)), (1.0, 3.0, (1, 2)), (3.0, 4.0, (3,))]


def test_every_instance_runs_a_batch_of_its_own() -> None:
    history = played(calls_of(0.0, 0.1, 0.2), machine=replace(PLAIN, instances=2))

    assert runs(history) == [(0.0, 1.0, (0,)), (0.1, 1.1, (1,)), (1.0, 2.0, (2,))]
    assert len({run.executor for run in history.runs[:2]}) == 2


def test_runs_that_share_cores_slow_each_other_down() -> None:
    machine = replace(PLAIN, instances=2, sharing=1.0)

    history = played(calls_of(0.0, 0.5), machine=machine)

    # Alone for 0.5 ms; together, at half the speed, for 1 ms; then the second one is alone.
    assert runs(history) == [(0.0, 1.5, (0,)), (0.5, 2.0, (1,))]


def test_an_answer_counts_if_it_comes_by_the_deadline_to_the_nanosecond() -> None:
    on_time = played(calls_of(0.0, within_ms=1.0))
    late = played(calls_of(0.0, within_ms=0.999999))

    assert ends(on_time) == [("OK", 1.0)]
    assert ends(late) == [("LATE", 0.999999)]


def test_who_is_past_the_deadline_in_the_queue_is_told_nothing() -> None:
    history = played(calls_of(0.0, 0.1, within_ms=[10.0, 0.5]))

    assert ends(history)[1] == ("EXPIRED", 0.600001)
    assert runs(history) == [(0.0, 1.0, (0,))]


def test_a_member_whose_time_is_over_is_told_a_guard_before() -> None:
    history = played(calls_of(0.0, 0.0, within_ms=[1.5, 10.0]), front=GUARDED)

    assert ends(history) == [("LATE", 1.0), ("OK", 2.0)]
    assert [(run.gone, run.late) for run in history.runs] == [(1, 0)]


def test_a_run_that_nobody_waits_for_is_stopped_after_an_operator() -> None:
    queue = Queue()
    machine = replace(PLAIN, operator_share=0.1)

    history = played(calls_of(0.0, 0.0, 3.0, within_ms=[1.0, 0.5, 9.0]), queue, machine=machine)

    assert runs(history)[0] == (0.0, 1.2, (0, 1))
    assert history.runs[0].stopped
    assert [learn for _, _, learn in queue.learnt] == [False, True]


def test_a_run_that_ends_sooner_by_itself_is_not_stopped() -> None:
    machine = replace(PLAIN, operator_share=0.1)

    history = played(calls_of(0.0, within_ms=0.95), machine=machine)

    assert runs(history) == [(0.0, 1.0, (0,))]
    assert not history.runs[0].stopped


def test_a_discipline_that_asks_to_be_woken_is_woken_then() -> None:
    history = played(calls_of(0.0, 0.2, 0.3), Careful(patience_s=0.0005))

    assert ends(history) == [("OK", 1.0), ("DROPPED", 0.7), ("DROPPED", 0.8)]


def test_a_refusal_is_told_at_once() -> None:
    history = played(calls_of(0.0, 0.1, 0.2), Queue(most=1))

    assert ends(history)[2] == ("REFUSED", 0.2)
    assert history.admitted.tolist() == [True, True, False]


def test_a_request_larger_than_a_batch_is_run_in_parts_and_answered_once() -> None:
    history = played(calls_of(0.0, rows=10))

    assert [run.rows for run in history.runs] == [4, 4, 2]
    assert ends(history) == [("OK", 10.0)]


def test_a_request_in_parts_is_over_for_all_of_them_when_one_is_too_late() -> None:
    history = played(calls_of(0.0, rows=12, within_ms=6.0), machine=PLAIN)

    assert ends(history) == [("LATE", 6.0)]
    assert [run.members for run in history.runs] == [(0,), (0,)]
    assert history.runs[1].stopped


def test_a_request_in_parts_is_refused_as_a_whole() -> None:
    queue = Queue(most=2)

    history = played(calls_of(0.0, 0.1, rows=[1, 12]), queue)

    assert ends(history) == [("OK", 1.0), ("REFUSED", 0.1)]
    assert len(history.runs) == 1


def test_poison_is_found_by_halving_and_fails_alone() -> None:
    queue = Queue()

    history = played(calls_of(0.0, 0.0, 0.0, 0.0, poison=[2]), queue)

    # 4 rows, then 2 and 2, then the half with the poison once more in halves: 4 + 2 + 2 + 1 + 1.
    assert ends(history) == [("OK", 10.0)] * 2 + [("FAILED", 10.0), ("OK", 10.0)]
    assert [(rows, learn) for rows, _, learn in queue.learnt] == [(4, False)]


def test_a_run_takes_as_long_as_its_key_says() -> None:
    calls = calls_of(0.0, 0.0, 0.0, keys=("short", "long"), key=[1, 0, 1])

    history = played(calls)

    assert runs(history) == [(0.0, 4.0, (0, 2)), (4.0, 5.0, (1,))]


def test_a_run_that_begins_in_a_slow_phase_is_slow() -> None:
    machine = replace(PLAIN, slow=(Slow(from_s=0.001, to_s=0.002, factor=3.0),))

    history = played(calls_of(0.0, 1.5, 6.0), machine=machine)

    assert [end - start for start, end, _ in runs(history)] == [1.0, 3.0, 1.0]


def test_the_event_loop_does_one_thing_after_the_other() -> None:
    front = Front(
        name="slow", receive_us=100, admit_us=200, refuse_us=50, answer_us=30, dispatch_us=10
    )
    queue = Queue(most=2)

    history = played(calls_of(0.0, 0.0, 0.0), queue, front=front)

    # Received at 0.1, admitted until 0.3; the second at 0.4, until 0.6; the third refused.
    assert queue.entered == [pytest.approx(at) for at in (0.0001, 0.0004, 0.0007)]
    assert ends(history)[2] == ("REFUSED", 0.75)
    assert runs(history) == [(0.76, 2.76, (0, 1))]
    assert ends(history)[:2] == [("OK", 2.79), ("OK", 2.82)]
    assert queue.answers == [pytest.approx(0.00006)]
    assert history.loop_ns == 3 * 0.1 * MS + 2 * 0.2 * MS + 0.05 * MS + 0.01 * MS + 2 * 0.03 * MS


def test_an_answer_that_leaves_too_late_does_not_count() -> None:
    front = Front(name="slow", answer_us=300)

    history = played(calls_of(0.0, 0.0, within_ms=2.4), front=front)

    assert ends(history) == [("OK", 2.3), ("LATE", 2.6)]
    assert [(run.gone, run.late) for run in history.runs] == [(0, 1)]


def test_the_way_to_the_server_and_back_is_its_callers_time() -> None:
    front = Front(name="far", round_trip_us=200)

    history = played(calls_of(0.0, 2.0, within_ms=[1.2, 1.199]), front=front)

    assert runs(history)[0] == (0.1, 1.1, (0,))
    assert ends(history) == [("OK", 1.2), ("LATE", 3.2)]


def test_a_full_loop_lets_envoy_turn_calls_away() -> None:
    front = Front(name="busy", refuse_us=50, answer_us=50, shed_above_busy=0.3)
    calls = calls_of(*[at * 0.04 for at in range(8000)])

    history = played(calls, Queue(most=10), front=front)

    at_the_door = history.ended_ns == history.sent_ns
    assert not at_the_door[history.sent_ns < 60 * MS].any()
    assert at_the_door[history.sent_ns > 200 * MS].mean() > 0.5
    assert history.loop_ns < 0.6 * history.end_ns


def test_who_is_told_to_come_back_does_so_in_time_or_not_at_all() -> None:
    calls = calls_of(0.0, 0.1, 0.2, within_ms=4.0, retries=Retries(most=3))

    history = played(calls, Queue(most=1, retry_after_s=0.0015))
    hopeless = played(calls, Queue(most=1, retry_after_s=0.004))

    assert history.call.tolist() == [0, 1, 2, 2]
    assert ends(history)[2:] == [("REFUSED", 0.2), ("OK", 3.0)]
    assert (history.sent_ns[3], history.due_ns[3]) == (1.7 * MS, 4.2 * MS)
    assert hopeless.call.tolist() == [0, 1, 2]


def test_who_is_told_not_to_come_back_does_not() -> None:
    calls = calls_of(0.0, 0.1, 0.2, retries=Retries(most=3))

    history = played(calls, Queue(most=1, retry_after_s=-1))

    assert history.call.tolist() == [0, 1, 2]


def test_who_was_told_nothing_asks_anew_as_often_as_allowed() -> None:
    calls = calls_of(0.0, within_ms=0.5, retries=Retries(most=2))

    history = played(calls, machine=replace(PLAIN, operator_share=0.0))

    assert history.call.tolist() == [0, 0, 0]
    assert history.sent_ns.tolist() == [0, 0.5 * MS, 1.0 * MS]
    assert [name for name, _ in ends(history)] == ["LATE"] * 3


def test_every_attempt_ends_once_and_runs_do_not_overlap() -> None:
    calls = calls_of(*[at * 0.3 for at in range(200)], within_ms=[3.0, 9.0] * 100)

    history = played(calls, Queue(most=20))

    assert (history.outcome != Outcome.PENDING).all()
    assert all(before.end_ns <= after.start_ns for before, after in pairwise(history.runs))
    ok = history.outcome == Outcome.OK
    assert (history.ended_ns <= history.due_ns)[ok].all()
    assert ok.any()
    assert not ok.all()


def test_the_log_tells_every_decision_in_order() -> None:
    log = DecisionLog(keep=True)

    played(calls_of(0.0, 0.1, 0.2, 0.3, within_ms=[0.9, 9, 9, 9]), Queue(most=2), log=log)

    assert log.lines == [
        "0 run 0\n",
        "300000 refuse 3\n",
        "900000 stop 0\n",
        "930000 run 1,2\n",
    ]


class Forgetful(Queue):
    def given_up(self, now: float) -> list[Drop]:
        return [Drop(ticket, Reason.LATE_DROP) for ticket in self.waiting]


class Repeating(Queue):
    def cancel(self, ticket: Ticket) -> bool:
        return False

    def finished(self, now: float, run: Run, *, learn: bool = True) -> None:
        self.waiting.extend(run.tickets)


class Greedy(Queue):
    def pick(self, now: float) -> Run | None:
        run = super().pick(now)
        return run and Run(run.tickets, run.rows + 1, now, 0.0, "idle", now)


class Restless(Queue):
    def pick(self, now: float) -> Run | None:
        return None

    def wake_at(self, now: float) -> float:
        return now if self.waiting else math.inf


@pytest.mark.parametrize("queue", [Forgetful(), Repeating(), Greedy(), Restless()])
def test_what_no_discipline_may_do_is_an_error(queue: Queue) -> None:
    with pytest.raises(Misbehaved):
        played(calls_of(0.0, 0.0, 0.1, within_ms=50.0), queue)


def test_members_of_a_run_must_have_one_key() -> None:
    class Mixing(Queue):
        def pick(self, now: float) -> Run | None:
            taken, self.waiting = tuple(self.waiting), []
            return Run(taken, len(taken), now, 0.0, "idle", now) if taken else None

    with pytest.raises(Misbehaved, match="key"):
        played(calls_of(0.0, 0.0, keys=("a", "b"), key=[0, 1]), Mixing())
