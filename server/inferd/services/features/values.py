"""Values of features as messages, and back."""

from collections.abc import Mapping
from typing import Any

from inferd.features.kinds import Held, Kind
from inferd.v1 import features_pb2 as pb

_FIELDS: Mapping[str, str] = {
    "int64": "int64_value",
    "float64": "float64_value",
    "bool": "bool_value",
    "string": "string_value",
    "bytes": "bytes_value",
}


def plain(value: pb.FeatureValue) -> Held | None:
    """Return what a message holds; None if it holds nothing."""
    kind = value.WhichOneof("kind")
    if kind is None:
        return None
    if kind == "float_list":
        return tuple(value.float_list.values)
    if kind == "string_list":
        return tuple(value.string_list.values)
    held: Held = getattr(value, kind)
    return held


def fill(message: pb.FeatureValue, kind: Kind, value: Any) -> None:
    """Put a value of that type into a message; None: nothing, and that is known."""
    if value is None:
        message.SetInParent()
    elif kind.length:
        message.float_list.values.extend(value)
    elif kind.is_list:
        message.string_list.SetInParent()  # also if it is empty
        message.string_list.values.extend(value)
    else:
        setattr(message, _FIELDS[kind.name], value)
