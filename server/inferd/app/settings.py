"""Where the configuration comes from: defaults, then a file, the environment, the command line.

The file is YAML with the sections of `inferd.config.Config`. A variable of the environment
names its key in capitals, `INFERD__SERVER__PORT=9001`, and its value is YAML, too.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from inferd.config import Config

PREFIX = "INFERD__"
SEPARATOR = "__"


class ConfigError(Exception):
    """The configuration is wrong. Each line names a key, where it was set, and what it may be."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def load(path: Path | None, environment: Mapping[str, str], overrides: Mapping[str, Any]) -> Config:
    """Build the configuration, or raise `ConfigError` with everything that is wrong.

    `overrides` are nested like the sections; a later source goes over an earlier one.
    """
    from_file = read(path) if path else {}
    merged: dict[str, Any] = {}
    for source in (from_file, from_environment(environment), overrides):
        merge(merged, source)
    if path:
        _resolve_paths(merged, from_file, path.parent)
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(_described(error)) from error


def read(path: Path) -> dict[str, Any]:
    """Return what a configuration file says."""
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not valid UTF-8 ({error.reason})"]) from error
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError([f"{path}: {' '.join(str(error).split())}"]) from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError([f"{path}: expected sections such as `server:`, got {data!r:.80}"])
    return data


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the configuration that variables of the environment spell out."""
    result: dict[str, Any] = {}
    for name, text in environment.items():
        if not name.startswith(PREFIX):
            continue
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, RecursionError):
            value = text
        for key in reversed(name.removeprefix(PREFIX).lower().split(SEPARATOR)):
            value = {key: value}
        merge(result, value)
    return result


def merge(into: dict[str, Any], source: Mapping[str, Any]) -> None:
    """Put nested mappings over one another, key by key."""
    for key, value in source.items():
        present = into.get(key)
        if isinstance(value, Mapping) and isinstance(present, dict):
            merge(present, value)
        elif isinstance(value, Mapping):
            into[key] = {}
            merge(into[key], value)
        else:
            into[key] = value


def _resolve_paths(merged: dict[str, Any], from_file: Mapping[str, Any], base: Path) -> None:
    """Read paths in a file as relative to that file, as their author meant them."""
    section = from_file.get("repository")
    paths = section.get("paths") if isinstance(section, dict) else None
    if isinstance(paths, list) and merged["repository"]["paths"] == paths:
        merged["repository"]["paths"] = [
            Path(os.path.normpath(base / each)) if isinstance(each, str) else each for each in paths
        ]


def _described(error: ValidationError) -> list[str]:
    lines = []
    for each in error.errors(include_url=False, include_context=False):
        key = ".".join(str(step) for step in each["loc"])
        if each["type"] == "extra_forbidden":
            known = ", ".join(sorted(_keys_at(each["loc"][:-1])))
            lines.append(f"{key}: no such key; there are {known}")
        else:
            lines.append(f"{key}: {each['msg']}, got {each['input']!r:.80}")
    return lines


def _keys_at(location: tuple[int | str, ...]) -> Iterable[str]:
    section: type[BaseModel] = Config
    for step in location:
        annotation = section.model_fields[str(step)].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            section = annotation
    return section.model_fields
