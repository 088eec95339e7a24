"""Which tiles there are, and which aggregates there cannot be."""

import itertools

import pytest

from inferd.features.windows import Aggregate, Function, Plan
from inferd.features.windows.plan import TILES_US

S = 1_000_000
MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S


def test_every_size_of_tiles_divides_the_next() -> None:
    assert all(larger % smaller == 0 for smaller, larger in itertools.pairwise(TILES_US))


@pytest.mark.parametrize(
    ("window_us", "tile_us"),
    [
        (S, S),
        (MINUTE, S),
        (10 * MINUTE, 10 * S),
        (HOUR, MINUTE),
        (DAY, 20 * MINUTE),
        (7 * DAY, 2 * HOUR),
        (90 * DAY, 12 * HOUR),
    ],
)
def test_a_window_has_tiles_of_at_most_a_sixtieth(window_us: int, tile_us: int) -> None:
    plan = Plan([Aggregate(Function.COUNT, None, window_us)])

    assert [level.tile_us for level in plan.levels] == [tile_us]


def test_aggregates_of_the_same_partial_share_it_and_long_windows_have_only_their_own() -> None:
    plan = Plan(
        [
            Aggregate(Function.QUANTILE, 0, MINUTE, 0.5),
            Aggregate(Function.QUANTILE, 0, MINUTE, 0.99),
            Aggregate(Function.SUM, 0, HOUR),
            Aggregate(Function.MEAN, 0, MINUTE),
            Aggregate(Function.MEAN, 1, DAY),
        ]
    )

    assert [[(slot.reducer.name, slot.of) for slot in level.slots] for level in plan.levels] == [
        [("total", 1), ("total", 0), ("quantiles", 0)],
        [("total", 1), ("total", 0)],
        [("total", 1)],
    ]


def test_averages_that_forget_alike_share_their_partial() -> None:
    plan = Plan([Aggregate(Function.EWMA, 0, HOUR, half_life_us=life * S) for life in (10, 10, 20)])

    assert len(plan.slots) == 2


@pytest.mark.parametrize(
    ("aggregate", "field"),
    [
        ({"function": Function.SUM, "of": 0, "window_us": S - 1}, "window_us"),
        ({"function": Function.QUANTILE, "of": 0, "window_us": S, "quantile": 1.1}, "quantile"),
        ({"function": Function.EWMA, "of": 0, "window_us": S}, "half_life_us"),
        ({"function": Function.SUM, "of": None, "window_us": S}, "of"),
    ],
)
def test_what_cannot_be_is_refused_by_name(aggregate: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        Aggregate(**aggregate)  # type: ignore[arg-type]
