"""The executors at run time: which are idle, and when each run under way will end."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

from inferd.inference.scheduling import Run
from inferd_perf.simulation.calls import Batch
from inferd_perf.simulation.machine import Machine, disturbances

if TYPE_CHECKING:
    from inferd_perf.simulation.attempts import Member

NS = 1e-9
SECOND_NS = 1_000_000_000


class Active:
    """A batch that is being run."""

    __slots__ = ("back", "clean", "ends_ns", "left_ns", "members", "next_due_ns", "record", "run",
                 "work_ns")  # fmt: skip

    def __init__(self, run: Run, members: "Sequence[Member]", record: Batch, work_ns: int) -> None:
        self.run = run
        self.members = members
        self.record = record
        #: The time it takes alone on its cores, and what is left of that.
        self.work_ns = work_ns
        self.left_ns: float = work_ns
        self.ends_ns = 0
        #: The earliest deadline among the members still waiting.
        self.next_due_ns = min([member.due_ns for member in members])
        #: Whether its time says something.
        self.clean = True
        #: Whether it has ended.
        self.back = False


class Executors:
    """Runs batches in simulated time. Times in nanoseconds."""

    def __init__(self, machine: Machine, seed: int, costs: Mapping[Hashable, float]) -> None:
        self._machine = machine
        self._costs = costs
        self._disturbances = [
            disturbances(machine, seed, executor) for executor in range(machine.instances)
        ]
        most = machine.max_batch
        self._base_ns = [0.0, *(machine.seconds(rows) * SECOND_NS for rows in range(1, most + 1))]
        self.idle = list(range(machine.instances))
        self.active: list[Active] = []
        self._shared_at = 0

    def start(self, now: int, run: Run, members: "Sequence[Member]") -> Active:
        """Run a batch. Whose end changes is in `active`, where cores are shared."""
        executor = self.idle.pop()
        factor = next(self._disturbances[executor])
        factor *= self._costs.get(members[0].key, 1.0) if self._costs else 1.0
        factor *= self._machine.slowness(now * NS) if self._machine.slow else 1.0
        numbers = tuple([member.number for member in members])
        record = Batch(now, 0, executor, run.rows, numbers)
        active = Active(run, members, record, round(self._work_ns(members, run.rows) * factor))
        active.clean = not any(member.poison for member in members)
        run.failed = not active.clean
        self._progress(now)
        self.active.append(active)
        self._foresee(now, active)
        return active

    def stop(self, now: int, active: Active) -> bool:
        """End a run after the operator that it is in; False if it ends sooner by itself."""
        operator_ns = active.work_ns * self._machine.operator_share
        self._progress(now)
        if active.back or active.record.stopped or active.left_ns <= operator_ns:
            return False
        active.left_ns = operator_ns
        active.record.stopped = True
        active.clean = False
        self._foresee(now, active)
        return True

    def end(self, now: int, active: Active) -> None:
        """Take the executor back from a run that is over."""
        self._progress(now)
        active.back = True
        active.record.end_ns = active.ends_ns
        self.active.remove(active)
        self.idle.append(active.record.executor)
        self._foresee(now, None)

    @property
    def shared(self) -> bool:
        """Whether a run's end depends on what else runs."""
        return self._machine.sharing > 0 and self._machine.instances > 1

    def _progress(self, now: int) -> None:
        """Take what has been done since the last time off what is left of every run."""
        speed = 1.0 / self._machine.slowdown(max(len(self.active), 1))
        for active in self.active:
            active.left_ns = max(0.0, active.left_ns - (now - self._shared_at) * speed)
        self._shared_at = now

    def _foresee(self, now: int, only: Active | None) -> None:
        """Say anew when runs will end: the only one that has changed, or all that share."""
        if not self.shared:
            if only is not None:
                only.ends_ns = now + round(only.left_ns)
            return
        slowdown = self._machine.slowdown(max(len(self.active), 1))
        for active in self.active:
            active.ends_ns = now + round(active.left_ns * slowdown)

    def _work_ns(self, members: "Sequence[Member]", rows: int) -> float:
        """Return the time of a run, and of the halves that are run when an input fails it."""
        work = self._base_ns[rows]
        if len(members) > 1 and any(member.poison for member in members):
            middle = len(members) // 2
            for half in (members[:middle], members[middle:]):
                work += self._work_ns(half, sum([member.rows for member in half]))
        return work
