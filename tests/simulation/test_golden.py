"""No policy's decisions change unless somebody means it.

After a change that is meant: `inferd-perf simulate --golden tests/golden/decisions.json`.
"""

import json
from pathlib import Path

import pytest

from inferd_perf.simulation.golden import SCENES, fingerprint, name_of
from inferd_perf.simulation.grid import POLICIES

GOLDEN = Path(__file__).parents[1] / "golden" / "decisions.json"


@pytest.mark.parametrize("policy", POLICIES)
def test_decisions_are_those_that_were_written_down(policy: str) -> None:
    written = json.loads(GOLDEN.read_text("utf-8"))[policy]

    decided = {name_of(*scene): fingerprint(policy, *scene) for scene in SCENES}

    changed = [name for name, value in decided.items() if written.get(name) != value]
    assert not changed, f"if that is meant: inferd-perf simulate --golden {GOLDEN}"


def test_nothing_else_is_written_down() -> None:
    written = json.loads(GOLDEN.read_text("utf-8"))

    assert set(written) == set(POLICIES)
    assert {name for each in written.values() for name in each} == {name_of(*s) for s in SCENES}
