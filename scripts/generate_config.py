"""Write `configs/production.yaml`: every key with its default and meaning. `--check` compares."""

import math
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, SecretStr

from inferd.config import Config

TARGET = Path(__file__).resolve().parent.parent / "configs" / "production.yaml"
HEADER = """\
# Every key, with its default: what is here is what a server does without a file.
# A variable of the environment goes over it (INFERD__SERVER__PORT=9001), a flag over both.
# Paths in this file are relative to it. Units are in the names.
"""
WIDTH = 92


def lines(section: BaseModel, indent: str = "") -> Iterator[str]:
    """Return a section as YAML, each key below what it means."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        about = field.description or (value.__doc__ if isinstance(value, BaseModel) else "") or ""
        for line in textwrap.wrap(" ".join(about.split()), WIDTH - len(indent)):
            yield f"{indent}# {line}"
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:"
            yield from lines(value, f"{indent}  ")
        else:
            yield f"{indent}{name}: {scalar(value)}"
        if not indent:
            yield ""


def scalar(value: Any) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, tuple):
        return f"[{', '.join(scalar(each) for each in value)}]"
    text: str = yaml.safe_dump(plain(value), default_flow_style=True, width=math.inf)
    return text.removesuffix("...\n").strip()


def plain(value: Any) -> Any:
    """Return a value in the types that YAML has."""
    match value:
        case BaseModel():
            return {name: plain(each) for name, each in value}
        case dict():
            return {name: plain(each) for name, each in value.items()}
        case frozenset():
            return sorted(value)
        case SecretStr():
            return value.get_secret_value()  # nobody's: it is a default
        case Path():
            return str(value)
        case _:
            return value


def main() -> int:
    """Write the file, or with `--check` return 1 when it is out of date."""
    text = "\n".join([HEADER, *lines(Config())]).rstrip() + "\n"
    text = text.replace("paths: [model_repository]", "paths: [../model_repository]")
    if "--check" in sys.argv[1:]:
        if TARGET.read_text() == text:
            return 0
        print("configs/production.yaml is out of date: run `make generate`")
        return 1
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
