"""ONNX Runtime with no server around it."""

from pathlib import Path

import pytest

from inferd_perf.direct import timed
from inferd_perf.models import Mlp, write

TINY = Mlp("tiny", (4, 1), seed=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(TINY, tmp_path_factory.mktemp("repository"))


@pytest.mark.parametrize("beside", [0, 2])
def test_every_batch_size_is_run_alone_or_beside_others(model: Path, beside: int) -> None:
    found = timed(model, [1, 4], threads=1, seconds=0.0, beside=beside)

    assert [each.rows for each in found] == [1, 4]
    assert all(each.median_s > 0 and each.spread >= 0 for each in found)
