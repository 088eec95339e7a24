"""Transforms: what each makes of its inputs, and which it takes. All agree with the golden file."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from inferd.features.compute.transforms import compiled, hashed
from inferd.features.derivation import Transform
from inferd.features.kinds import Held, Kind

GOLDEN = Path(__file__).parents[3] / "golden" / "transforms.jsonl"
DECLARED: TypeAdapter[Transform] = TypeAdapter(Transform)


def result(declared: dict[str, Any], *inputs: tuple[str, Held | None]) -> Held | None:
    of = [f"v.f{place}" for place in range(len(inputs))]
    transform = DECLARED.validate_python({**declared, "of": of if len(of) > 1 else of[0]})
    kinds = [Kind.named(kind) for kind, _ in inputs]
    made = compiled(transform, kinds)
    value = made.compute([value for _, value in inputs])
    assert value is None or made.kind.checked(value, finite=True) == value
    return value


@pytest.mark.parametrize("line", GOLDEN.read_text().splitlines())
def test_every_transform_gives_exactly_what_it_gave_when_the_golden_file_was_written(
    line: str,
) -> None:
    case = json.loads(line)
    inputs = [
        (kind, bytes.fromhex(value) if kind == "bytes" and value is not None else value)
        for kind, value in zip(case["types"], case["inputs"], strict=True)
    ]

    output = result(case["transform"], *inputs)

    expected = case["output"]
    assert output == (tuple(expected) if isinstance(expected, list) else expected)


def test_the_golden_file_has_every_transform() -> None:
    golden = {json.loads(line)["transform"]["function"] for line in GOLDEN.read_text().splitlines()}

    assert golden == {
        "one_hot",
        "hash",
        "bucketise",
        "log1p",
        "standardise",
        "cross",
        "distance_km",
        "text_length",
    }


# BLAKE2b-64 of the bytes that are written out in the comments: anything else can make them, too.
@pytest.mark.parametrize(
    ("values", "kinds", "expected"),
    [
        (["DE"], ["string"], 0x54BBCAEB650218B6),  # 's' 00000002 4445
        ([""], ["string"], 0xFBBCB8FCC0FE5654),  # 's' 00000000
        (["Zoë"], ["string"], 0x3EE6800B17840D89),  # 's' 00000004 5a6fc3ab
        ([b"DE"], ["bytes"], 0x83EA5585868DE58D),  # 'y' 00000002 4445
        ([-2], ["int64"], 0xB98B9B74E831123F),  # 'i' 00000008 fffffffffffffffe
        ([1.5], ["float64"], 0xC28108C5A9157178),  # 'f' 00000008 3ff8000000000000
        ([True], ["bool"], 0x895E226A99F8CB95),  # 'b' 00000001 01
        (["DE", 7], ["string", "int64"], 0x0F2E484568392830),
        # 's' 00000002 4445 'i' 00000008 0000000000000007
    ],
)
def test_a_hash_is_of_bytes_that_are_documented(
    values: list[Held], kinds: list[str], expected: int
) -> None:
    assert hashed(values, [Kind(kind) for kind in kinds]) == expected


def test_values_of_different_types_and_other_cuts_have_different_hashes() -> None:
    text, number, flag = Kind("string"), Kind("int64"), Kind("bool")

    assert hashed(["1"], [text]) != hashed([1], [number]) != hashed([True], [flag])
    assert hashed(["ab", "c"], [text] * 2) != hashed(["a", "bc"], [text] * 2)


def test_both_zeros_are_one() -> None:
    assert hashed([-0.0], [Kind("float64")]) == hashed([0.0], [Kind("float64")])


@pytest.mark.parametrize(
    ("declared", "kinds"),
    [
        ({"function": "one_hot", "categories": ["a"]}, ["string"]),
        ({"function": "hash", "buckets": 8}, ["bytes"]),
        ({"function": "bucketise", "bounds": [1]}, ["int64"]),
        ({"function": "log1p"}, ["float64"]),
        ({"function": "standardise", "mean": 0, "deviation": 1}, ["float64"]),
        ({"function": "text_length"}, ["string"]),
    ],
)
def test_what_is_null_stays_null(declared: dict[str, Any], kinds: list[str]) -> None:
    assert result(declared, *[(kind, None) for kind in kinds]) is None


def test_a_cross_with_one_null_is_null() -> None:
    assert result({"function": "cross", "buckets": 8}, ("string", "a"), ("int64", None)) is None


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ({"function": "log1p"}, math.inf),
        ({"function": "log1p"}, math.nan),
        ({"function": "bucketise", "bounds": [1]}, math.nan),
        ({"function": "hash", "buckets": 8}, math.nan),
        ({"function": "standardise", "mean": 0, "deviation": 1}, -math.inf),
        ({"function": "standardise", "mean": 0, "deviation": 1, "within": 3}, math.nan),
        ({"function": "standardise", "mean": -1e308, "deviation": 1e-300}, 1e308),
    ],
)
def test_what_has_no_finite_result_has_none(declared: dict[str, Any], value: float) -> None:
    assert result(declared, ("float64", value)) is None


def test_what_is_infinite_is_still_within_limits() -> None:
    within = {"function": "standardise", "mean": 0, "deviation": 1, "within": 3}

    assert result(within, ("float64", -math.inf)) == -3.0
    assert result({"function": "bucketise", "bounds": [1, 2]}, ("float64", math.inf)) == 2


@pytest.mark.parametrize(
    ("declared", "kinds", "message"),
    [
        ({"function": "log1p"}, ["string"], "v.f0 is string, and log1p is of int64 or float64"),
        ({"function": "bucketise", "bounds": [1]}, ["bool"], "v.f0 is bool, and bucketise is of"),
        ({"function": "text_length"}, ["bytes"], "v.f0 is bytes, and text_length is of string"),
        ({"function": "hash", "buckets": 2}, ["float_list[2]"], r"v.f0 is float_list\[2\], and"),
        ({"function": "cross", "buckets": 2}, ["int64", "float_list[1]"], "v.f1 is float_list"),
        ({"function": "one_hot", "categories": [1]}, ["float64"], "v.f0 is float64, and one_hot"),
        ({"function": "one_hot", "categories": [1, "b"]}, ["int64"], "'b' is no int64, and v.f0"),
        ({"function": "one_hot", "categories": [True]}, ["int64"], "True is no int64, and v.f0 is"),
    ],
)
def test_inputs_of_the_wrong_type_are_refused(
    declared: dict[str, Any], kinds: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        result(declared, *[(kind, None) for kind in kinds])


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"function": "one_hot", "categories": ["a", "b", "a"]}, "one is there twice"),
        ({"function": "bucketise", "bounds": [1, 1]}, "each is larger than the one before"),
        ({"function": "bucketise", "bounds": [math.nan]}, "finite"),
        ({"function": "standardise", "mean": math.inf, "deviation": 1}, "finite"),
        ({"function": "standardise", "mean": 0, "deviation": 0}, "greater than 0"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DECLARED.validate_python({**declared, "of": "v.f"})
