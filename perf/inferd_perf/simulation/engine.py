"""A server with one model version, simulated: its event loop, its batcher and its executors.

Its event loop (`loop`) is as busy with every step as the front says. The batcher is
`inferd.inference.batcher`, step by step: calls enter one by one; when the turn of the loop is
over, and whenever a batch is back or the timer rings, it drops, stops, picks and sets the
timer. A discipline cannot tell the two apart. (Runs short enough for the event loop itself are
not simulated.)

A call is in time when its answer has reached its caller by the caller's own deadline.
"""

import math
from collections.abc import Sequence
from typing import cast

from inferd.inference.scheduling import Discipline, Drop, Reason, Run
from inferd_perf.simulation.attempts import Attempts, Member
from inferd_perf.simulation.calls import Batch, Calls, History, Outcome
from inferd_perf.simulation.decisions import DecisionLog
from inferd_perf.simulation.door import Door
from inferd_perf.simulation.executors import Active, Executors
from inferd_perf.simulation.front import FREE, Front
from inferd_perf.simulation.loop import NEVER, Loop
from inferd_perf.simulation.machine import Machine

NS = 1e-9
SECOND_NS = 1_000_000_000
#: What nanoseconds may gain on the way to seconds and back.
ROUNDING_NS = 1e-3
#: Timers for each call, and for a simulation without any: more are a discipline in a loop.
RINGS = 100
ANSWERED = (Outcome.OK, Outcome.FAILED)


class Misbehaved(AssertionError):
    """A discipline did what none may do, or a call did not end exactly once."""


