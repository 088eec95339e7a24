"""What is kept nearer than it comes from: for how long, how much of it, and what makes room."""

from typing import Annotated, Literal

from pydantic import Field

from inferd.config.section import MIB, NotNegative, Positive, Section

Policy = Literal["lru", "lfu", "fifo", "w_tinylfu"]
FIVE_MINUTES_S = 300.0


class CachePolicy(Section):
    """How a cache of several levels keeps entries: L1 in this process, L2 shared, L3 on a disk."""

    l1_ttl_s: Positive = FIVE_MINUTES_S
    """How long an entry is fresh in this process, however much longer other levels keep it."""
    l2_ttl_s: Positive = FIVE_MINUTES_S
    l3_ttl_s: Positive = FIVE_MINUTES_S
    max_entries: Annotated[int, Field(ge=1)] = 100_000
    """In this process."""
    max_bytes: Annotated[int, Field(gt=0)] = 64 * MIB
    """What the entries in this process may take, as far as their blobs tell."""
    policy: Policy = "w_tinylfu"
    """Which of them makes room when there is no more."""
    jitter: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """By which share, either way, times to live are spread, so that what was written together does
    not end together."""
    negative_ttl_s: NotNegative = 5.0
    """How long it is remembered, in this process, that there is nothing. 0: not at all."""
    stale_s: NotNegative = 0.0
    """How long an entry that is not fresh any more is still given, while it is loaded again."""
    refresh_timeout_ms: Positive = 1000.0
    """How long a load may take that nobody waits for."""
    untracked_ttl_s: Positive = 1.0
    """How long this process keeps an entry while it is not told what other servers write."""
