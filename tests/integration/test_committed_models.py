"""The models in this repository load, answer, and agree with their configs."""

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from google.protobuf import text_format
from numpy.typing import NDArray
from onnx import TensorProto
from scripts import build_test_repository

from digits import classify, train
from inferd.oip.model_config_pb2 import DataType, ModelConfig

ROOT = Path(__file__).resolve().parents[2]
REPOSITORIES = [ROOT / "model_repository", ROOT / "tests" / "repository"]
MODELS = sorted(path for root in REPOSITORIES for path in root.glob("*/*/model.onnx"))
CONFIGS = sorted(path for root in REPOSITORIES for path in root.glob("*/config.pbtxt"))

ONNX_TYPE = {
    f"TYPE_{'STRING' if name == 'BYTES' else name}": onnx_type
    for name, onnx_type in build_test_repository.DATATYPES.items()
}


def name_of(path: Path) -> str:
    return path.parent.relative_to(ROOT).as_posix()


def load(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    # `optional_input` is warned about at load: an input with a default is not a constant.
    options.log_severity_level = 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def probe(name: str) -> ort.InferenceSession:
    return load(ROOT / "tests" / "repository" / name / "1" / "model.onnx")


def digits(version: int) -> ort.InferenceSession:
    return load(ROOT / "model_repository" / "digits" / str(version) / "model.onnx")


def run(session: ort.InferenceSession, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    outputs: list[NDArray[Any]] = session.run(None, dict(inputs))
    return outputs


def parsed(path: Path) -> ModelConfig:
    return text_format.Parse(path.read_text(), ModelConfig())


@dataclass(frozen=True)
class Facts:
    """What a config and a graph can both say of a tensor."""

    type: int
    shape: list[int]


def in_graph(tensor: onnx.ValueInfoProto, config: ModelConfig) -> Facts:
    kind = tensor.type.tensor_type
    sizes = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in kind.shape.dim]
    if sizes[0] == config.max_batch_size > 0:  # smaller batches are filled up to it
        sizes[0] = -1
    return Facts(kind.elem_type, sizes)


def in_config(data_type: int, dims: list[int], config: ModelConfig, *, flat: bool) -> Facts:
    batch = [-1] if config.max_batch_size > 0 else []
    return Facts(ONNX_TYPE[DataType.Name(data_type)], [-1] if flat else [*batch, *dims])


@pytest.mark.parametrize("path", MODELS, ids=name_of)
def test_a_model_is_within_what_the_runtime_reads_and_loads(path: Path) -> None:
    model = onnx.load(path)

    assert model.ir_version <= 10
    versions = {opset.domain: opset.version for opset in model.opset_import}
    assert versions.pop("") <= 21
    # Trees are in a domain of their own.
    assert versions in ({}, {"ai.onnx.ml": 3})
    assert load(path).get_providers() == ["CPUExecutionProvider"]


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_a_config_agrees_with_the_graph_of_every_version(path: Path) -> None:
    config = parsed(path)
    inputs = {tensor.name: tensor for tensor in config.input}
    outputs = {tensor.name: tensor for tensor in config.output}
    versions = sorted(path.parent.glob("*/model.onnx"))

    assert config.name == path.parent.name
    assert config.platform == "onnxruntime_onnx"
    assert versions
    for version in versions:
        graph = onnx.load(version).graph
        with_default = {constant.name for constant in graph.initializer}
        given = {tensor.name: in_graph(tensor, config) for tensor in graph.input}
        for batch_input in config.batch_input:
            for name in batch_input.target_name:
                assert given.pop(name) == Facts(
                    ONNX_TYPE[DataType.Name(batch_input.data_type)], [-1]
                )
        assert given == {
            name: in_config(
                tensor.data_type, list(tensor.dims), config, flat=tensor.allow_ragged_batch
            )
            for name, tensor in inputs.items()
        }
        scattered = {name for each in config.batch_output for name in each.target_name}
        assert {tensor.name: in_graph(tensor, config) for tensor in graph.output} == {
            name: in_config(tensor.data_type, list(tensor.dims), config, flat=name in scattered)
            for name, tensor in outputs.items()
        }
        assert {name for name, tensor in inputs.items() if tensor.optional} == {
            tensor.name for tensor in graph.input if tensor.name in with_default
        }


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_a_configs_labels_and_warm_up_samples_fit_its_tensors(path: Path) -> None:
    config = parsed(path)
    inputs = {tensor.name: tensor for tensor in config.input}

    for output in config.output:
        if output.label_filename:
            labels = (path.parent / output.label_filename).read_text().splitlines()
            assert [len(labels)] == list(output.dims)
    for sample in config.model_warmup:
        assert set(sample.inputs) == set(inputs)
        assert 1 <= sample.batch_size <= config.max_batch_size
        for name, value in sample.inputs.items():
            assert value.data_type == inputs[name].data_type
            assert list(value.dims) == list(inputs[name].dims)


@pytest.mark.parametrize("version", [1, 2])
def test_digits_reads_the_held_out_images(version: int) -> None:
    pixels, labels = train.held_out()

    probabilities, seen = run(digits(version), {"pixels": pixels})

    assert len(labels) >= 300
    assert np.mean(seen[:, 0] == labels) >= 0.97
    assert seen.shape == (len(labels), 1)
    assert np.array_equal(probabilities.argmax(axis=1), seen[:, 0])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_second_version_of_digits_reads_better_than_the_first() -> None:
    pixels, labels = train.held_out()

    errors = [
        np.count_nonzero(run(digits(version), {"pixels": pixels})[1][:, 0] != labels)
        for version in (1, 2)
    ]

    assert errors[1] < errors[0]


def test_the_model_card_of_digits_is_of_the_committed_files() -> None:
    card = (ROOT / "examples" / "digits" / "README.md").read_text()

    for version in (1, 2):
        model = ROOT / "model_repository" / "digits" / str(version) / "model.onnx"
        assert hashlib.sha256(model.read_bytes()).hexdigest() in card


def test_training_a_recipe_twice_writes_the_same_bytes() -> None:
    recipe = train.RECIPES[1]

    first, second = (
        train.graph_of(train.train(recipe), 1).SerializeToString(deterministic=True)
        for _ in range(2)
    )

    assert first == second


def test_the_client_sends_images_that_were_held_out() -> None:
    pixels, labels = train.held_out()

    sent, shown = classify.held_out(300)

    assert np.array_equal(sent, pixels[:300])
    assert np.array_equal(shown, labels[:300])


def test_the_client_says_so_when_there_is_no_server() -> None:
    client = subprocess.run(
        [sys.executable, ROOT / "examples" / "digits" / "classify.py", "--url", "127.0.0.1:1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert client.returncode == 1
    assert client.stderr.startswith("127.0.0.1:1: no server answers")


def test_the_committed_probes_are_what_the_script_builds() -> None:
    fresh = build_test_repository.repository()

    assert list(build_test_repository.differences(fresh, build_test_repository.TARGET)) == []


def test_simple_adds_and_subtracts() -> None:
    left, right = np.full((2, 16), 5, np.int32), np.full((2, 16), 3, np.int32)

    for name in ("simple", "simple_no_config"):
        total, difference = run(probe(name), {"INPUT0": left, "INPUT1": right})

        assert np.array_equal(total, left + right)
        assert np.array_equal(difference, left - right)


def test_identity_all_returns_every_datatype() -> None:
    session = probe("identity_all")
    values: dict[str, NDArray[Any]] = {
        tensor.name: np.ones((2, length), onnx_dtype(tensor.name))
        for length, tensor in enumerate(session.get_inputs())
    }
    values["INPUT_BYTES"] = np.array([["one"], ["zw\u00f6lf\0"]], dtype=object)

    answers = run(session, values)

    assert len(values) == 13
    for (name, value), answer in zip(values.items(), answers, strict=True):
        assert answer.dtype == value.dtype, name
        assert np.array_equal(answer, value), name


def onnx_dtype(name: str) -> np.dtype[Any]:
    onnx_type = build_test_repository.DATATYPES[name.removeprefix("INPUT_")]
    return onnx.helper.tensor_dtype_to_np_dtype(onnx_type)


def test_identity_bf16_answers_through_an_io_binding() -> None:
    """NumPy has no BF16: the bits travel as uint16, by address."""
    bits = np.array([[0x3F80, 0x4020, 0xC040]], np.uint16)
    answer = np.zeros_like(bits)
    session = probe("identity_bf16")
    binding = session.io_binding()
    kind = TensorProto.BFLOAT16
    binding.bind_input("INPUT0", "cpu", 0, kind, bits.shape, bits.ctypes.data)
    binding.bind_output("OUTPUT0", "cpu", 0, kind, answer.shape, answer.ctypes.data)

    session.run_with_iobinding(binding)

    assert np.array_equal(answer, bits)


def test_shapes_are_free_where_the_config_says_so() -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    words = np.array([["a", "", "\0"]], dtype=object)
    nothing = np.empty((2, 0), np.float32)

    assert np.array_equal(run(probe("sequence_any"), {"INPUT0": values})[0], values)
    assert np.array_equal(run(probe("identity_bytes"), {"INPUT0": words})[0], words)
    assert run(probe("identity_fp32"), {"INPUT0": nothing})[0].shape == (2, 0)


def test_no_batch_transposes() -> None:
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)

    assert np.array_equal(run(probe("no_batch"), {"INPUT0": matrix})[0], matrix.T)


def test_an_optional_input_is_ten_when_left_out() -> None:
    session = probe("optional_input")
    ones = np.ones((3, 4), np.float32)

    assert np.array_equal(run(session, {"INPUT0": ones})[0], ones + 10)
    assert np.array_equal(run(session, {"INPUT0": ones, "INPUT1": ones})[0], ones + 1)


def test_slow_returns_its_input() -> None:
    rows = np.array([[1], [2]], np.float32)

    assert np.array_equal(run(probe("slow"), {"INPUT0": rows})[0], rows)


def test_one_poisonous_row_fails_the_whole_run() -> None:
    session = probe("poison")

    assert run(session, {"INDEX": np.array([[0], [3]])})[0].tolist() == [[10], [40]]
    with pytest.raises(ort.capi.onnxruntime_pybind11_state.InvalidArgument, match="out of data"):
        run(session, {"INDEX": np.array([[0], [4]])})


def test_nan_maker_has_no_answer_to_zero() -> None:
    values = np.array([[0, 1, -2, 3]], np.float32)

    answer = run(probe("nan_maker"), {"INPUT0": values})[0]

    assert np.isnan(answer).tolist() == [[True, False, False, False]]
