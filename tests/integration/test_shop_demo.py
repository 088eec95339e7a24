"""The demonstration of fraud decisions, made short: it decides, loses Redis, and ends in order."""

import re
import shutil
import subprocess
import sys
import tempfile

import pytest

from support.server import ROOT, clean_environment

AMPLE_S = 150.0


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_the_demonstration_ends_with_all_decisions_on_record() -> None:
    # Sockets have short names.
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "shop.demo_fraud", "--users", "200"),
                *("--from-day", "8", "--days", "2", "--seconds", "4", "--down", "1"),
            ],
            capture_output=True,
            text=True,
            timeout=AMPLE_S,
            cwd=ROOT,
            env={
                **clean_environment(),
                "PYTHONPATH": str(ROOT / "examples"),
                "TMPDIR": directory,
            },
            check=False,
        )

    assert done.returncode == 0, done.stdout + done.stderr
    for each in (
        r"^---- Redis is killed$",
        r"^---- Redis is started again$",
        r"^[1-9]\d* payments, \d+ of them fraud",
        r"^all decisions: +precision .*, recall ",
        r"^p50 .* ms, p99 .* ms$",
        r"[1-9]\d* records are whole",
    ):
        assert re.search(each, done.stdout, re.MULTILINE), (each, done.stdout)
