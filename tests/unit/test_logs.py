"""What a line of the log looks like, and that nothing waits for it to be written."""

import io
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from inferd.app import logs
from inferd.app.logs import Logs, logging_to
from inferd.config import Log

log = logging.getLogger("inferd.part")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(
    config: Log, say: Callable[[Logs], None], *, stream: io.StringIO | None = None
) -> list[str]:
    stream = stream or io.StringIO()
    with logging_to(stream, config) as on:
        say(on)
    return stream.getvalue().splitlines()


def the_object(say: Callable[[Logs], None]) -> dict[str, Any]:
    (line,) = written(Log(format="json"), say)
    fields: dict[str, Any] = json.loads(line)
    return fields


def fail() -> None:
    try:
        int("the cause")
    except ValueError:
        log.exception("it failed")


def test_json_is_an_object_with_the_extra_fields() -> None:
    fields = the_object(
        lambda _: log.info("%s shed", "m", extra={"code": "UNAVAILABLE", "total_ms": 1.5})
    )

    assert fields.pop("time").endswith("Z")
    assert fields == {
        "level": "info",
        "logger": "inferd.part",
        "message": "m shed",
        "code": "UNAVAILABLE",
        "total_ms": 1.5,
    }


def test_json_has_a_traceback_in_one_field() -> None:
    fields = the_object(lambda _: fail())

    assert fields["message"] == "it failed"
    assert fields["exception"].startswith("Traceback (most recent call last):\n")
    assert fields["exception"].endswith("'the cause'")


@pytest.mark.parametrize("value", [float("inf"), object(), {1: float("nan")}])
def test_json_says_as_text_what_it_cannot_say(value: object) -> None:
    fields = the_object(lambda _: log.info("m", extra={"odd": value}))

    assert fields["odd"] == str(value)


def test_an_extra_field_cannot_pass_for_one_of_ours() -> None:
    fields = the_object(lambda _: log.info("m", extra={"level": "error", "logger": "x"}))

    assert (fields["level"], fields["logger"]) == ("info", "inferd.part")


def test_the_console_has_one_line_with_the_extra_fields() -> None:
    (line,) = written(Log(), lambda _: log.warning("slow %d", 3, extra={"code": "OK"}))

    time, rest = line.split(" ", 1)
    assert len(time) == len("12:00:00.123")
    assert rest == "WARNING inferd.part slow 3 code=OK"


def test_what_a_caller_sends_cannot_fake_a_line_or_paint() -> None:
    (line,) = written(Log(), lambda _: log.info("m\nERROR fake \033[31m", extra={"k": "a\r\nb"}))

    assert line.endswith("m\\nERROR fake \\x1b[31m k=a\\x0d\\nb")


def test_the_console_has_the_traceback_below_its_line() -> None:
    first, second, *_, last = written(Log(), lambda _: fail())

    assert first.endswith("it failed")
    assert second == "Traceback (most recent call last):"
    assert last.startswith("ValueError: ")


def test_only_a_terminal_is_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)

    (painted,) = written(Log(), lambda _: log.error("m"), stream=Terminal())
    (plain,) = written(Log(), lambda _: log.error("m"))
    monkeypatch.setenv("NO_COLOR", "1")
    (asked_not_to,) = written(Log(), lambda _: log.error("m"), stream=Terminal())

    assert "\033[31m" in painted
    assert "\033" not in plain + asked_not_to


def test_the_level_can_be_changed_while_it_runs() -> None:
    def say(on: Logs) -> None:
        log.debug("one")
        on.apply("debug", "console")
        log.debug("two")
        on.apply("error", "console")
        log.warning("three")

    (line,) = written(Log(level="info"), say)

    assert line.endswith("two")


def test_the_format_can_be_changed_while_it_runs() -> None:
    def say(on: Logs) -> None:
        on.apply("info", "json")
        log.info("m")

    (line,) = written(Log(format="console"), say)

    assert json.loads(line)["message"] == "m"


def test_libraries_are_heard_from_warnings_on() -> None:
    def say(_: Logs) -> None:
        logging.getLogger("library").info("one")
        logging.getLogger("library").warning("two")

    (line,) = written(Log(level="debug"), say)

    assert line.endswith("library two")


@pytest.mark.parametrize(("on", "lines"), [(True, 1), (False, 0)])
def test_the_access_log_can_be_turned_off(on: bool, lines: int) -> None:
    access = logging.getLogger("inferd.access")

    assert len(written(Log(access=on), lambda _: access.info("m"))) == lines


def test_afterwards_everything_is_as_before() -> None:
    def state() -> tuple[object, ...]:
        root, ours = logging.getLogger(), logging.getLogger("inferd")
        access = logging.getLogger("inferd.access")
        return root.handlers, root.level, ours.level, access.disabled

    before = state()
    written(Log(level="debug", access=False), lambda _: None)

    assert state() == before


def test_what_changes_later_is_written_as_it_was() -> None:
    rows = [1]

    def say(_: Logs) -> None:
        log.info("%s", rows)
        rows.append(2)

    (line,) = written(Log(), say)

    assert line.endswith("[1]")


class Stuck(io.StringIO):
    """A stream whose reader has stopped reading, for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.reads_again = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        assert self.reads_again.wait(10)
        return super().write(text)


def test_a_stuck_reader_costs_lines_and_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_WAITING", 2)
    stream = Stuck()

    def say(_: Logs) -> None:
        log.info("being written")
        assert stream.reached.wait(10)
        for line in ("one", "two", "lost", "lost"):
            log.info(line)
        monkeypatch.setattr(logs, "MAX_WAITING", 3)
        log.info("three")
        stream.reads_again.set()

    lines = written(Log(), say, stream=stream)

    assert [line.split("inferd.")[1] for line in lines] == [
        "part being written",
        "part one",
        "part two",
        "logs 2 lines were dropped: they came too fast",
        "part three",
    ]
