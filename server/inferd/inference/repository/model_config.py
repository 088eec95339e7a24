"""From the fields of a `config.pbtxt`, whoever parsed them, to a `ModelConfig`.

`config_from` is the only way in. It accepts what inferd can do, refuses by name what it
cannot, and tells everything that is wrong at once: what a field cannot be is noted, the
field is taken for left out, and the rest is checked all the same.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from inferd.inference.repository.contradictions import contradictions
from inferd.inference.repository.problems import Problems, path_of, shown
from inferd.inference.repository.schema import ModelConfig
from inferd.inference.repository.unsupported import without_unsupported

__all__ = ["ModelConfig", "config_from"]


def config_from(data: Mapping[str, Any], *, model: str) -> ModelConfig:
    """Understand the configuration of the model in directory `model`.

    Raises `LoadFailed`, naming every field that is wrong, unknown or not supported.
    """
    problems = Problems()
    config = _parsed(without_unsupported(data, problems), problems)
    if config.name not in ("", model):
        problems.add("name", f"is {shown(config.name)}, but the directory is {shown(model)}")
    problems.extend(contradictions(config))
    problems.raise_for(model)
    return config.model_copy(update={"name": model})


def _parsed(data: dict[str, Any], problems: Problems) -> ModelConfig:
    """Return what can be understood; the rest is told, and taken for left out."""
    try:
        return ModelConfig.model_validate(data)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_context=False)
    for error in errors:
        location = tuple(step for step in error["loc"] if step != "[key]")
        problems.add(path_of(location), _described(error))
        _take_out(data, location)
    return ModelConfig.model_validate(data)


def _described(error: ErrorDetails) -> str:
    value = error["input"]
    match error["type"]:
        case "extra_forbidden":
            return "is not a known field"
        case "model_type" | "dict_type":
            return f"should be a group of fields, got {shown(value)}"
        case "tuple_type":
            return f"should be a list, got {shown(value)}"
        case _:
            text = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
            return f"{text}, got {shown(value)}"


def _take_out(data: Any, location: tuple[int | str, ...]) -> None:
    """Remove the innermost named thing on the way to `location`."""
    found: tuple[dict[Any, Any], int | str] | None = None
    for step in location:
        if isinstance(data, dict) and step in data:
            found = data, step
            data = data[step]
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            break
    if found:
        found[0].pop(found[1], None)
