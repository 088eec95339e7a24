"""How much of the machine this process may use."""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Return the cores that the process may run on: its affinity, under its container's quota."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    cores = affinity or os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, min(cores, int(quota))) if quota else cores


def own_cores(cgroup: Path = CGROUP) -> tuple[int, ...]:
    """Return the numbers of the cores, if they are the process's to deal out among its threads.

    Under a quota below its affinity they are not: which of them a neighbour keeps busy, only
    the system knows.
    """
    if not hasattr(os, "sched_getaffinity"):
        return ()
    cores = tuple(sorted(os.sched_getaffinity(0)))
    return cores if len(cores) == usable_cores(cgroup) else ()


def _quota(cgroup: Path) -> float | None:
    """Return the container's quota in cores, if it has one (cgroup v2, then v1)."""
    try:
        limit, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return _quota_v1(cgroup / "cpu")
    return None if limit == "max" else int(limit) / int(period)


def _quota_v1(cpu: Path) -> float | None:
    try:
        limit = int((cpu / "cpu.cfs_quota_us").read_text())
        period = int((cpu / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return limit / period if limit > 0 else None
