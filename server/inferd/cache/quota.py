"""Rates that all servers count together: GCRA in Redis, as one script.

The script asks all limits of a call and moves them only if all let it pass. What time it is, is
Redis's to say: the monotonic clocks of servers cannot be compared, and their wall clocks differ and
jump; so there is one clock, where the count is. Points in time that have passed expire by
themselves.

To ask is a dependency like any other, with a breaker, and with a timeout of a few milliseconds: a
limit is not worth a late answer. While it cannot be asked, whoever asks counts alone.
"""

from collections.abc import Sequence

from redis.asyncio import Redis

from inferd.cache.connection import translated
from inferd.call import Call
from inferd.config import resilience as config
from inferd.deadline import Deadline
from inferd.resilience.dependency import Dependency
from inferd.resilience.rate_rules import Allowance, CountTogether, Verdict

NAME = "quota"
"""Of the dependency."""
GUARDED_AS = config.Dependency(timeout_ms=5.0)
"""Unless the configuration says otherwise."""

SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1e6 + time[2]
local whole_at, longest, which = {}, 0, 0
for i, key in ipairs(KEYS) do
  whole_at[i] = math.max(tonumber(redis.call('GET', key) or 0) or 0, now)
  local wait = whole_at[i] - ARGV[2 * i] - now
  if wait > longest then longest, which = wait, i end
end
if longest == 0 then
  for i, key in ipairs(KEYS) do
    local at = whole_at[i] + ARGV[2 * i - 1]
    redis.call('SET', key, string.format('%.17g', at), 'PX', math.ceil((at - now) / 1000))
  end
end
return {which, math.ceil(longest)}
"""
"""Times are in microseconds; arguments are, for each key, an interval and a tolerance."""


def counting(client: Redis, guard: Dependency) -> CountTogether:
    """Return what counts calls in Redis, as a guarded function."""
    script = client.register_script(SCRIPT)

    async def count(call: Call, deadline: Deadline, allowances: Sequence[Allowance]) -> Verdict:
        times = [s * 1e6 for each in allowances for s in (each.interval_s, each.tolerance_s)]
        with translated():
            which, wait_us = await script([each.key for each in allowances], times)
        return Verdict(wait_us / 1e6, which - 1)

    return guard.guards(count)
