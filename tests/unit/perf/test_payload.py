"""Requests from a model's metadata, and the check of answers."""

from collections.abc import Mapping

import numpy as np
import pytest

from inferd.oip import grpc_service_pb2 as pb
from inferd_perf.payload import (
    Data,
    DoesNotFit,
    Recipe,
    Tensor,
    concrete_shape,
    defect,
    framed,
    payloads,
    tensor_bytes,
)


def metadata(*shape: int, datatype: str = "FP32") -> pb.ModelMetadataResponse:
    tensor = pb.ModelMetadataResponse.TensorMetadata(name="x", datatype=datatype, shape=shape)
    return pb.ModelMetadataResponse(name="m", inputs=[tensor])


def recipe(
    *,
    rows: int = 1,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    data: Data = "random",
    variants: int = 1,
) -> Recipe:
    return Recipe(model="m", rows=rows, shapes=shapes or {}, data=data, variants=variants)


def test_rows_fill_the_batch_dimension_and_ones_the_other_free_ones() -> None:
    assert concrete_shape(Tensor("x", "FP32", (-1, 3, -1)), 4, None) == (4, 3, 1)


def test_a_chosen_shape_fills_the_free_dimensions() -> None:
    assert concrete_shape(Tensor("x", "FP32", (-1, 3, -1)), 4, (2, 3, 5)) == (2, 3, 5)


@pytest.mark.parametrize("chosen", [(2, 4), (2,), (2, 3, 1)])
def test_a_chosen_shape_must_fit_the_model(chosen: tuple[int, ...]) -> None:
    with pytest.raises(DoesNotFit, match="does not fit 'x'"):
        concrete_shape(Tensor("x", "FP32", (-1, 3)), 1, chosen)


def test_many_rows_need_a_batch_dimension() -> None:
    assert concrete_shape(Tensor("x", "FP32", (3, -1)), 1, None) == (3, 1)
    with pytest.raises(DoesNotFit, match="no batch dimension for 2 rows"):
        concrete_shape(Tensor("x", "FP32", (3, -1)), 2, None)


@pytest.mark.parametrize(
    ("datatype", "size"),
    [("BOOL", 1), ("INT8", 1), ("UINT16", 2), ("INT64", 8), ("FP16", 2), ("BF16", 2), ("FP64", 8)],
)
def test_raw_contents_have_the_size_of_the_datatype(datatype: str, size: int) -> None:
    rng = np.random.default_rng(0)

    assert len(tensor_bytes(datatype, (2, 3), rng)) == 6 * size
    assert tensor_bytes(datatype, (2, 3), None) == bytes(6 * size)


def test_a_bf16_is_the_upper_half_of_an_fp32() -> None:
    floats = np.frombuffer(tensor_bytes("FP32", (8,), np.random.default_rng(0)), np.uint32)

    halves = np.frombuffer(tensor_bytes("BF16", (8,), np.random.default_rng(0)), np.uint16)

    assert halves.tolist() == (floats >> 16).tolist()


def test_every_element_of_bytes_carries_its_length() -> None:
    assert tensor_bytes("BYTES", (2,), np.random.default_rng(0)) == b"\1\0\0\0000\1\0\0\0001"
    assert tensor_bytes("BYTES", (2,), None) == bytes(8)


def test_an_unknown_datatype_is_named() -> None:
    with pytest.raises(DoesNotFit, match="'FP8'"):
        tensor_bytes("FP8", (1,), None)


def test_a_request_describes_the_tensor_that_it_carries() -> None:
    (message,) = payloads(recipe(rows=2), metadata(-1, 3))

    request = pb.ModelInferRequest.FromString(message)
    assert request.model_name == "m"
    assert [(i.name, i.datatype, list(i.shape)) for i in request.inputs] == [("x", "FP32", [2, 3])]
    assert [len(raw) for raw in request.raw_input_contents] == [2 * 3 * 4]


def test_variants_differ_and_a_seed_repeats_them() -> None:
    first = payloads(recipe(variants=3), metadata(-1, 3))

    assert len(set(first)) == 3
    assert payloads(recipe(variants=3), metadata(-1, 3)) == first


def test_zero_data_is_zero() -> None:
    (message,) = payloads(recipe(data="zero"), metadata(-1, 3))

    assert pb.ModelInferRequest.FromString(message).raw_input_contents[0] == bytes(12)


def test_a_shape_for_an_input_that_is_not_there_is_refused() -> None:
    with pytest.raises(DoesNotFit, match="no input"):
        payloads(recipe(shapes={"y": (1,)}), metadata(-1, 3))


def response(outputs: int, raw: int) -> bytes:
    message = pb.ModelInferResponse(raw_output_contents=[b"1234"] * raw)
    for _ in range(outputs):
        message.outputs.add(name="y", datatype="FP32", shape=[1])
    return message.SerializeToString()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (response(1, 1), None),
        (response(0, 0), "no outputs"),
        (response(2, 1), "2 outputs with 1 raw contents"),
        (response(1, 0), "an output without contents"),
        (b"\xff", "not a ModelInferResponse"),
    ],
)
def test_an_answer_without_its_outputs_is_no_answer(answer: bytes, expected: str | None) -> None:
    assert defect(answer) == expected


def test_typed_contents_are_an_answer_too() -> None:
    message = pb.ModelInferResponse()
    message.outputs.add(name="y", datatype="FP32", shape=[1]).contents.fp32_contents.append(1.0)

    assert defect(message.SerializeToString()) is None


def test_a_frame_is_not_compressed_and_knows_its_length() -> None:
    assert framed(b"abc") == b"\0\0\0\0\3abc"
