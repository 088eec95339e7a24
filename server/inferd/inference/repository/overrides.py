"""A model that came by RPC instead of from the repository: its files, in a directory of ours.

`RepositoryModelLoad` may carry a model's files as `file:<path>` parameters. They are
written below a directory that the caller owns and removes, and look from there on like
any other model, with one difference: nobody is still copying them.
"""

import math
from collections.abc import Mapping
from pathlib import Path

from inferd.errors import InvalidRequest, LoadFailed
from inferd.inference.repository.contradictions import is_inner_path
from inferd.inference.repository.layout import (
    CONFIG_FILENAME,
    MAX_DEPTH,
    ModelFiles,
    name_problem,
    read_model,
)
from inferd.inference.repository.problems import shown

PREFIX = "file:"


def materialise(model: str, files: Mapping[str, bytes], *, root: Path) -> ModelFiles:
    """Write the files of `model` below `root`, an empty directory, and return them.

    A name is a path in the model's directory, `1/model.onnx`, with or without the prefix
    `file:`. Raises `InvalidRequest` for a name that leads elsewhere, or when no file is in
    a version directory, and `LoadFailed` when they cannot be written.
    """
    problem = name_problem(model)
    if problem:
        raise InvalidRequest(problem, field="model_name")
    paths = {_inner(name): content for name, content in files.items()}
    directory = root / model
    try:
        for inner, content in paths.items():
            path = directory / inner
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise LoadFailed(f"cannot keep the files of {shown(model)}: {error.strerror}") from error
    found = read_model(directory, root=root, wall_now=math.inf)
    if found is None or not (found.versions or found.problem):
        raise InvalidRequest(
            f"the files for {shown(model)} have no version: name one file:<version>/model.onnx",
            field="parameters",
        )
    return found


def _inner(name: str) -> str:
    inner = name.removeprefix(PREFIX)
    if not is_inner_path(inner) or inner.count("/") > MAX_DEPTH or inner == CONFIG_FILENAME:
        raise InvalidRequest(
            f"{shown(name)} must name a file in the model's directory, as in file:1/model.onnx;"
            " its configuration is the parameter config",
            field="parameters",
        )
    return inner
