"""Logs: one line per record on standard error, for people or (JSON) for machines.

A record is made where it happens and written by a thread of our own, so that a slow
terminal or a full pipe never holds the event loop. The queue in between is bounded: in a
storm lines are dropped, and counted in the log, rather than kept until memory is gone.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue
from typing import Any, TextIO

from inferd.config import Log

#: Lines that wait to be written before more are dropped.
MAX_WAITING = 10_000
#: How long the last lines may take to be written. Whoever reads them may have stopped to.
LAST_LINES_S = 1.0

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127)} | {10: "\\n", 9: " "}
_COLOURS = {"DEBUG": "\033[2m", "WARNING": "\033[33m", "ERROR": "\033[31m", "CRITICAL": "\033[31m"}
_PLAIN = "\033[0m"


class Logs:
    """The logs while they are on: what the outside may change at run time."""

    def __init__(self, writer: logging.StreamHandler[TextIO], listener: "_Listener") -> None:
        self._writer = writer
        self._listener = listener
        self._logger = logging.getLogger("inferd")

    @property
    def stuck(self) -> bool:
        """Whether the logs are off, and their last lines could not be written."""
        return self._listener.stuck

    def apply(self, level: str, form: str) -> None:
        """Write ours from `level` (one of `LEVELS`) on, as `form` (console, json) from now."""
        colour = _colours(self._writer.stream)
        self._logger.setLevel(LEVELS[level])
        self._writer.setFormatter(Json() if form == "json" else Console(colour=colour))


@contextmanager
def logging_to(stream: TextIO, config: Log) -> Iterator[Logs]:
    """Write logs to `stream` for as long as the block lasts; leaving writes what waits.

    Where nobody reads, leaving gives up after `LAST_LINES_S`; the writing thread is then
    still there, and holds the stream.

    Ours are written from `config.level` on, those of libraries from warnings on.
    """
    root, access = logging.getLogger(), logging.getLogger("inferd.access")
    ours = logging.getLogger("inferd")
    before = root.handlers, root.level, ours.level, access.disabled

    writer = logging.StreamHandler(stream)
    waiting: SimpleQueue[Any] = SimpleQueue()
    listener = _Listener(waiting, writer)
    root.handlers = [_Enqueue(waiting)]
    root.setLevel(logging.WARNING)
    access.disabled = not config.access
    on = Logs(writer, listener)
    on.apply(config.level, config.format)
    listener.start()
    try:
        yield on
    finally:
        root.handlers, level, our_level, access.disabled = before
        root.setLevel(level)
        ours.setLevel(our_level)
        listener.stop()


class Console(logging.Formatter):
    """For people: `12:00:00.123 WARNING inferd.access message key=value`."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and below it the traceback if there is one."""
        at = datetime.fromtimestamp(record.created).astimezone()
        level = f"{record.levelname:<7}"
        if self._colour and record.levelname in _COLOURS:
            level = f"{_COLOURS[record.levelname]}{level}{_PLAIN}"
        extra = "".join(f" {key}={value}" for key, value in _extra(record).items())
        # What callers send must not be able to fake a line, or to paint the terminal.
        text = (record.getMessage() + extra).translate(_CONTROLS)
        line = f"{at:%H:%M:%S}.{int(record.msecs):03d} {level} {record.name} {text}"
        trace = _traceback(self, record)
        return f"{line}\n{trace}" if trace else line


class Json(logging.Formatter):
    """For machines: an object per line, extra fields beside ours, a traceback as one field."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object. What JSON cannot say is said as text."""
        at = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, Any] = {
            "time": f"{at:%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        trace = _traceback(self, record)
        if trace:
            fields["exception"] = trace
        fields = _extra(record) | fields
        try:
            return json.dumps(fields, default=str, allow_nan=False)
        except ValueError:
            return json.dumps({key: str(value) for key, value in fields.items()})


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if record.exc_info and not record.exc_text:
        record.exc_text = formatter.formatException(record.exc_info)
    return record.exc_text or ""


def _colours(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR")


class _Listener(QueueListener):
    """The writing thread. Unlike the library's, it does not wait for ever to stop."""

    stuck = False

    def stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self.enqueue_sentinel()
            thread.join(LAST_LINES_S)
            self.stuck = thread.is_alive()


class _Enqueue(QueueHandler):
    """Hands records to the writing thread, put into words: what they refer to may change."""

    def __init__(self, waiting: "SimpleQueue[Any]") -> None:
        super().__init__(waiting)
        self._waiting = waiting
        self._dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        _traceback(_FORMATTER, record)
        ready = logging.makeLogRecord(vars(record))
        ready.msg, ready.args, ready.exc_info = record.getMessage(), None, None
        return ready

    def enqueue(self, record: logging.LogRecord) -> None:
        if self._waiting.qsize() >= MAX_WAITING:
            self._dropped += 1
            return
        if self._dropped:
            self._waiting.put(
                logging.makeLogRecord(
                    {
                        "name": "inferd.logs",
                        "levelno": logging.WARNING,
                        "levelname": "WARNING",
                        "msg": f"{self._dropped} lines were dropped: they came too fast",
                    }
                )
            )
            self._dropped = 0
        self._waiting.put(record)


_FORMATTER = logging.Formatter()
