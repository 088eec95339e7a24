"""A live quantile against one that keeps every observation and its weight in a list."""

from hypothesis import given
from hypothesis import strategies as st

from inferd.resilience.quantile import BATCH, HALF_LIFE, PRIOR, WIDTH, LiveQuantile

EPSILON = 1e-9

durations = st.lists(
    st.one_of(st.floats(1e-5, 50.0), st.sampled_from([1e-3, 2e-3])), min_size=BATCH, max_size=200
)


def plainly(seed_s: float, seconds: list[float], q: float) -> float:
    """Return the longest duration that more than a share `1 - q` of the weight reaches."""
    folded = len(seconds) // BATCH * BATCH
    weighted = [(seed_s, PRIOR)] + [
        (each, 2 ** (at // BATCH * BATCH / HALF_LIFE)) for at, each in enumerate(seconds[:folded])
    ]
    above = (1 - q) * sum(weight for _, weight in weighted)
    for each, weight in sorted(weighted, reverse=True):
        above -= weight
        if above < 0:
            return each
    return min(weighted)[0]


@given(seed_s=st.floats(1e-5, 1.0), seconds=durations, q=st.floats(0.01, 0.999))
def test_it_is_what_a_list_says_and_up_to_a_bin_longer(
    seed_s: float, seconds: list[float], q: float
) -> None:
    quantile = LiveQuantile(seed_s=seed_s)

    for each in seconds:
        quantile.observe(each)

    # Sums of floats are not exact: near a step, either side of it is right.
    least, most = plainly(seed_s, seconds, q - EPSILON), plainly(seed_s, seconds, q + EPSILON)
    assert least * (1 - EPSILON) <= quantile.at(q) <= most * WIDTH * (1 + EPSILON)
    assert quantile.count == len(seconds)


@given(seconds=durations, lower=st.floats(0.0, 1.0), higher=st.floats(0.0, 1.0))
def test_a_larger_share_takes_no_less_time(
    seconds: list[float], lower: float, higher: float
) -> None:
    lower, higher = sorted((lower, higher))
    quantile = LiveQuantile(seed_s=1e-3)

    for each in seconds:
        quantile.observe(each)

    assert quantile.at(lower) <= quantile.at(higher)
