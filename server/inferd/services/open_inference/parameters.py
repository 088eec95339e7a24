"""The protocol's reserved parameters, read with Triton's rules and refused in its words.

Parameters with other names are nobody's business here: they are accepted and ignored.
"""

from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from inferd.errors import InvalidRequest, Unimplemented
from inferd.inference.checks import quoted
from inferd.oip import grpc_service_pb2 as pb

Given = Mapping[str, pb.InferParameter]


class RequestParameters(NamedTuple):
    """What the parameters of a request ask for."""

    #: An upper bound for the request's deadline, from now.
    timeout_s: float | None = None
    #: 1 is the highest level, 0 the model's default.
    priority: int = 0
    #: Whether outputs come raw. None: as the inputs did.
    binary: bool | None = None


DEFAULT = RequestParameters()


class RegionParameters(NamedTuple):
    """A tensor's place in shared memory, in bytes. Offsets are from the region's start."""

    region: str
    offset: int
    byte_size: int


def request_parameters(given: Given) -> RequestParameters:
    """Return what the parameters of a request ask for.

    Raises:
        InvalidRequest: one has the wrong type or value.
        Unimplemented: one asks for a sequence.
    """
    for name in ("sequence_id", "sequence_start", "sequence_end"):
        if name in given:
            _refuse_sequence(name, given[name])
    if "triton_enable_empty_final_response" in given:  # only streams have use for it
        name = "triton_enable_empty_final_response"
        _bool(given[name], f"'{name}' parameter", f"parameters[{name}]")
    binary = _flag(given, "binary_data_output", "parameters")
    return RequestParameters(_timeout_s(given), _priority(given), binary)


def binary_data(given: Given, field: str) -> bool | None:
    """Return whether an output is to come raw, None if its parameters do not say."""
    return _flag(given, "binary_data", f"{field}.parameters")


def classes(given: Given, field: str) -> int:
    """Return how many classes an output's parameters ask for, 0 if for none."""
    if "classification" not in given:
        return 0
    field = f"{field}.parameters[classification]"
    count = _int64(given["classification"], "'classification' parameter", field)
    if count <= 0:
        text = f"invalid value for 'classification' parameter, expected >= 1, got {count}"
        raise InvalidRequest(text, field=field)
    return count


def region(given: Given, tensor: str, field: str) -> RegionParameters | None:
    """Return where in shared memory a tensor is, None if it is not."""
    if "shared_memory_region" not in given:
        for name in ("shared_memory_offset", "shared_memory_byte_size"):
            if name in given:
                raise InvalidRequest(
                    f"'{name}' can not be specified without 'shared_memory_region' "
                    f"parameter for tensor {quoted(tensor)}",
                    field=f"{field}.parameters[{name}]",
                )
        return None
    name = _string(given, "shared_memory_region", tensor, field)
    if "shared_memory_byte_size" not in given:
        raise InvalidRequest(
            "'shared_memory_byte_size' must be specified along with "
            f"'shared_memory_region' parameter for tensor {quoted(tensor)}",
            field=f"{field}.parameters",
        )
    offset = _bytes(given, "shared_memory_offset", tensor, field)
    return RegionParameters(name, offset, _bytes(given, "shared_memory_byte_size", tensor, field))


def _refuse_sequence(name: str, parameter: pb.InferParameter) -> None:
    what = parameter.WhichOneof("parameter_choice")
    field = f"parameters[{name}]"
    if name == "sequence_id":
        if what not in {"int64_param", "uint64_param", "string_param"}:
            _wrong_type(f"'{name}' parameter", "int64_param or string_param.", field)
        asked = bool(getattr(parameter, what))
    else:
        asked = _bool(parameter, f"'{name}' parameter", field)
    if asked:
        raise Unimplemented(f"sequences are not supported: leave out the parameter '{name}'")


def _timeout_s(given: Given) -> float | None:
    if "timeout" not in given:
        return None
    field = "parameters[timeout]"
    timeout_us = _int64(given["timeout"], "'timeout' parameter", field)
    if timeout_us < 0:
        text = f"invalid value for 'timeout', expected microseconds >= 0, got {timeout_us}."
        raise InvalidRequest(text, field=field)
    return timeout_us * 1e-6 or None


def _priority(given: Given) -> int:
    if "priority" not in given:
        return 0
    parameter = given["priority"]
    what = parameter.WhichOneof("parameter_choice")
    if what == "uint64_param":
        return parameter.uint64_param
    if what != "int64_param":
        _wrong_type("'priority' parameter", "int64_param or uint64_param.", "parameters[priority]")
    if parameter.int64_param < 0:
        text = "invalid value for 'priority', expected value >= 0."
        raise InvalidRequest(text, field="parameters[priority]")
    return parameter.int64_param


def _flag(given: Given, name: str, field: str) -> bool | None:
    if name not in given:
        return None
    return _bool(given[name], f"'{name}' parameter", f"{field}[{name}]")


def _bool(parameter: pb.InferParameter, what: str, field: str) -> bool:
    if parameter.WhichOneof("parameter_choice") != "bool_param":
        _wrong_type(what, "bool_param.", field)
    return parameter.bool_param


def _int64(parameter: pb.InferParameter, what: str, field: str) -> int:
    if parameter.WhichOneof("parameter_choice") != "int64_param":
        _wrong_type(what, "int64_param.", field)
    return parameter.int64_param


def _string(given: Given, name: str, tensor: str, field: str) -> str:
    if given[name].WhichOneof("parameter_choice") != "string_param":
        what = f"'{name}' parameter for tensor {quoted(tensor)}"
        _wrong_type(what, "string_param.", f"{field}.parameters[{name}]")
    return given[name].string_param


def _bytes(given: Given, name: str, tensor: str, field: str) -> int:
    if name not in given:
        return 0
    what, field = f"'{name}' parameter for tensor {quoted(tensor)}", f"{field}.parameters[{name}]"
    number = _int64(given[name], what, field)
    if number < 0:
        raise InvalidRequest(f"invalid value for {what}, expected >= 0, got {number}", field=field)
    return number


def _wrong_type(what: str, expected: str, field: str) -> NoReturn:
    raise InvalidRequest(f"invalid value type for {what}, expected {expected}", field=field)
