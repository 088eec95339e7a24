"""Whatever is done to a chain, it is noticed."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from support.journals import chain, checked

IDS = [f"t{number}" for number in range(5)]


@cache
def written(per_segment: int) -> dict[str, bytes]:
    """Return the files of a chain."""
    with TemporaryDirectory() as directory:
        chain(Path(directory), *IDS, per_segment=per_segment)
        return {each.name: each.read_bytes() for each in sorted(Path(directory).iterdir())}


def whole(contents: dict[str, bytes]) -> bool:
    with TemporaryDirectory() as directory:
        for name, said in contents.items():
            (Path(directory) / name).write_bytes(said)
        return checked(Path(directory)).whole


@given(st.data())
@settings(deadline=None)  # a disk is as slow as others make it
def test_any_byte_that_is_changed_is_noticed(data: st.DataObject) -> None:
    there = written(2)
    name = data.draw(st.sampled_from([*there]))
    said = bytearray(there[name])
    said[data.draw(st.integers(0, len(said) - 1))] ^= data.draw(st.integers(1, 255))

    assert whole(there)
    assert not whole({**there, name: bytes(said)})


@given(st.data())
@settings(deadline=None)
def test_whatever_is_missing_at_the_end_is_noticed(data: st.DataObject) -> None:
    there = written(10)
    (name,) = (each for each in there if each.endswith(".jsonl"))
    kept = data.draw(st.integers(0, len(there[name]) - 1))

    assert not whole({**there, name: there[name][:kept]})
