"""Arrays to the protocol's bytes and back: all 14 datatypes, and everything that is none."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inferd_client import BFloat16, InvalidRequest, MalformedAnswer
from inferd_client import _tensors as tensors
from inferd_client._tensors import DATATYPES, decode, encode, gather, installed_bfloat16

EXAMPLES: dict[str, NDArray[Any]] = {
    "BOOL": np.array([[True, False], [False, True]]),
    "UINT8": np.array([0, 255], dtype=np.uint8),
    "UINT16": np.array([0, 2**16 - 1], dtype=np.uint16),
    "UINT32": np.array([0, 2**32 - 1], dtype=np.uint32),
    "UINT64": np.array([0, 2**64 - 1], dtype=np.uint64),
    "INT8": np.array([-128, 127], dtype=np.int8),
    "INT16": np.array([-(2**15), 2**15 - 1], dtype=np.int16),
    "INT32": np.array([-(2**31), 2**31 - 1], dtype=np.int32),
    "INT64": np.array([-(2**63), 2**63 - 1], dtype=np.int64),
    "FP16": np.array([[0.5], [-65504.0]], dtype=np.float16),
    "FP32": np.array([[1.5, -0.0, np.inf]], dtype=np.float32),
    "FP64": np.array(np.pi),
    "BYTES": np.array([[b"", b"a\0b\0"], [b"x" * 300, "Zoë".encode()]], dtype=object),
}


@pytest.mark.parametrize("datatype", EXAMPLES)
def test_comes_back_as_it_was(datatype: str) -> None:
    array = EXAMPLES[datatype]

    sent = encode("x", array)
    back = decode("x", sent.datatype, sent.shape, sent.raw)

    assert (sent.datatype, back.dtype, back.shape) == (datatype, array.dtype, array.shape)
    np.testing.assert_array_equal(back, array)


def test_the_examples_are_all_but_bf16() -> None:
    assert set(EXAMPLES) | {"BF16"} == DATATYPES
    assert len(DATATYPES) == 14


def test_travels_in_row_major_little_endian_order() -> None:
    array = np.array([[1, 2], [3, 4]], dtype=">u2").T

    assert encode("x", array).raw == b"\1\0\3\0\2\0\4\0"


def test_strided_arrays_need_no_copy_by_the_caller() -> None:
    assert encode("x", np.arange(6, dtype=np.int8)[::2]).raw == b"\0\2\4"


def test_a_scalar_array_keeps_its_empty_shape() -> None:
    sent = encode("x", np.array(7, dtype=np.int32))

    assert (sent.shape, sent.raw) == ((), b"\7\0\0\0")


@pytest.mark.parametrize("shape", [(0,), (0, 64), (3, 0)])
@pytest.mark.parametrize("dtype", [np.float32, object])
def test_an_empty_array_keeps_its_shape(shape: tuple[int, ...], dtype: Any) -> None:
    sent = encode("x", np.empty(shape, dtype=dtype))

    assert decode("x", sent.datatype, sent.shape, sent.raw).shape == shape


@pytest.mark.parametrize(
    "array",
    [
        np.array(["é", "bc"]),
        np.array(["é", b"bc"], dtype=object),
        np.array(["é".encode(), b"bc"]),
        np.array(["é", "bc"], dtype=np.dtypes.StringDType()),
    ],
    ids=["U", "object", "S", "StringDType"],
)
def test_text_is_framed_by_its_length(array: NDArray[Any]) -> None:
    sent = encode("x", array)

    assert sent.datatype == "BYTES"
    assert sent.raw == b"\2\0\0\0\xc3\xa9\2\0\0\0bc"


def test_bf16_needs_no_package() -> None:
    values = np.array([[1.0, -2.5, np.inf]], dtype=np.float32)

    sent = encode("x", BFloat16.of(values))

    assert (sent.datatype, sent.shape) == ("BF16", (1, 3))
    assert sent.raw == b"\x80\x3f\x20\xc0\x80\x7f"
    np.testing.assert_array_equal(BFloat16.of(values).to_float32(), values)


def test_bf16_comes_back_as_bits_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "installed_bfloat16", lambda: None)

    back = decode("x", "BF16", [1], b"\x80\x3f")

    assert back.dtype == np.uint16
    assert BFloat16(back).to_float32() == [1.0]


def test_bf16_is_an_array_with_the_package() -> None:
    bfloat16 = installed_bfloat16()
    if bfloat16 is None:
        pytest.skip("ml_dtypes is not installed")
    array = np.array([[1.0, -2.5]]).astype(bfloat16)

    sent = encode("x", array)
    back = decode("x", sent.datatype, sent.shape, sent.raw)

    assert (sent.datatype, back.dtype) == ("BF16", bfloat16)
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    ("number", "nearest"),
    [
        (1.0 + 2**-8, 1.0),  # halfway: to the even neighbour
        (1.0 + 3 * 2**-8, 1.0 + 2**-6),
        (1.0 + 2**-8 + 2**-20, 1.0 + 2**-7),
        (3.4028235e38, np.inf),
        (-0.0, -0.0),
        (np.nan, np.nan),
    ],
)
def test_bf16_rounds_to_the_nearest(number: float, nearest: float) -> None:
    rounded = BFloat16.of(np.array([number], dtype=np.float32)).to_float32()

    np.testing.assert_array_equal(rounded, np.array([nearest], dtype=np.float32))


def test_bf16_bits_are_bits() -> None:
    with pytest.raises(TypeError, match="uint16"):
        BFloat16(np.array([1.0]))


@pytest.mark.parametrize(
    ("tensor", "complaint"),
    [
        ([1.0, 2.0], "expected a NumPy array, got list"),
        (np.array([1 + 2j]), "complex128 has no counterpart"),
        (np.array(["2026-01-01"], dtype="M8[D]"), "no counterpart"),
        (np.array([b"a", None], dtype=object), "an element is NoneType"),
    ],
    ids=["list", "complex", "datetime", "object"],
)
def test_what_the_protocol_cannot_carry_is_refused_by_name(tensor: Any, complaint: str) -> None:
    with pytest.raises(InvalidRequest, match=complaint) as caught:
        encode("pixels", tensor)

    assert caught.value.violations[0].field == "inputs['pixels']"


@pytest.mark.parametrize(
    ("datatype", "shape", "raw"),
    [
        ("FP32", [2], b"\0" * 7),
        ("FP32", [-1], b""),
        ("FP33", [1], b"\0" * 4),
        ("BYTES", [1], b"\2\0\0\0a"),
        ("BYTES", [1], b"\2\0"),
        ("BYTES", [2], b"\1\0\0\0a"),
    ],
    ids=["short", "negative", "unknown", "cut element", "cut length", "too few"],
)
def test_an_answer_that_contradicts_itself_is_refused(
    datatype: str, shape: list[int], raw: bytes
) -> None:
    with pytest.raises(MalformedAnswer, match="'label'"):
        decode("label", datatype, shape, raw)


def test_elements_that_came_one_by_one_make_an_array() -> None:
    numbers = gather("x", "INT8", [2, 1], [1, -1])
    words = gather("x", "BYTES", [2], [b"a", b"b"])

    assert numbers.dtype == np.int8
    assert numbers.tolist() == [[1], [-1]]
    assert words.tolist() == [b"a", b"b"]


@pytest.mark.parametrize(
    ("datatype", "elements"), [("FP32", [1.0]), ("BYTES", [b"a"]), ("BF16", [1.0, 2.0])]
)
def test_elements_must_fit_their_shape_and_datatype(datatype: str, elements: list[Any]) -> None:
    with pytest.raises(MalformedAnswer):
        gather("x", datatype, [2], elements)
