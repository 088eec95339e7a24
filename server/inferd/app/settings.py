"""Where the configuration comes from: defaults, then a file, the environment, the command line.

The file is YAML with the sections of `inferd.config.Config`. A variable of the environment
names its key in capitals, `INFERD__SERVER__PORT=9001`, and its value is YAML, too.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from yaml.composer import ComposerError

from inferd.app import redis
from inferd.config import Config

PREFIX = "INFERD__"
SEPARATOR = "__"
PATHS = (
    ("repository", "paths"),
    ("faults", "schedule"),
    ("features", "definitions"),
    ("features", "sqlite_path"),
    ("features", "cache_path"),
    ("fraud", "rules"),
    ("fraud", "policy"),
    ("fraud", "audit", "path"),
    ("fraud", "idempotency", "sqlite_path"),
    ("fraud", "alerts", "file", "path"),
    ("experiments", "definitions"),
    ("experiments", "stops"),
    ("rollouts", "decided"),
    ("experiments", "exposures", "path"),
    ("experiments", "outcomes", "path"),
    ("recommendation", "catalogue", "path"),
    ("recommendation", "catalogue", "seed"),
    ("recommendation", "behaviour", "path"),
    ("search", "index", "directory"),
    ("search", "standing"),
    ("search", "behaviour", "path"),
    ("stream", "source", "path"),
    ("stream", "sink", "path"),
    ("stream", "letters", "path"),
)
"""Keys with files and directories: in a file they are relative to it."""

_PASSWORD = re.compile(r"(://[^/?#\s]*:).*@")


class _Unambiguous(yaml.SafeLoader):
    """Refuses a key that is there twice: YAML forbids it, PyYAML takes the last one."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    problem = f"the key {key.value!r:.80} is there twice"
                    raise ComposerError(None, None, problem, key.start_mark)
                seen.add((key.tag, key.value))
        return node


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
    _read_schedule(merged)
    try:
        config = Config.model_validate(merged)
        redis.made(config.redis)
    except ValidationError as error:
        raise ConfigError(_described(error)) from error
    except ValueError as error:
        raise ConfigError([str(error)]) from error
    return config


def read(path: Path) -> dict[str, Any]:
    """Return what a configuration file says."""
    data = yaml_file(path)
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError([f"{path}: expected sections such as `server:`, got {data!r:.80}"])
    return data


def yaml_file(path: Path) -> Any:
    """Return what is in a file of YAML. Raises `ConfigError`."""
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not valid UTF-8 ({error.reason})"]) from error
    try:
        return yaml.load(text, _Unambiguous)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError([f"{path}: {' '.join(str(error).split())}"]) from error


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
    for *sections, key in PATHS:
        given, section = _at(from_file, sections), _at(merged, sections)
        said = given.get(key)
        if said is not None and section.get(key) == said:
            section[key] = _resolved(said, base)


def _at(settings: Mapping[str, Any], sections: Iterable[str]) -> dict[str, Any]:
    """Return a section within a section; nothing in it, where it is none."""
    at: Any = settings
    for each in sections:
        at = at.get(each) if isinstance(at, Mapping) else None
    return at if isinstance(at, dict) else {}


def _resolved(said: Any, base: Path) -> Any:
    if isinstance(said, list):
        return [_resolved(each, base) for each in said]
    return Path(os.path.normpath(base / said)) if isinstance(said, str) else said


def _read_schedule(merged: dict[str, Any]) -> None:
    """Put what is in the file of `faults.schedule` in its place."""
    faults = merged.get("faults")
    if isinstance(faults, dict) and isinstance(faults.get("schedule"), str | Path):
        faults["schedule"] = yaml_file(Path(faults["schedule"])) or ()


def _described(error: ValidationError) -> list[str]:
    lines = []
    for each in error.errors(include_url=False, include_context=False):
        key = ".".join(str(step) for step in each["loc"])
        text = each["msg"].removeprefix("Value error, ")
        if each["type"] == "extra_forbidden":
            known = ", ".join(sorted(_keys_at(each["loc"][:-1])))
            lines.append(f"{key}: no such key; there are {known}")
        elif not key:
            lines.append(text)  # it names the keys that do not go together
        elif each["type"] == "value_error" and isinstance(each["input"], dict):
            lines.append(f"{key}: {text}")  # so does it, in a section
        else:
            lines.append(f"{key}: {text}, got {_shown(each['input'])}")
    return lines


def _shown(value: Any) -> str:
    """Return what was given, cut to a line's length; passwords in URLs are nobody's business."""
    return _PASSWORD.sub(r"\1***@", repr(value))[:80]


def _keys_at(location: tuple[int | str, ...]) -> Iterable[str]:
    sections: list[type[BaseModel]] = [Config]
    for step in location:
        fields = [each.model_fields[step] for each in sections if step in each.model_fields]
        if fields:
            sections = [each for field in fields for each in _sections_in(field.annotation)]
        # Otherwise it is a key or an index, or says which of several sections it is.
        elif kinds := [each for each in sections if _kind(each) == step]:
            sections = kinds
    return {key for each in sections for key in each.model_fields}


def _sections_in(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [each for part in get_args(annotation) for each in _sections_in(part)]


def _kind(section: type[BaseModel]) -> Any:
    field = section.model_fields.get("kind")
    return field.default if field else None
