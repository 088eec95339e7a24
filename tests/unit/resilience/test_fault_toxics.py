"""What toxics do to bytes, without bytes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from inferd.config.faults import Fault, fault
from inferd.resilience.faults import toxics


def toxic(kind: str, **parameters: Any) -> Fault:
    return fault({"kind": kind, **parameters})


def middle() -> float:
    return 0.5


def test_without_toxics_everything_passes_at_once() -> None:
    assert toxics.piece(1000, [], middle) == (1000, 0)
    assert toxics.closes_in_s([]) is None
    assert toxics.resets_in_s([]) is None
    assert toxics.limit_bytes([]) is None
    assert toxics.closing_takes_s([]) == 0
    assert not toxics.swallowing([])


def test_a_band_gives_out_what_fits_into_a_slot() -> None:
    band = toxic("bandwidth", rate_kb_s=10)

    assert toxics.piece(5000, [band], middle) == (1000, 0.1)
    assert toxics.piece(500, [band], middle) == (500, 0.05)


def test_the_narrowest_band_passes_a_byte_at_a_time() -> None:
    assert toxics.piece(5000, [toxic("bandwidth", rate_kb_s=0.001)], middle) == (1, 1.0)


@given(st.floats(0, 0.999999), st.integers(1, 10_000))
def test_slices_vary_as_was_said_and_are_never_empty(dice: float, size: int) -> None:
    slicer = toxic("slicer", average_bytes=10, variation_bytes=9, delay_us=50)

    cut, wait_s = toxics.piece(size, [slicer], lambda: dice)

    assert 1 <= cut <= min(size, 19)
    assert wait_s == 50e-6


def test_of_several_the_tightest_holds_and_delays_add_up() -> None:
    several = [
        toxic("slicer", average_bytes=10, delay_us=1000),
        toxic("slicer", average_bytes=4, delay_us=1000),
        toxic("limit_data", bytes=7),
        toxic("limit_data", bytes=3),
        toxic("slow_close", delay_ms=100),
        toxic("slow_close", delay_ms=200),
        toxic("timeout", timeout_ms=0),
        toxic("timeout", timeout_ms=40),
        toxic("reset_peer", timeout_ms=30),
        toxic("reset_peer"),
    ]

    assert toxics.piece(100, several, middle) == (4, 0.002)
    assert toxics.limit_bytes(several) == 3
    assert toxics.closing_takes_s(several) == pytest.approx(0.3)
    assert toxics.closes_in_s(several) == 0.04
    assert toxics.resets_in_s(several) == 0


def test_a_black_hole_without_a_time_never_closes() -> None:
    hole = [toxic("timeout", timeout_ms=0)]

    assert toxics.swallowing(hole)
    assert toxics.closes_in_s(hole) is None


def test_slices_may_not_vary_by_more_than_they_are() -> None:
    with pytest.raises(ValidationError, match="smaller than average_bytes"):
        toxic("slicer", average_bytes=10, variation_bytes=10)
