"""Bytes and typed contents become the right arrays, or an error that names what is wrong."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from inferd.errors import InvalidRequest
from inferd.inference.checks import Checks, Expected, Fit
from inferd.oip import grpc_service_pb2 as pb
from inferd.runtime.signature import Signature
from inferd.services.open_inference.tensors import (
    Place,
    check_finite,
    from_contents,
    from_raw,
    to_contents,
    to_raw,
)
from support.fake_models import tensor

PLACE = Place("m", "x", "raw_input_contents[{}]", 0)


def declared(datatype: str, *shape: int) -> tuple[Expected, Fit]:
    checks = Checks("m", Signature((tensor("x", datatype, *[-1] * len(shape)),), (), 0))
    return checks.check([("x", datatype, shape)])[1][0]


def raw(data: bytes, datatype: str, *shape: int) -> NDArray[Any]:
    return from_raw(data, *declared(datatype, *shape), PLACE)


def typed(datatype: str, *shape: int, **contents: Any) -> NDArray[Any]:
    return from_contents(pb.InferTensorContents(**contents), *declared(datatype, *shape), PLACE)


def refusal_of(read: Any, *arguments: Any, **contents: Any) -> str:
    with pytest.raises(InvalidRequest) as refused:
        read(*arguments, **contents)
    [violation] = refused.value.violations
    assert violation.field == "raw_input_contents[0]"
    return violation.description


def test_numbers_are_little_endian_row_major_and_not_copied() -> None:
    data = bytes(range(12))

    array = raw(data, "UINT16", 2, 3)

    assert array.tolist() == [[0x0100, 0x0302, 0x0504], [0x0706, 0x0908, 0x0B0A]]
    assert not array.flags.owndata


@pytest.mark.parametrize(
    ("datatype", "data", "value"),
    [
        ("UINT8", "ff", 255),
        ("INT8", "ff", -1),
        ("INT32", "feffffff", -2),
        ("UINT64", "00000000000000ff", 0xFF << 56),
        ("INT64", "ffffffffffffff7f", 2**63 - 1),
        ("FP16", "003c", 1.0),
        ("FP32", "0000803f", 1.0),
        ("FP64", "000000000000f03f", 1.0),
        ("BF16", "803f", 0x3F80),
        ("BOOL", "02", True),
    ],
)
def test_raw_elements(datatype: str, data: str, value: Any) -> None:
    array = raw(bytes.fromhex(data), datatype, 1)

    assert array.tolist() == [value]
    assert array.dtype == declared(datatype, 1)[0].dtype


def test_any_byte_but_zero_is_true() -> None:
    assert raw(b"\x00\x01\xff\x02", "BOOL", 4).tolist() == [False, True, True, True]


def test_strings_are_read_one_after_the_other() -> None:
    data = b"\x02\0\0\0ab" + b"\0\0\0\0" + b"\x01\0\0\0\0"

    array = raw(data, "BYTES", 3, 1)

    assert array.tolist() == [[b"ab"], [b""], [b"\0"]]


def test_an_empty_tensor_has_no_bytes_and_keeps_its_shape() -> None:
    assert raw(b"", "FP32", 0, 4).shape == (0, 4)
    assert raw(b"", "BYTES", 2, 0).shape == (2, 0)
    assert raw(b"", "BOOL", 0).dtype == np.bool_
    assert typed("FP32", 3, 0).shape == (3, 0)


def test_a_scalar_is_an_array_without_dimensions() -> None:
    assert raw(b"\x01", "BOOL").shape == ()
    assert raw(b"\x01", "UINT8").shape == ()
    assert raw(b"\x01\0\0\0a", "BYTES").shape == ()
    assert typed("INT8", int_contents=[5]).shape == ()


@pytest.mark.parametrize(("sent", "datatype"), [(31, "FP32"), (40, "FP32"), (0, "INT8")])
def test_the_size_must_be_exact(sent: int, datatype: str) -> None:
    expected = 32 if datatype == "FP32" else 8

    assert refusal_of(raw, bytes(sent), datatype, 8) == (
        f"input byte size mismatch for input 'x' for model 'm'. Expected {expected}, got {sent}"
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            b"\x01\0\0\0a",
            "expected 2 string elements for inference input 'x' for model 'm', got 1",
        ),
        (b"", "expected 2 string elements for inference input 'x' for model 'm', got 0"),
        (
            b"\x01\0\0\0a" * 3,
            "unexpected number of string elements 3 for inference input 'x' for model 'm', "
            "expecting 2",
        ),
        (
            b"\x01\0\0\0a\x01\0",
            "incomplete string length indicator for inference input 'x' for model 'm', "
            "expecting 4 bytes but only 2 bytes available",
        ),
        (
            b"\xff\xff\xff\xffab",
            "incomplete string data for inference input 'x' for model 'm', "
            "expecting string of length 4294967295 but only 2 bytes available",
        ),
    ],
)
def test_broken_strings_are_refused(data: bytes, text: str) -> None:
    assert refusal_of(raw, data, "BYTES", 2) == text


@pytest.mark.parametrize(
    ("datatype", "field", "values"),
    [
        ("BOOL", "bool_contents", [True, False]),
        ("UINT8", "uint_contents", [0, 255]),
        ("UINT16", "uint_contents", [0, 65535]),
        ("UINT32", "uint_contents", [0, 2**32 - 1]),
        ("UINT64", "uint64_contents", [0, 2**64 - 1]),
        ("INT8", "int_contents", [-128, 127]),
        ("INT16", "int_contents", [-(2**15), 2**15 - 1]),
        ("INT32", "int_contents", [-(2**31), 2**31 - 1]),
        ("INT64", "int64_contents", [-(2**63), 2**63 - 1]),
        ("FP32", "fp32_contents", [0.5, -1.0]),
        ("FP64", "fp64_contents", [0.1, -1.0]),
        ("BYTES", "bytes_contents", [b"ab\0", b""]),
    ],
)
def test_typed_contents_are_in_the_field_of_their_datatype(
    datatype: str, field: str, values: list[Any]
) -> None:
    array = typed(datatype, 2, 1, **{field: values})

    assert array.tolist() == [[value] for value in values]
    assert array.dtype == declared(datatype, 1)[0].dtype
    contents = pb.InferTensorContents()
    to_contents(array, datatype, contents)
    assert contents == pb.InferTensorContents(**{field: values})


def test_half_floats_have_no_typed_contents() -> None:
    for datatype in ("FP16", "BF16"):
        assert refusal_of(typed, datatype, 1, fp32_contents=[1.0]) == (
            f"input 'x' for model 'm' of type '{datatype}' has no typed contents, "
            "send raw_input_contents"
        )


def test_contents_of_another_type_are_refused() -> None:
    assert refusal_of(typed, "FP32", 1, fp64_contents=[1.0]) == (
        "unexpected explicit tensor data for input tensor 'x' for model 'm' of type 'FP64', "
        "expected datatype 'FP32'"
    )
    assert "of type 'INT64'" in refusal_of(
        typed, "FP32", 1, fp32_contents=[1.0], int64_contents=[1]
    )


def test_the_number_of_typed_elements_must_be_exact() -> None:
    assert refusal_of(typed, "FP32", 8, fp32_contents=[0.0] * 10) == (
        "input byte size mismatch for input 'x' for model 'm'. Expected 32, got 40: "
        "10 elements in fp32_contents, 8 in the shape"
    )
    assert refusal_of(typed, "BYTES", 16, bytes_contents=[b""] * 14) == (
        "expected 16 string elements for inference input 'x' for model 'm', got 14"
    )


def test_a_typed_number_must_fit_its_type() -> None:
    assert refusal_of(typed, "INT8", 3, int_contents=[1, -128, 300]) == (
        "element 2 of input 'x' for model 'm' is 300, expected INT8 between -128 and 127"
    )
    assert "element 0" in refusal_of(typed, "UINT16", 1, uint_contents=[65536])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8"])
def test_where_a_number_is_not_finite_can_be_told(dtype: str, bad: float) -> None:
    array = np.zeros((2, 3), dtype)
    check_finite(array, "FP32", PLACE)
    array[1, 2] = bad

    assert refusal_of(check_finite, array, "FP32", PLACE) == (
        f"element [1,2] of input 'x' for model 'm' is {bad}, expected a finite number"
    )


def test_not_finite_in_bf16_shows_in_the_bits() -> None:
    check_finite(np.array([0x3F80, 0xFF7F], np.uint16), "BF16", PLACE)
    for bits in (0x7F80, 0xFF80, 0x7FC0):
        text = refusal_of(check_finite, np.array([0x3F80, bits], np.uint16), "BF16", PLACE)
        assert text.startswith("element [1] of input 'x'")


def test_whole_numbers_and_strings_are_always_finite() -> None:
    check_finite(np.array([2**15], np.uint16), "UINT16", PLACE)
    check_finite(np.array([b"nan"], np.object_), "BYTES", PLACE)


def test_raw_bytes_of_an_array_that_is_not_contiguous_are_in_row_major_order() -> None:
    array = np.arange(6, dtype="<u2").reshape(2, 3).T

    assert_array_equal(raw(to_raw(array), "UINT16", 3, 2), array)
    assert to_raw(np.array([[b"ab"], [b""]], np.object_)) == b"\x02\0\0\0ab\0\0\0\0"
