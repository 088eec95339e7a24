"""What a server with features is put together of, and what it does without."""

import subprocess
import sys
import time
from pathlib import Path

from inferd import config
from inferd.app import features
from inferd.cache.connection import client, close
from inferd.call import Call
from inferd.config import Config
from inferd.config.features import Features as Settings
from inferd.deadline import Deadline
from inferd.features.values import Lookup
from support.computing import a_toolbox

DEFINITIONS = """
entities: [{name: user, id: int64}]
views: [{name: profile, entity: user, features: [{name: age, type: int64}]}]
"""
WITHOUT_REDIS = """
import sys
import inferd.app.feature_parts
assert not {"redis", "sqlite3"} & {*sys.modules}, "imported, and not configured"
"""


async def test_rows_of_a_file_are_at_hand_whether_redis_is_there_or_not(tmp_path: Path) -> None:
    file = tmp_path / "definitions.yaml"
    file.write_text(DEFINITIONS)
    settings = Settings(definitions=file, store="sqlite", sqlite_path=tmp_path / "features.sqlite")
    nowhere = client(config.Redis(url=f"unix://{tmp_path}/nowhere.sock"))
    clock = time.monotonic
    made = features.made(
        Config(features=settings), nowhere, a_toolbox(), busy=lambda: 0.0, clock=clock
    )
    assert made is not None
    view = made.definitions.views["profile"]
    call, within = Call("/Get", arrived=clock()), Deadline.after(30.0, now=clock())

    for _ in range(2):
        await made.online.read(call, within, [Lookup(view, 7, view.everything)])

    counts = [each for metrics in made.metrics for each in metrics.collect()]
    (reads,) = (each for each in counts if each.name == "inferd_feature_near_reads")
    assert {each.labels["at_hand"]: each.value for each in reads.samples} == {"yes": 1, "no": 1}
    await made.closing.aclose()
    await close(nowhere)


def test_who_has_no_redis_does_not_wait_for_its_client_to_be_imported() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_REDIS], check=True, timeout=60)
