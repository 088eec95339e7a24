"""Which threads of a process used the CPU, and how much the rest of the machine did (Linux)."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread's CPU so far, user and system; threads of a group do the same work."""

    group: str
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """CPU at one moment: of every thread of a process, and of the whole machine."""

    threads: Mapping[int, Thread]
    machine_s: float


def group_of(name: str) -> str:
    """Return a thread's name without its number: `wrk:worker_1` works as `wrk:worker_0` does."""
    return name.rstrip("0123456789").rstrip("_-:/ ") or name


def parse(stat: str, *, is_main: bool) -> Thread:
    """Read `/proc/PID/task/TID/stat`. The first thread is a group of its own."""
    # A name may contain anything, parentheses and spaces included.
    name = stat[stat.index("(") + 1 : stat.rindex(")")]
    fields = stat[stat.rindex(")") + 2 :].split()
    user_ticks, system_ticks = int(fields[11]), int(fields[12])
    group = f"{name} (main)" if is_main else group_of(name)
    return Thread(group, (user_ticks + system_ticks) / _TICKS_PER_S)


def _threads(pid: int) -> Iterator[tuple[int, Thread]]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            stat = (task / "stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended a moment ago
        tid = int(task.name)
        yield tid, parse(stat, is_main=tid == pid)


def snapshot(pid: int) -> Snapshot:
    """Read the CPU used so far; FileNotFoundError when the process has gone."""
    times = psutil.cpu_times()
    machine_s = times.user + times.nice + times.system + times.irq + times.softirq
    return Snapshot(dict(_threads(pid)), machine_s)


def used(before: Snapshot, after: Snapshot) -> dict[str, float]:
    """Return the CPU seconds of each group between two moments, most first."""
    groups: defaultdict[str, float] = defaultdict(float)
    for tid, thread in after.threads.items():
        earlier = before.threads.get(tid)
        groups[thread.group] += thread.cpu_s - (earlier.cpu_s if earlier else 0.0)
    return dict(sorted(groups.items(), key=lambda group: -group[1]))


def elsewhere(before: Snapshot, after: Snapshot, own_s: float) -> float:
    """Return the CPU seconds that others used: all but the process and `own_s`."""
    everything = after.machine_s - before.machine_s
    return max(everything - sum(used(before, after).values()) - own_s, 0.0)
