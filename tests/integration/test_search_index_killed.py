"""What the index acknowledged is there, whatever happens to the server or to its disk."""

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

from support.search_index import found, index_of

TESTS = Path(__file__).parents[1]
ENOUGH = 120


def written_until_killed(directory: Path) -> list[str]:
    """Return what was acknowledged before a kill, in order: "+id" or "-id"."""
    command = [sys.executable, "-m", "support.search_index", str(directory)]
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "server")])
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writing:
        assert writing.stdout is not None
        lines = [*islice(writing.stdout, ENOUGH)]
        writing.kill()
        lines += [line for line in writing.stdout if line.endswith("\n")]
    assert len(lines) >= ENOUGH
    return [line.strip() for line in lines]


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    kept: set[str] = set()
    for _ in range(2):  # the second time into what the first left behind
        for line in written_until_killed(tmp_path):
            kept = kept | {line[1:]} if line[0] == "+" else kept - {line[1:]}
        async with index_of({}, tmp_path) as index:
            assert kept <= {*await index.get(sorted(kept))}
            for id in sorted(kept)[::25]:
                assert await found(index, f"word{id[1:]}") == (id,)
            # Of one request more it is not known whether it was written.
            assert len(kept) - 5 <= index.count <= len(kept) + 5
            assert [*index.vocabulary.counts.values()] == [1] * index.count


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from inferd.errors import Unavailable
from support.search_index import document, found, index_of

def files_may_have(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def main():
    large = " ".join(f"w{number}" for number in range(20_000))
    async with index_of({"a": {"title": "before"}}, Path(sys.argv[1])) as index:
        words = dict(index.vocabulary.counts)
        files_may_have(20_000)
        for attempt in range(3):
            try:
                await index.add([document(index, f"b{attempt}", title=large)])
            except Unavailable as error:
                assert error.retry_after_s, error
            else:
                raise AssertionError("acknowledged")
            assert await found(index, "before") == ("a",)
            assert await found(index, "w7") == ()
            assert dict(index.vocabulary.counts) == words
        try:
            await index.rebuild()
        except Unavailable:
            raise AssertionError("small enough") from None
        files_may_have(resource.RLIM_INFINITY)
        await index.add([document(index, "c", title=large)])
        assert await found(index, "w7") == ("c",)
        files_may_have(20_000)
        try:
            await index.rebuild()
        except Unavailable:
            pass
        else:
            raise AssertionError("rebuilt")
        files_may_have(resource.RLIM_INFINITY)
        assert await found(index, "w7") == ("c",)
        await index.rebuild()
        assert await found(index, "w7") == ("c",)
    async with index_of({}, Path(sys.argv[1])) as index:
        assert index.count == 2

asyncio.run(main())
print("went on")
"""


def test_a_full_disk_is_a_refusal_and_what_comes_later_is_written(tmp_path: Path) -> None:
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "server")])
    done = subprocess.run(  # in a process of its own: the limit is for all of it
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "went on\n", done.stderr
