"""What is logged and traced, in Triton's names.

Triton has a switch for each level, here there is one threshold: a switch turned on also turns
on what is graver, one turned off also what is less grave. Tracing is fixed at start.
"""

from collections.abc import Callable, Mapping

from inferd.config import Log, Traces
from inferd.errors import InvalidRequest, Unimplemented
from inferd.inference.checks import quoted
from inferd.oip import grpc_service_pb2 as pb

ApplyLog = Callable[[str, str], None]
"""Makes the log's level (debug, info, warning, error) and format (console, json) hold from now."""

_LEVELS = ("debug", "info", "warning", "error")
_SWITCHES = {"log_verbose_level": 0, "log_info": 1, "log_warning": 2, "log_error": 3}
"""Triton's switches, by the place in `_LEVELS` of what they switch."""

_FORMATS = {"default": "console", "console": "console", "json": "json"}

LogValue = bool | int | str


class LogSettings:
    """What the log's settings are. Without `apply` they can be read only."""

    def __init__(self, config: Log, apply: ApplyLog | None) -> None:
        self._level = _LEVELS.index(config.level)
        self._format: str = config.format
        self._apply = apply

    def values(self) -> dict[str, LogValue]:
        """Return the settings, in Triton's names."""
        return {
            "log_file": "",
            "log_info": self._level <= 1,
            "log_warning": self._level <= 2,
            "log_error": True,
            "log_verbose_level": int(self._level == 0),
            "log_format": "default" if self._format == "console" else self._format,
        }

    def change(self, asked: Mapping[str, pb.LogSettingsRequest.SettingValue]) -> None:
        """Change all settings that are asked for, or none of them.

        Raises:
            InvalidRequest: a setting is unknown, has a wrong value, or contradicts another.
            Unimplemented: settings cannot be changed here.
        """
        if self._apply is None:
            names = ", ".join(quoted(name) for name in list(asked)[:8])
            raise Unimplemented(f"log settings cannot be changed while serving: {names}")
        level = _level_asked(asked, self._level)
        form = self._format
        for name, value in asked.items():
            if name == "log_format":
                form = _format_asked(value)
            elif name == "log_file":
                _check_file(value)
            elif name not in _SWITCHES:
                text = f"unknown log setting {quoted(name)}"
                raise InvalidRequest(text, field=f"settings[{name[:100]}]")
        self._apply(_LEVELS[level], form)
        self._level, self._format = level, form


def _level_asked(asked: Mapping[str, pb.LogSettingsRequest.SettingValue], level: int) -> int:
    """Return the threshold nearest to `level` that makes every switch what it is asked to be."""
    lowest, highest = 0, len(_LEVELS)
    for name, switched in _SWITCHES.items():
        if name not in asked:
            continue
        if _is_on(name, asked[name]):
            highest = min(highest, switched)
        else:
            lowest = max(lowest, switched + 1)
    if lowest >= len(_LEVELS):
        raise InvalidRequest(
            "log_error cannot be switched off: errors are always logged",
            field="settings[log_error]",
        )
    if lowest > highest:
        raise InvalidRequest(
            f"{_name_of(lowest - 1)} cannot be off while {_name_of(highest)} is on: here a level "
            "is logged together with all that are graver",
            field=f"settings[{_name_of(lowest - 1)}]",
        )
    return min(max(level, lowest), highest)


def _name_of(level: int) -> str:
    return list(_SWITCHES)[level]


def _is_on(name: str, value: pb.LogSettingsRequest.SettingValue) -> bool:
    expected = "uint32_param" if name == "log_verbose_level" else "bool_param"
    _check_type(name, value, expected)
    return bool(getattr(value, expected))


def _format_asked(value: pb.LogSettingsRequest.SettingValue) -> str:
    _check_type("log_format", value, "string_param")
    if value.string_param not in _FORMATS:
        raise InvalidRequest(
            f"log_format must be one of {', '.join(_FORMATS)}, got {quoted(value.string_param)}",
            field="settings[log_format]",
        )
    return _FORMATS[value.string_param]


def _check_file(value: pb.LogSettingsRequest.SettingValue) -> None:
    _check_type("log_file", value, "string_param")
    if value.string_param:
        text = "log_file cannot be changed: the log goes to standard error"
        raise InvalidRequest(text, field="settings[log_file]")


def _check_type(name: str, value: pb.LogSettingsRequest.SettingValue, expected: str) -> None:
    if value.WhichOneof("parameter_choice") != expected:
        text = f"invalid value type for log setting '{name}', expected {expected}"
        raise InvalidRequest(text, field=f"settings[{name}]")


def log_response(values: Mapping[str, LogValue]) -> pb.LogSettingsResponse:
    """Return the log's settings as a message."""
    response = pb.LogSettingsResponse()
    for name, value in values.items():
        if isinstance(value, bool):
            response.settings[name].bool_param = value
        elif isinstance(value, int):
            response.settings[name].uint32_param = value
        else:
            response.settings[name].string_param = value
    return response


def trace_response(config: Traces) -> pb.TraceSettingResponse:
    """Return what is traced. `trace_rate` is one in so many calls."""
    on = bool(config.endpoint and config.sample_ratio)
    values = {
        "trace_file": "",
        "trace_level": "TIMESTAMPS" if on else "OFF",
        "trace_rate": str(round(1 / config.sample_ratio)) if config.sample_ratio else "0",
        "trace_count": "-1",
        "log_frequency": "0",
        "trace_mode": "opentelemetry",
    }
    response = pb.TraceSettingResponse()
    for name, value in values.items():
        response.settings[name].value.append(value)
    return response


def refuse_trace_change(asked: Mapping[str, pb.TraceSettingRequest.SettingValue]) -> None:
    """Refuse to change what is traced."""
    if asked:
        names = ", ".join(quoted(name) for name in list(asked)[:8])
        raise Unimplemented(
            f"trace settings cannot be changed while serving ({names}): set "
            "telemetry.traces in the server's configuration"
        )
