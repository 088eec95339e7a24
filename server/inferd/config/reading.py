"""How a file of declarations is read (rules, a policy, experiments): all that is wrong at once."""

import hashlib
import reprlib
from collections.abc import Iterable
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from inferd.config.section import Section

S = TypeVar("S", bound=Section)

MAX_CHARACTERS = 1_000_000


class Refused(ValueError):
    """A text is not what was to be declared. Each problem names a key."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def version(text: str) -> str:
    """Return what tells a text from all others: the beginning of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(text: str, declared: type[S]) -> S:
    """Return what a text declares, in YAML. Raises `Refused`."""
    if len(text) > MAX_CHARACTERS:
        raise Refused([f"the file has more than {MAX_CHARACTERS} characters"])
    try:
        text.encode()
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Refused([f"the file: it is no YAML: {' '.join(str(error).split())}"]) from error
    try:
        return declared.model_validate(data)
    except ValidationError as error:
        raise Refused(_described(error, data)) from error


def _described(error: ValidationError, data: object) -> list[str]:
    lines = []
    for each in error.errors(include_url=False, include_context=False):
        path = _path(each["loc"], data) or "the file"
        if each["type"] == "extra_forbidden":
            lines.append(f"{path}: no such key")
        elif each["type"] == "missing":
            lines.append(f"{path}: it is required")
        else:
            message = each["msg"].removeprefix("Value error, ")
            # A few lines of YAML can stand for a structure that takes forever to write out.
            lines.append(f"{path}: {message}, got {reprlib.repr(each['input'])}")
    return lines


def _path(location: tuple[int | str, ...], data: Any) -> str:
    """Return where something is; the members of lists go by their ids or names."""
    steps: list[str] = []
    for step in location:
        try:
            data = data[step]
        except (TypeError, KeyError, IndexError):
            data = None
        name = None
        if isinstance(step, int) and isinstance(data, dict):
            name = data.get("id", data.get("name"))
        steps.append(name if isinstance(name, str) else str(step))
    return ".".join(steps)
