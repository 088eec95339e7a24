"""Faults as messages: the kinds, and what can be said of each, are those of the configuration.

A kind is called the same in both, and so is each of its parameters. What is given is handed over
as it is, and judged where faults from a file are judged.
"""

import math
from typing import Any

from google.protobuf.message import Message
from pydantic import ValidationError

from inferd.config import faults as config
from inferd.errors import InvalidRequest, Violation
from inferd.resilience.faults.points import Listed
from inferd.v1 import admin_pb2 as pb

_OF_ANY = ("share", "for_s", "flap_s", "direction")
"""What is not said in the message of its kind."""
_DIRECTIONS = {pb.Fault.DOWNSTREAM: "downstream", pb.Fault.UPSTREAM: "upstream"}


def understood(fault: pb.Fault) -> config.Fault:
    """Return the fault that a message describes. Raises `InvalidRequest`."""
    kind = fault.WhichOneof("kind")
    if kind is None:
        kinds = ", ".join(each.name for each in pb.Fault.DESCRIPTOR.oneofs_by_name["kind"].fields)
        raise InvalidRequest(f"the fault has no kind; there are {kinds}", field="fault")
    of_any = {name: value for name, value in _given(fault).items() if name in _OF_ANY}
    if "direction" in of_any:
        of_any["direction"] = _DIRECTIONS.get(fault.direction, fault.direction)
    try:
        return config.fault({"kind": kind, **_given(getattr(fault, kind)), **of_any})
    except ValidationError as error:
        raise _refused(kind, error) from None


def active(listed: Listed) -> pb.ActiveFault:
    """Return a fault as it is now."""
    of_kind = dict(listed.parameters)
    said: dict[str, Any] = {name: of_kind.pop(name) for name in _OF_ANY if name in of_kind}
    if "direction" in said:
        said["direction"] = said["direction"].upper()
    said[listed.kind] = of_kind
    return pb.ActiveFault(
        id=listed.number,
        fault=pb.Fault(point=listed.point, **said),
        remaining_s=None if listed.remaining_s == math.inf else listed.remaining_s,
        struck=listed.struck,
        on=listed.on,
    )


def _given(message: Message) -> dict[str, Any]:
    return {field.name: value for field, value in message.ListFields()}


def _refused(kind: str, error: ValidationError) -> InvalidRequest:
    violations = []
    for each in error.errors(include_url=False, include_context=False):
        name = str(each["loc"][-1])
        field = f"fault.{name}" if name in _OF_ANY else f"fault.{kind}.{name}"
        violations.append(Violation(field, each["msg"]))
    text = "; ".join(f"{each.field}: {each.description}" for each in violations)
    return InvalidRequest(text, violations=violations)
