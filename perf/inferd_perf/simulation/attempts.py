"""The calls as the server meets them: attempts, each of them one ticket or, if large, several."""

from collections.abc import Hashable

import numpy as np

from inferd.inference.scheduling import Ticket
from inferd_perf.simulation.calls import Batch, Calls, Column, History, Outcome
from inferd_perf.simulation.executors import Active

NS = 1e-9
SECOND_NS = 1_000_000_000


class Member(Ticket):
    """A ticket, and what the simulated server knows about it. Part of a call, or all of it."""

    __slots__ = (
        "active",
        "due_ns",
        "gone",
        "number",
        "parts",
        "poison",
        "retry_after_s",
        "verdict",
    )

    def __init__(
        self,
        *,
        number: int,
        rows: int,
        due_ns: int,
        arrived: float,
        within_s: float,
        key: Hashable,
        weight: float,
        caller: Hashable,
        retried: bool,
        poison: bool,
    ) -> None:
        super().__init__(
            rows=rows,
            deadline=due_ns * NS,
            arrived=arrived,
            key=key,
            weight=weight,
            caller=caller,
            retried=retried,
        )
        self.within_s = within_s
        #: The attempt that it belongs to.
        self.number = number
        self.due_ns = due_ns
        self.poison = poison
        #: The batch it is in, or was.
        self.active: Active | None = None
        #: Whether nobody waits for it any more.
        self.gone = False
        #: All parts of a call that no batch can hold, this one among them.
        self.parts: tuple[Member, ...] = ()
        #: What its caller is about to be told.
        self.verdict = Outcome.PENDING
        self.retry_after_s = -1.0


class Attempts:
    """Every attempt there is or was, in columns, and who tries again."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._within: list[int] = calls.within_ns.tolist()
        self._rows: list[int] = calls.rows.tolist()
        self._keys = [calls.keys[at] for at in calls.key.tolist()]
        self._weights: list[float] = calls.weight.tolist()
        self._callers: list[int] = calls.caller.tolist()
        self._poison: list[int] = calls.poison.tolist()
        self.sent: list[int] = calls.sent_ns.tolist()
        self.due: list[int] = (calls.sent_ns + calls.within_ns).tolist()
        self._call = list(range(len(calls)))
        #: How many attempts of the same call went before.
        self._tries = [0] * len(calls)
        self._ended = [0] * len(calls)
        self._outcome = bytearray(len(calls))
        self._admitted = bytearray(len(calls))
        #: Whether its end is decided, if perhaps not yet told.
        self.settled = bytearray(len(calls))

    def tickets(self, number: int, now: float, most: int, *, way_ns: int) -> tuple[Member, ...]:
        """Return an attempt's parts of at most so many rows; `way_ns` is the way to the server."""
        rows = self._rows[self._call[number]]
        if rows <= most:
            return (self._member(number, rows, 1, now, way_ns),)
        sizes = [min(most, rows - at) for at in range(0, rows, most)]
        count = len(sizes)
        members = tuple([self._member(number, size, count, now, way_ns) for size in sizes])
        for member in members:
            member.parts = members
        return members

    def _member(self, number: int, rows: int, parts: int, now: float, way_ns: int) -> Member:
        call, due = self._call[number], self.due[number]
        return Member(
            number=number,
            rows=rows,
            due_ns=due + way_ns,
            arrived=now,
            within_s=(due - self.sent[number]) * NS,
            key=self._keys[call],
            weight=self._weights[call] / parts,
            caller=self._callers[call] if self._calls.named else None,
            retried=self._tries[number] > 0,
            poison=self._poison[call] == 1,
        )

    def admit(self, number: int) -> None:
        """Note that the server has let an attempt in."""
        self._admitted[number] = 1

    def end(self, number: int, outcome: Outcome, at_ns: int) -> bool:
        """Note how and when an attempt ended; False if it had ended before."""
        if self._outcome[number]:
            return False
        self._outcome[number] = outcome
        self._ended[number] = at_ns
        return True

    def try_again(self, number: int, retry_after_s: float) -> int | None:
        """Return the number of the next attempt after one that failed, or None.

        Who is told when to come back does so, if that leaves time; who is told not to, does
        not. Who was told nothing until the deadline gives up on it, and asks anew.
        """
        retries, call = self._calls.retries, self._call[number]
        if retries is None or self._tries[number] >= retries.most:
            return None
        sent, due, ended = self.sent[number], self.due[number], self._ended[number]
        if self._outcome[number] in (Outcome.REFUSED, Outcome.DROPPED):
            again = ended + round(retry_after_s * SECOND_NS)
            if retry_after_s < 0 or again >= due:
                return None
            sent = again
        else:
            sent = max(ended, due)
            due = sent + self._within[call]
        for column, value in (
            (self.sent, sent), (self.due, due), (self._call, call), (self._ended, 0),
            (self._tries, self._tries[number] + 1),
        ):  # fmt: skip
            column.append(value)
        for flags in (self._outcome, self._admitted, self.settled):
            flags.append(0)
        return len(self.sent) - 1

    def pending(self) -> int:
        """Return how many attempts have not ended."""
        return self._outcome.count(Outcome.PENDING)

    def history(self, runs: list[Batch], *, loop_ns: int) -> History:
        """Return all of it, when it is over."""
        outcome = np.frombuffer(self._outcome, np.uint8)
        _blame(runs, outcome)
        return History(
            calls=self._calls,
            call=np.array(self._call, np.int64),
            sent_ns=np.array(self.sent, np.int64),
            due_ns=np.array(self.due, np.int64),
            ended_ns=np.array(self._ended, np.int64),
            outcome=outcome,
            admitted=np.frombuffer(self._admitted, np.uint8).astype(bool),
            runs=tuple(runs),
            loop_ns=loop_ns,
            end_ns=max([0, *self._ended, *[run.end_ns for run in runs]]),
        )


def _blame(runs: list[Batch], outcome: Column) -> None:
    """Count in each run those who had their answers too late: known only when all is over."""
    useful = np.isin(outcome, (Outcome.OK, Outcome.FAILED)).tolist()
    for run in runs:
        missed = sum([not useful[number] for number in run.members])
        run.late = max(missed - run.gone, 0)
