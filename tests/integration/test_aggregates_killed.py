"""What a server acknowledged is counted once, although it was killed while it wrote."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from inferd.features.aggregates.backlog import Recorded
from support.aggregates import Desk, Opened, over_redis, over_sqlite
from support.recording import CALLERS, USERS
from support.redis import running_redis

TESTS = Path(__file__).parents[1]
ENOUGH = 200


@pytest.fixture(params=["redis", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str, Opened]]:
    if request.param == "redis":
        with running_redis(tmp_path) as redis:
            yield "redis", redis.url, lambda: over_redis(redis.url)
    else:
        path = tmp_path / "features.sqlite"
        yield "sqlite", str(path), lambda: over_sqlite(path)


def acknowledged(store: str, where: str) -> list[tuple[int, str]]:
    """Return the users and ids of events that were acknowledged before a kill, in order."""
    command = [sys.executable, "-m", "support.recording", store, where]
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "server")])
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as recording:
        assert recording.stdout is not None
        lines = [*islice(recording.stdout, ENOUGH)]
        recording.kill()
        lines += [line for line in recording.stdout if line.endswith("\n")]
    assert len(lines) >= ENOUGH
    return [(int(user), id) for user, id in map(str.split, lines)]


async def counted(desk: Desk) -> list[Any]:
    """Return how many payments each user made."""
    lookups = [desk.lookup("spending", user, "payments_1h") for user in range(USERS)]
    return [each.values[0].value for each in await desk.fetch(*lookups)]


async def test_what_was_acknowledged_survives_a_kill(store: tuple[str, str, Opened]) -> None:
    name, where, opened = store
    safe = acknowledged(name, where)

    async with opened() as desk:
        before = await counted(desk)
        again = await desk.record(*(desk.payment(user, id=id) for user, id in safe[-ENOUGH:]))
        after = await counted(desk)

    told = Counter(user for user, _ in safe)
    # Of each caller one more may have been written that it was not told of.
    assert all(told[user] <= before[user] <= told[user] + CALLERS for user in range(USERS))
    assert set(again) == {Recorded.DUPLICATE}
    assert after == before
