"""The feature example does what its page says, line by line."""

import json
import re
import shutil
import subprocess
from os import environ
from pathlib import Path

import pytest

from support.server import ROOT, Server, serving

EXAMPLE = ROOT / "examples" / "features"
PORTS = {"INFERD__ADMIN__PORT": "0", "INFERD__FAULTS__ENABLED": "true"}
END_S = 30.0

pytestmark = pytest.mark.skipif(
    shutil.which("grpcurl") is None and "CI" not in environ, reason="grpcurl is not installed"
)


def commands() -> list[str]:
    """Return what the page has a reader type, but for the servers."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (EXAMPLE / "README.md").read_text(), re.M | re.S)
    return [block for block in blocks if "grpcurl" in block]


def typed(command: str, server: Server) -> str:
    """Run what a reader types against this server, and return what is printed."""
    admin = re.search(r"^  admin +(\S+)$", server.announcement, re.MULTILINE)
    assert admin
    here = command.replace("127.0.0.1:8001", server.address).replace("127.0.0.1:8003", admin[1])
    # The machine may be busy, and this is not about time.
    here = here.replace("-max-time 0.05", "-max-time 5")
    done = subprocess.run(
        ["bash", "-ec", here], capture_output=True, text=True, timeout=END_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_line_works_as_printed(tmp_path: Path) -> None:
    with serving(
        tmp_path,
        *("--config", str(EXAMPLE / "config.yaml")),
        repository=[],
        environment=PORTS,
    ) as server:
        describe, write, read, made, cached, push, broken = (
            typed(each, server) for each in commands()
        )

    assert json.loads(describe)["views"][0]["owner"] == "risk"
    assert write.count('"STORED"') == 2
    assert '"string_value": "NL"' in read
    assert re.search(r'"incomplete": \[\s+1\s+\]', read)
    assert '"ADDED"' in made
    assert '"float64_value": 59.9' in made
    assert made.count('"COMPUTED"') == 3
    assert cached.count('"COMPUTED"') == cached.count('"L1_CACHE"') == 1
    assert push.count('"STORED"') == 3
    assert '"source": "defaults"' in broken
