"""GrowthBook's places are GrowthBook's, and our own are even and are independent."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from inferd.experiments.hashing import PLACES, Salt, bucket_ranges, growthbook, hashed_unit

CASES = json.loads((Path(__file__).parent / "growthbook.json").read_text())


@pytest.mark.parametrize(("seed", "value", "version", "place"), CASES["hash"])
def test_places_are_those_of_growthbook(
    seed: str, value: str, version: int, place: float | None
) -> None:
    assert growthbook(seed, value, version) == place


@pytest.mark.parametrize(
    ("said", "ranges"), [case[1:] for case in CASES["getBucketRange"]], ids=str
)
def test_ranges_are_those_of_growthbook(
    said: tuple[int, float, list[float] | None], ranges: list[list[float]]
) -> None:
    made = bucket_ranges(*said)

    assert made == [pytest.approx(each) for each in ranges]


def test_all_of_the_public_cases_are_there() -> None:
    assert (len(CASES["hash"]), len(CASES["getBucketRange"])) == (15, 13)


def test_places_stay_where_they_are() -> None:
    # Of a release to the next nobody may move: these are not to be adapted.
    assert Salt.of("experiment:mmr").place(hashed_unit("user-1")) == 1024687117461946720
    assert Salt.of("experiment:mmr").place(hashed_unit("élodie")) == 1124542718640997713


def test_places_are_even() -> None:
    salt = Salt.of("any")

    tenths = Counter(salt.place(hashed_unit(f"user-{n}")) * 10 // PLACES for n in range(20_000))

    assert chi_squared(tenths, cells=10, of=20_000) < 35  # 9 degrees of freedom: p = 0.0001


def test_the_places_of_a_unit_under_two_salts_have_nothing_to_do_with_each_other() -> None:
    one, other = Salt.of("layer:ranking"), Salt.of("experiment:mmr")
    hashes = [hashed_unit(f"user-{n}") for n in range(20_000)]

    both = Counter((one.place(x) * 8 // PLACES, other.place(x) * 8 // PLACES) for x in hashes)

    assert chi_squared(both, cells=64, of=20_000) < 115  # 63 degrees of freedom: p = 0.0001


def test_half_of_a_pair_of_code_units_is_hashed_as_any_text() -> None:
    assert hashed_unit("\ud800") != hashed_unit("\ud801")


def chi_squared(counts: Mapping[Any, int], *, cells: int, of: int) -> float:
    assert len(counts) == cells
    expected = of / cells
    return sum((each - expected) ** 2 / expected for each in counts.values())
