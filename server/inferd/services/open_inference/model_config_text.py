"""A model's configuration as text and on the wire, from and to plain values.

What comes out of a parser is what was written and nothing more: dictionaries by proto
field name, enum values by name, 64-bit integers as integers. Whatever the text holds,
`LoadFailed` is the only error.
"""

import json
from collections.abc import Callable
from typing import Any

from google.protobuf import json_format, text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from inferd.errors import LoadFailed
from inferd.inference.repository.model_config import ModelConfig
from inferd.oip import model_config_pb2 as pb

FILENAME = "config.pbtxt"
#: The largest configuration. Real ones have a few kilobytes.
MAX_CHARACTERS = 1024 * 1024


#: What protobuf's parsers let through besides their own errors. The last is a bug of theirs:
#: looking up the name of an enum value that is not Unicode.
_LET_THROUGH = (ValueError, TypeError, KeyError, AttributeError, RecursionError, SystemError)


def parse_pbtxt(text: str) -> dict[str, Any]:
    """Return what a `config.pbtxt` says, or raise `LoadFailed` with line and column."""
    _require_text(text, FILENAME)
    message = pb.ModelConfig()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        line, column = error.GetLine(), error.GetColumn()
        where = f":{line}:{column}" if line else ""
        reason = str(error).removeprefix(f"{line}:{column} : ")
        raise LoadFailed(f"{FILENAME}{where}: {_one_line(reason)}") from error
    except _LET_THROUGH as error:
        raise LoadFailed(f"{FILENAME}: {_one_line(str(error))}") from error
    plain = _plain(message)
    if "max_batch_size" in text and not message.max_batch_size and _says_zero(text):
        plain["max_batch_size"] = 0
    return plain


def parse_json(text: str) -> dict[str, Any]:
    """Return what a configuration in proto JSON says, or raise `LoadFailed`.

    Names may be `max_batch_size` or `maxBatchSize`, 64-bit integers numbers or strings.
    """
    _require_text(text, "config")
    message = pb.ModelConfig()
    try:
        json_format.Parse(text, message)
        top = json.loads(text)
    except json_format.ParseError as error:
        raise LoadFailed(f"config: {_one_line(str(error))}") from error
    except _LET_THROUGH as error:
        raise LoadFailed(f"config: not proto JSON: {_one_line(str(error))}") from error
    if not isinstance(top, dict):
        raise LoadFailed("config: should be a JSON object")
    plain = _plain(message)
    if any(top.get(name) is not None for name in ("max_batch_size", "maxBatchSize")):
        plain.setdefault("max_batch_size", 0)
    return plain


def to_proto(config: ModelConfig) -> pb.ModelConfig:
    """Return the message that `ModelConfig` RPCs answer with."""
    # As JSON, which is the form of plain values that protobuf can read.
    plain = _without_defaults(config.model_dump(mode="json"))
    return json_format.ParseDict(plain, pb.ModelConfig())


def _without_defaults(value: Any) -> Any:
    """Leave out what proto3 leaves out, or a `oneof` would seem to be set several times."""
    if isinstance(value, dict):
        kept = {key: _without_defaults(each) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each or isinstance(each, dict)}
    return [_without_defaults(each) for each in value] if isinstance(value, list) else value


def _require_text(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise LoadFailed(f"{what}: is not Unicode at character {error.start + 1}") from error
    if len(text) > MAX_CHARACTERS:
        raise LoadFailed(f"{what}: has {len(text)} characters, {MAX_CHARACTERS} are the most")


def _one_line(text: str) -> str:
    line = ascii(" ".join(text.split()))[1:-1].replace("\\'", "'")
    return line if len(line) <= 300 else f"...{line[-200:]}"  # protobuf's reasons come last


def _says_zero(text: str) -> bool:
    """Whether `max_batch_size: 0` is written: once parsed, it looks like a field left out.

    The parser knows: it refuses a field that is set a second time.
    """
    try:
        text_format.Parse(f"max_batch_size: 1\n{text}", pb.ModelConfig())
    except text_format.ParseError:
        return True
    return False


def _plain(message: Message) -> dict[str, Any]:
    return {field.name: _plain_field(field, value) for field, value in message.ListFields()}


def _plain_field(field: FieldDescriptor, value: Any) -> Any:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        convert = _converter(kind.fields_by_name["value"])
        return {key: convert(each) for key, each in value.items()}
    convert = _converter(field)
    return [convert(each) for each in value] if field.is_repeated else convert(value)


def _converter(field: FieldDescriptor) -> Callable[[Any], Any]:
    if field.message_type is not None:
        return _plain
    if field.enum_type is not None:
        names = field.enum_type.values_by_number
        # A number without a name stays a number, and is refused where values are checked.
        return lambda number: names[number].name if number in names else number
    return lambda value: value
