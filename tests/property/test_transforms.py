"""Transforms of any inputs: in range, of their type, finite or null, and the same every time."""

import math
from bisect import bisect_left
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from inferd.features.compute.transforms import compiled, hashed
from inferd.features.derivation import (
    Bucketise,
    Cross,
    Hashed,
    Log,
    OneHot,
    Standardise,
    TextLength,
    Transform,
    references,
)
from inferd.features.kinds import Held, Kind

INTS = st.integers(-(2**63), 2**63 - 1)
NUMBERS = st.floats() | INTS
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int64": INTS,
    "float64": st.floats(),
    "bool": st.booleans(),
    "string": st.text(),
    "bytes": st.binary(),
}
TYPED = st.sampled_from([*VALUES]).flatmap(
    lambda name: st.tuples(st.just(Kind(name)), VALUES[name])
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
BOUNDS = st.lists(FINITE, min_size=1, max_size=20, unique=True).map(sorted)


def result(transform: Transform, value: Held, kind: str) -> Held | None:
    made = compiled(transform, [Kind(kind)] * len(references(transform)))
    output = made.compute([value])
    if output is not None:
        assert made.kind.checked(output, finite=True) == output
    return output


@given(TYPED, st.integers(1, 2**31))
def test_a_hash_is_a_bucket_of_those_there_are(typed: tuple[Kind, Held], buckets: int) -> None:
    kind, value = typed
    bucket = result(Hashed(function="hash", of="v.f", buckets=buckets), value, kind.name)

    if isinstance(value, float) and math.isnan(value):
        assert bucket is None
    else:
        assert bucket == hashed([value], [kind]) % buckets


@given(st.lists(TYPED, min_size=2, max_size=4), st.data())
def test_a_cross_is_null_if_one_of_its_inputs_is(
    typed: list[tuple[Kind, Held]], data: st.DataObject
) -> None:
    cross = Cross(function="cross", of=tuple(["v.f"] * len(typed)), buckets=8)
    compute = compiled(cross, [kind for kind, _ in typed]).compute
    values: list[Held | None] = [value for _, value in typed]
    sound = compute(values)

    assert sound == compute(values)
    values[data.draw(st.integers(0, len(values) - 1))] = None
    assert compute(values) is None


@given(st.lists(st.tuples(st.text(), st.text()), min_size=2, max_size=2, unique=True))
def test_different_pairs_of_texts_have_different_hashes(pairs: list[tuple[str, str]]) -> None:
    one, other = (hashed(pair, [Kind("string")] * 2) for pair in pairs)

    assert one != other


@given(BOUNDS, NUMBERS)
def test_a_bucket_counts_the_bounds_that_were_reached(bounds: list[float], value: float) -> None:
    bucket = result(
        Bucketise(function="bucketise", of="v.f", bounds=tuple(bounds)), value, "float64"
    )

    if math.isnan(value):
        assert bucket is None
    else:
        assert bucket == sum(bound <= value for bound in bounds)
        assert bisect_left(bounds, value) <= bucket


@given(NUMBERS, NUMBERS)
def test_the_logarithm_keeps_signs_and_order(low: float, high: float) -> None:
    log = Log(function="log1p", of="v.f")
    of_low, of_high = result(log, low, "float64"), result(log, high, "float64")

    if isinstance(of_low, float) and isinstance(of_high, float):
        assert math.copysign(1, of_low) == math.copysign(1, low)
        assert not low < high or of_low <= of_high
        assert result(log, -low, "float64") == -of_low


@given(NUMBERS, FINITE, st.floats(1e-300, 1e300), st.floats(1e-3, 1e3))
def test_a_standardised_number_is_finite_and_within_limits(
    value: float, mean: float, deviation: float, within: float
) -> None:
    bounded = Standardise(
        function="standardise", of="v.f", mean=mean, deviation=deviation, within=within
    )
    score = result(bounded, value, "float64")

    assert (score is None) == math.isnan(value)
    assert score is None or (isinstance(score, float) and abs(score) <= within)


@given(st.lists(st.text(), min_size=1, max_size=8, unique=True), st.text())
def test_one_float_is_hot_or_none_is(categories: list[str], value: str) -> None:
    hot = OneHot(function="one_hot", of="v.f", categories=tuple(categories))

    assert result(hot, value, "string") == tuple(float(each == value) for each in categories)


@given(st.text())
def test_a_text_is_as_long_as_it_has_characters(text: str) -> None:
    assert result(TextLength(function="text_length", of="v.f"), text, "string") == len(text)
