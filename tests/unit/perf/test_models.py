"""The benchmark models' configuration and the repository they lie in."""

from pathlib import Path

import pytest
from google.protobuf import text_format

from inferd.oip import model_config_pb2 as pb
from inferd_perf.models import BENCHMARK_MODELS, Mlp, config_pbtxt
from inferd_perf.repository import model_files


@pytest.mark.parametrize("mlp", BENCHMARK_MODELS, ids=lambda mlp: mlp.name)
def test_a_configuration_is_tritons(mlp: Mlp) -> None:
    config = text_format.Parse(config_pbtxt(mlp), pb.ModelConfig())

    assert (config.name, config.backend, config.max_batch_size) == (mlp.name, "onnxruntime", 64)
    assert config.HasField("dynamic_batching")
    assert [list(i.dims) for i in config.input] == [[mlp.widths[0]]]
    assert [list(o.dims) for o in config.output] == [[1]]


def test_a_configuration_says_how_many_instances() -> None:
    config = text_format.Parse(config_pbtxt(BENCHMARK_MODELS[0], 3), pb.ModelConfig())

    assert [group.count for group in config.instance_group] == [3]


def test_the_newest_version_with_a_model_is_found(tmp_path: Path) -> None:
    for version in ("1", "9", "10", "11", "notes"):
        (tmp_path / "m" / version).mkdir(parents=True)
    for version in ("1", "9", "10"):
        (tmp_path / "m" / version / "model.onnx").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "README.md").touch()

    assert model_files(tmp_path) == {"m": tmp_path / "m" / "10" / "model.onnx"}
