"""Regions of shared memory: what may be registered, and what holds while it is used."""

import os
import stat
from pathlib import Path

import pytest

from inferd.config import SharedMemory
from inferd.errors import InvalidRequest, NotFound, Unimplemented
from inferd.services.open_inference.shared_memory import Regions, Window

ON = SharedMemory(system=True, max_region_bytes=1024)


@pytest.fixture
def regions(tmp_path: Path) -> Regions:
    (tmp_path / "input").write_bytes(bytes(range(64)))
    return Regions(ON, directory=tmp_path)


def window(regions: Regions, offset: int, byte_size: int, name: str = "r") -> Window:
    return regions.window(name, offset, byte_size, "inputs[0]")


def test_a_region_is_read_and_written_in_place(regions: Regions, tmp_path: Path) -> None:
    regions.register("r", "/input", 16, 32)

    assert window(regions, 4, 2).read() == bytes([20, 21])
    window(regions, 30, 2).write(b"ab")

    assert (tmp_path / "input").read_bytes()[44:50] == bytes([44, 45]) + b"ab" + bytes([48, 49])


def test_off_unless_the_configuration_says_so(tmp_path: Path) -> None:
    off = Regions(SharedMemory(), directory=tmp_path)

    for use in (
        lambda: off.register("r", "/input", 0, 1),
        lambda: off.unregister(""),
        lambda: off.status(""),
        lambda: off.window("r", 0, 1, "inputs[0]"),
    ):
        with pytest.raises(Unimplemented, match=r"shared_memory\.system"):
            use()


@pytest.mark.parametrize(
    "key", ["", "/", ".", "..", "/..", "../etc/passwd", "/a/b", "//input", "a\0b", "é" * 200]
)
def test_a_key_names_a_file_in_the_directory_and_nothing_else(regions: Regions, key: str) -> None:
    with pytest.raises(InvalidRequest, match="is not the name of a shared memory object") as error:
        regions.register("r", key, 0, 1)

    assert error.value.violations[0].field == "key"


def test_a_link_out_of_the_directory_is_not_followed(regions: Regions, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")

    with pytest.raises(InvalidRequest, match="Unable to open shared memory region: '/link'"):
        regions.register("r", "/link", 0, 1)


def test_a_file_must_be_there_and_be_a_file(regions: Regions, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="Unable to open shared memory region: '/absent'"):
        regions.register("r", "/absent", 0, 1)

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidRequest, match="failed to register shared memory region 'r'"):
        regions.register("r", "/pipe", 0, 1)


@pytest.mark.parametrize(
    ("offset", "byte_size"), [(0, 0), (0, 65), (64, 1), (2**64 - 1, 1), (0, 2**64 - 1), (0, 1025)]
)
def test_a_region_lies_within_its_file(regions: Regions, offset: int, byte_size: int) -> None:
    with pytest.raises(InvalidRequest, match="failed to register shared memory region 'r'"):
        regions.register("r", "/input", offset, byte_size)

    assert regions.status("") == ()


def test_a_name_is_taken_until_it_is_unregistered(regions: Regions) -> None:
    regions.register("r", "/input", 0, 8)
    with pytest.raises(InvalidRequest, match="shared memory region 'r' already in manager"):
        regions.register("r", "/input", 8, 8)
    with pytest.raises(InvalidRequest, match="needs a name"):
        regions.register("", "/input", 8, 8)

    regions.unregister("r")
    regions.register("r", "/input", 8, 8)

    [region] = regions.status("r")
    assert (region.name, region.key, region.offset, region.byte_size) == ("r", "/input", 8, 8)


def test_all_regions_can_be_forgotten_at_once(regions: Regions) -> None:
    regions.register("r", "/input", 0, 8)
    regions.register("s", "/input", 0, 8)
    regions.unregister("no such region")

    regions.unregister("")

    assert regions.status("") == ()
    with pytest.raises(NotFound, match="Unable to find system shared memory region: 'r'"):
        regions.status("r")
    with pytest.raises(NotFound, match="Unable to find shared memory region: 'r'"):
        window(regions, 0, 1)


def test_a_tensor_lies_within_its_region(regions: Regions) -> None:
    regions.register("r", "/input", 0, 8)
    assert window(regions, 7, 1).read() == bytes([7])

    with pytest.raises(InvalidRequest, match="Invalid offset for shared memory region: 'r'"):
        window(regions, 8, 1)
    with pytest.raises(InvalidRequest, match=r"Invalid offset \+ byte size for shared memory"):
        window(regions, 7, 2)


def test_what_is_in_use_outlives_its_registration(regions: Regions, tmp_path: Path) -> None:
    regions.register("r", "/input", 0, 8)
    held = window(regions, 0, 4)
    descriptor = held.region.descriptor

    regions.unregister("r")
    held.write(b"late")

    assert (tmp_path / "input").read_bytes()[:4] == b"late"
    del held
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_closing_closes_the_files(regions: Regions) -> None:
    regions.register("r", "/input", 0, 8)
    descriptor = next(iter(regions.status("r"))).descriptor
    assert stat.S_ISREG(os.fstat(descriptor).st_mode)

    regions.close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_file_that_shrank_is_an_error_and_not_the_end(regions: Regions, tmp_path: Path) -> None:
    regions.register("r", "/input", 0, 64)
    os.truncate(tmp_path / "input", 10)

    with pytest.raises(InvalidRequest, match="smaller than when registered"):
        window(regions, 8, 4).read()
    with pytest.raises(InvalidRequest, match="smaller than when registered"):
        window(regions, 8, 4).write(b"1234")

    assert (tmp_path / "input").stat().st_size == 10
    assert window(regions, 0, 2).read() == bytes([0, 1])
