"""The demonstrations, made short: each does its work, loses Redis, and ends in order."""

import re
import shutil
import subprocess
import sys
import tempfile

import pytest

from support.chaos.world import with_examples
from support.server import ROOT, clean_environment

AMPLE_S = 150.0

needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="redis-server is not installed"
)


@needs_redis
def test_the_demonstration_of_fraud_ends_with_all_decisions_on_record() -> None:
    short = ("--users", "200", "--from-day", "8", "--days", "2", "--seconds", "4", "--down", "1")
    done = shown("demo_fraud", *short)
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


@needs_redis
def test_the_demonstration_of_recommendations_has_lists_without_redis() -> None:
    done = shown("demo_recommendation", "--users", "120", "--seconds", "5", "--down", "2")
    # How many were in time is for a machine that has nothing else to do.
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    for each in (
        r"^---- Redis is killed$",
        r"^---- Redis is started again$",
        r"^ +\d+ +\d+ .* down +profile [1-9]\d*",
        r"^[1-9]\d* lists; \d+ did not come in 100 ms$",
        r"^how likely an item is to be liked, on average: recommended .*, popular ",
        r"^p50 .* ms, p99 .* ms$",
    ):
        assert re.search(each, done.stdout, re.MULTILINE), (each, done.stdout)


def shown(name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a demonstration."""
    # Sockets have short names.
    with tempfile.TemporaryDirectory() as directory:
        return subprocess.run(
            [sys.executable, "-m", f"shop.{name}", *arguments],
            capture_output=True,
            text=True,
            timeout=AMPLE_S,
            cwd=ROOT,
            env={**clean_environment(), **with_examples(), "TMPDIR": directory},
            check=False,
        )
