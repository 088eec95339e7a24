"""The check of external data, against the files that `onnx` writes and ONNX Runtime loads."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inferd.errors import LoadFailed
from inferd.runtime.external_data import check_external_data
from inferd.runtime.session import Session
from inferd.runtime.settings import SessionSettings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Save a model with two tensors in one external file and another in an attribute."""
    weights = [
        numpy_helper.from_array(np.arange(64, dtype=np.float32), name) for name in ("w0", "w1")
    ]
    constant = numpy_helper.from_array(np.ones(64, np.float32), "c")
    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], ["c"], value=constant),
            helper.make_node("Add", ["x", "w0"], ["a"]),
            helper.make_node("Add", ["a", "w1"], ["b"]),
            helper.make_node("Add", ["b", "c"], ["y"]),
        ],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 64])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = tmp_path / "model.onnx"
    onnx.save_model(
        model,
        path,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
        convert_attribute=True,
    )
    return path


def relocated(path: Path, location: str) -> None:
    model = onnx.load_model(path, load_external_data=False)
    for entry in model.graph.initializer[1].external_data:
        if entry.key == "location":
            entry.value = location
    path.write_bytes(model.SerializeToString())


def test_what_is_accepted_can_be_loaded(path: Path) -> None:
    weights = path.parent / "weights.bin"

    assert check_external_data(path) == path.stat().st_size + weights.stat().st_size
    Session(path, SessionSettings())


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "missing.bin"])
def test_what_is_refused_names_the_place(path: Path, location: str) -> None:
    (path.parent.parent / "weights.bin").write_bytes(bytes(1024))
    relocated(path, location)

    with pytest.raises(LoadFailed, match=f"external data '{location}'"):
        check_external_data(path)
