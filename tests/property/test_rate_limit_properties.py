"""GCRA against what it stands for: a bucket of tokens per key, and every call in a list."""

from hypothesis import given
from hypothesis import strategies as st

from inferd.config import resilience as config
from inferd.resilience.rate_limit import RateLimit

PERIODS = st.sampled_from([0.001, 0.1, 1.0, 3.0])
STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([0.0, 0.01, 0.25, 0.5, 1.0, 7.0])),
    max_size=60,
)


class Buckets:
    """What the limit says, the long way: a bucket of tokens for each key."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s, self._burst = per_s, burst
        self._left: dict[str, tuple[float, float]] = {}

    def passes(self, key: str, now: float) -> bool:
        left, at = self._left.get(key, (float(self._burst), now))
        left = min(self._burst, left + (now - at) * self._per_s)
        passes = left >= 1 - 1e-6
        self._left[key] = (left - passes, now)
        return passes


@given(period_s=PERIODS, burst=st.integers(1, 5), steps=STEPS, start=st.sampled_from([0.0, 1e6]))
def test_it_lets_pass_what_buckets_of_tokens_do(
    period_s: float, burst: int, steps: list[tuple[str, float]], start: float
) -> None:
    limit = RateLimit(config.RateLimit(per_s=1 / period_s, burst=burst), max_keys=100)
    buckets, now = Buckets(1 / period_s, burst), start

    for key, units in steps:
        now += units * period_s
        passes = limit.wait_s(key, now) == 0
        if passes:
            limit.take(key, now)
        assert passes == buckets.passes(key, now)


@given(period_s=PERIODS, burst=st.integers(1, 5), steps=STEPS, start=st.sampled_from([0.0, 1e6]))
def test_who_returns_when_told_passes_and_earlier_does_not(
    period_s: float, burst: int, steps: list[tuple[str, float]], start: float
) -> None:
    limit, now = RateLimit(config.RateLimit(per_s=1 / period_s, burst=burst), max_keys=100), start

    for key, units in steps:
        now += units * period_s
        wait_s = limit.wait_s(key, now)
        assert wait_s == 0 or limit.wait_s(key, now + wait_s * 0.99) > 0
        now += wait_s
        assert limit.wait_s(key, now) == 0
        limit.take(key, now)


@given(max_keys=st.integers(1, 50), keys=st.lists(st.integers(0, 200), max_size=400))
def test_it_keeps_no_more_than_it_may_and_never_less_than_half_of_it(
    max_keys: int, keys: list[int]
) -> None:
    limit = RateLimit(config.RateLimit(per_s=0.001), max_keys=max_keys)

    for key in keys:
        limit.take(str(key), 0.0)
        assert len(limit) <= max(max_keys, 2)

    recent = list(dict.fromkeys(reversed(keys)))[: max(max_keys // 2, 1)]
    assert all(limit.wait_s(str(key), 0.0) > 0 for key in recent)