class Engine:
    """One simulation: make it, `run` it once."""

    def __init__(
        self,
        discipline: Discipline,
        machine: Machine,
        calls: Calls,
        *,
        seed: int = 1,
        front: Front = FREE,
        log: DecisionLog | None = None,
    ) -> None:
        self._discipline = discipline
        self._executors = Executors(machine, seed, calls.costs)
        self._attempts = Attempts(calls)
        self._most = machine.max_batch
        self._log = log
        self._loop = Loop()
        self._receive_ns, self._admit_ns = front.ns(front.receive_us), front.ns(front.admit_us)
        self._refuse_ns, self._answer_ns = front.ns(front.refuse_us), front.ns(front.answer_us)
        self._dispatch_ns = front.ns(front.dispatch_us)
        #: From the caller to the server, and from the server to the caller.
        self._way_ns = front.ns(front.round_trip_us / 2)
        self._guard_ns = front.guard_ns
        self._door: Door | None = None
        if front.shed_above_busy < 1:
            pending = self._attempts.pending
            self._door = Door(front.shed_above_busy, seed, self._loop, pending)
        self._turn_counted = False
        self._timer_at = math.inf
        self._timer = 0
        self._most_rings = RINGS * (len(calls) + RINGS)
        self._runs: list[Batch] = []

    def run(self) -> History:
        """Simulate until the last call has ended and the last run is over."""
        if self._door:
            self._door.open()
        self._loop.run([sent + self._way_ns for sent in self._attempts.sent], self._arrive)
        if self._attempts.pending():
            raise Misbehaved(f"{self._attempts.pending()} calls never ended")
        return self._attempts.history(self._runs, loop_ns=self._loop.busy_ns)

    # -- a call comes, and goes ------------------------------------------------------

    def _arrive(self, number: int) -> None:
        if self._door and self._door.turns_away():
            self._attempts.settled[number] = 1
            self._end(number, Outcome.REFUSED, self._attempts.sent[number] + self._way_ns)
            return
        self._loop.work(self._receive_ns)
        now_s = self._loop.now * NS
        members = self._attempts.tickets(number, now_s, self._most, way_ns=self._way_ns)
        drop = self._enter(now_s, members)
        if drop is not None:
            self._note("refuse", members[:1])
            self._attempts.settled[number] = 1
            self._loop.work(self._refuse_ns)
            crowded_out = drop.reason is not Reason.INFEASIBLE
            self._end_here(number, Outcome.REFUSED, drop.retry_after_s, crowded_out=crowded_out)
            return
        self._attempts.admit(number)
        if not self._turn_counted:
            self._turn_counted = True
            self._loop.soon(self._turn_over)
        self._loop.work(self._admit_ns)
        self._loop.at(members[0].due_ns + 1, self._leave, members[0])

    def _enter(self, now_s: float, members: Sequence[Member]) -> Drop | None:
        """Let all parts of a call in, or none."""
        for at, member in enumerate(members):
            drop = self._discipline.enter(now_s, member)
            if drop is not None:
                for other in members[:at]:
                    self._discipline.cancel(other)
                return drop
        return None

    def _leave(self, member: Member) -> None:
        """Notice that a caller has gone: its time is over."""
        if self._attempts.settled[member.number]:
            return
        ran = any(part.active for part in member.parts or (member,))
        self._abandon(member)
        self._settle(member, Outcome.LATE if ran else Outcome.EXPIRED)
        self._tell(member)

    def _settle(self, member: Member, verdict: Outcome) -> None:
        """Decide how a call ends, all of it. Its caller is told later."""
        member.verdict = verdict
        member.gone = True
        self._attempts.settled[member.number] = 1
        if member.parts:
            self._abandon(member)

    def _abandon(self, member: Member) -> None:
        """Leave nothing behind of a call whose caller gets no answer."""
        for part in member.parts or (member,):
            if not part.gone:
                part.gone = True
                if not self._discipline.cancel(part) and part.active:
                    self._stop_if_deserted(part.active)

    def _answer(self, member: Member) -> None:
        self._loop.work(self._answer_ns)
        in_time = self._loop.now + self._way_ns <= self._attempts.due[member.number]
        self._end_here(member.number, Outcome.OK if in_time else Outcome.LATE)

    def _tell(self, member: Member) -> None:
        self._loop.work(self._refuse_ns)
        self._end_here(member.number, member.verdict, member.retry_after_s)

    def _end_here(
        self,
        number: int,
        outcome: Outcome,
        retry_after_s: float = -1.0,
        *,
        crowded_out: bool = False,
    ) -> None:
        if self._door:
            self._door.note(lost=crowded_out)
        self._end(number, outcome, self._loop.now, retry_after_s)

    def _end(
        self, number: int, outcome: Outcome, left_ns: int, retry_after_s: float = -1.0
    ) -> None:
        """End a call with what left the server at `left_ns`."""
        if not self._attempts.end(number, outcome, left_ns + self._way_ns):
            raise Misbehaved(f"call {number} ended twice")
        if outcome not in ANSWERED:
            again = self._attempts.try_again(number, retry_after_s)
            if again is not None:
                self._loop.at(self._attempts.sent[again] + self._way_ns, self._arrive, again)

    # -- one look: drop, run ---------------------------------------------------------

    def _turn_over(self, _: None) -> None:
        self._turn_counted = False
        if len(self._discipline):
            self._look(self._loop.now * NS)

    def _look(self, now_s: float) -> None:
        self._refuse(self._discipline.given_up(now_s))
        self._expire_running()
        executors, discipline = self._executors, self._discipline
        while executors.idle and (run := discipline.pick(now_s)):
            now_s = self._loop.now * NS
            self._start(run, now_s)
        self._set_timer(now_s)

    def _refuse(self, drops: Sequence[Drop]) -> None:
        for drop in drops:
            member = cast(Member, drop.ticket)
            if member.active:
                raise Misbehaved(f"call {member.number} was dropped from a run")
            if member.gone:
                continue
            self._note("drop", (member,))
            member.retry_after_s = drop.retry_after_s
            self._settle(member, Outcome.DROPPED)
            self._loop.soon(self._tell, member)

    def _start(self, run: Run, now_s: float) -> None:
        run.picked_at = now_s
        members = cast(Sequence[Member], run.tickets)
        self._check(run, members)
        self._note("run", members)
        self._loop.work(self._dispatch_ns)
        active = self._executors.start(self._loop.now, run, members)
        for member in members:
            member.active = active
        self._runs.append(active.record)
        self._foresee(active)

    def _check(self, run: Run, members: Sequence[Member]) -> None:
        rows = sum([member.rows for member in members])
        if not 0 < rows == run.rows <= self._most:
            raise Misbehaved(f"a run of {run.rows} rows has {rows}")
        key = members[0].key
        for member in members:
            if member.active or member.verdict in (Outcome.REFUSED, Outcome.DROPPED):
                raise Misbehaved(f"call {member.number} was run, although it had left the queue")
            if member.key != key:
                raise Misbehaved(f"call {member.number} was run with others of another key")

    def _foresee(self, active: Active) -> None:
        """Have a run come back when it ends; others, too, if their ends have changed."""
        for each in self._executors.active if self._executors.shared else (active,):
            self._loop.at(each.ends_ns, self._come_back, (each, each.ends_ns))

    def _come_back(self, ended: tuple[Active, int]) -> None:
        active, ends_ns = ended
        if active.back or active.ends_ns != ends_ns:
            return  # it was stopped meanwhile, or others came or went on the same cores
        self._executors.end(self._loop.now, active)
        if self._executors.shared:
            for each in self._executors.active:
                self._loop.at(each.ends_ns, self._come_back, (each, each.ends_ns))
        now_s = self._loop.now * NS
        self._discipline.finished(now_s, active.run, learn=active.clean)
        for member in active.members:
            if member.gone:
                active.record.gone += 1
            else:
                self._deliver(member)
        self._loop.soon(self._answered, self._loop.now)
        self._look(now_s)

    def _deliver(self, member: Member) -> None:
        """Hand a caller what its run has come to; the last part answers for all."""
        if member.poison or self._loop.now > member.due_ns:
            self._settle(member, Outcome.FAILED if member.poison else Outcome.LATE)
            self._loop.soon(self._tell, member)
            return
        member.gone = True
        if not member.parts or all(part.gone for part in member.parts):
            self._settle(member, Outcome.OK)
            self._loop.soon(self._answer, member)

    def _answered(self, since_ns: int) -> None:
        self._discipline.answered((self._loop.now - since_ns) * NS)

    # -- those whose time is over while they run ---------------------------------------

    def _expire_running(self) -> None:
        """Tell the members of runs whose deadline is about to pass."""
        soon = self._loop.now + self._guard_ns
        for active in self._executors.active:
            if active.next_due_ns > soon:
                continue
            for member in active.members:
                if member.due_ns <= soon and not member.gone:
                    self._settle(member, Outcome.LATE)
                    self._loop.soon(self._tell, member)
            alive = [member.due_ns for member in active.members if not member.gone]
            active.next_due_ns = min(alive, default=NEVER)
            if not alive:
                self._stop(active)

    def _stop_if_deserted(self, active: Active) -> None:
        if all(member.gone for member in active.members):
            self._stop(active)

    def _stop(self, active: Active) -> None:
        if self._executors.stop(self._loop.now, active):
            self._note("stop", active.members[:1])
            self._foresee(active)

    # -- when to look again -------------------------------------------------------------

    def _set_timer(self, now_s: float) -> None:
        wake = self._discipline.wake_at(now_s)
        for active in self._executors.active:
            if active.next_due_ns != NEVER:
                wake = min(wake, (active.next_due_ns - self._guard_ns) * NS)
        if wake >= self._timer_at or wake == math.inf:
            return
        self._timer_at = wake
        self._timer += 1
        at_ns = math.ceil(wake * SECOND_NS - ROUNDING_NS)
        self._loop.at(max(self._loop.now, at_ns), self._ring, self._timer)

    def _ring(self, timer: int) -> None:
        if timer != self._timer:
            return
        if timer > self._most_rings:
            raise Misbehaved("it wants to look again and again, and never decides anything")
        due, self._timer_at = self._timer_at, math.inf
        self._timer += 1
        self._look(max(self._loop.now * NS, due))

    def _note(self, what: str, members: Sequence[Member]) -> None:
        if self._log is not None:
            self._log.note(self._loop.now, what, [member.number for member in members])
