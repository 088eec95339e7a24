from pathlib import Path
from unittest import mock

import pytest

from inferd.errors import Unavailable
from inferd.services.search import index_home
from inferd.services.search.index_home import Home


def generations(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.name.isdecimal())


def switched(home: Home, to: int) -> None:
    home.path(to)
    home.switch(to, "fields")


def test_what_does_not_count_is_removed(tmp_path: Path) -> None:
    home = Home(tmp_path, "fields")
    home.path(1)
    switched(home, 2)
    home.tidy()
    assert generations(tmp_path) == ["2"]
    home.close()


def test_while_the_disk_may_still_name_the_old_generation_it_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = Home(tmp_path, "fields")
    home.path(1)
    with mock.patch.object(index_home, "sync", side_effect=OSError("no more space")):
        switched(home, 2)
    home.tidy()
    assert home.current.generation == 2
    assert generations(tmp_path) == ["1", "2"]
    assert "older generations of the index stay" in caplog.text
    switched(home, 3)
    home.tidy()
    assert generations(tmp_path) == ["3"]
    home.close()


def test_a_switch_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    home = Home(tmp_path, "fields")
    with (
        mock.patch.object(index_home, "_replace", side_effect=OSError("no more space")),
        pytest.raises(Unavailable),
    ):
        switched(home, 2)
    assert home.current.generation == 1
    home.close()
    again = Home(tmp_path, "fields")
    assert again.current.generation == 1
    again.close()
