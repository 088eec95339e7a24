"""The demonstration of search: what is asked on the command line, and what is typed."""

import os
import pty
import re
import subprocess
import sys
import time

from support.chaos.world import with_examples
from support.server import ROOT, clean_environment

AMPLE_S = 100.0
COMMAND = (sys.executable, "-m", "shop.demo_search", "--items", "1000")
ENVIRONMENT = {**clean_environment(), **with_examples()}


def test_what_is_asked_on_the_command_line_is_answered_with_how_long_it_took() -> None:
    done = subprocess.run(
        [*COMMAND, "--queries", "red dress", "headphnes under 500 euros"],
        capture_output=True,
        text=True,
        timeout=AMPLE_S,
        cwd=ROOT,
        env=ENVIRONMENT,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    for each in (
        r"^1000 items indexed",
        r"^> red dress$",
        r"^\d+ found in [\d.]+ ms \(computed\)$",
        r"headphnes -> headphones; category: headphones; price: \.\.50000",
        r"^ +1  .*headphones.* EUR",
    ):
        assert re.search(each, done.stdout, re.MULTILINE), (each, done.stdout)


def test_what_is_typed_is_completed_and_found() -> None:
    terminal, keyboard = pty.openpty()
    with subprocess.Popen(
        COMMAND, stdin=keyboard, stdout=keyboard, stderr=keyboard, cwd=ROOT, env=ENVIRONMENT
    ) as demo:
        try:
            os.close(keyboard)
            seen = until(terminal, "search: ")
            os.write(terminal, b"headphnes")
            seen += until(terminal, " EUR")
            os.write(terminal, b"\x1b")
            assert demo.wait(AMPLE_S) == 0, seen
        finally:
            demo.kill()
            os.close(terminal)
    assert "headphnes -> headphones" in seen


def until(terminal: int, text: str) -> str:
    """Return what is on the screen once a text is."""
    seen, ends = "", time.monotonic() + AMPLE_S
    while text not in seen:
        assert time.monotonic() < ends, seen
        seen += os.read(terminal, 4096).decode(errors="replace")
    return seen
