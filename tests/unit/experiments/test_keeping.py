"""Experiments follow their file, and what is stopped stays so; on real files and threads."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from inferd.config.reading import Refused
from inferd.experiments import stops
from inferd.experiments.keeping import Keeper
from support.experiments import experiment, in_force, text


def kept(directory: Path) -> Keeper:
    (directory / "experiments.yaml").write_text(text(experiment()))
    return Keeper(
        in_force(experiment()),
        directory / "experiments.yaml",
        directory / "kept" / "stopped.json",
        now_us=lambda: 7,
    )


def names(keeper: Keeper) -> list[str]:
    return [each.name for each in keeper.experiments.definitions.declared.experiments]


def test_a_file_is_read_again(tmp_path: Path) -> None:
    keeper = kept(tmp_path)
    (tmp_path / "experiments.yaml").write_text(text(experiment(seed="x"), experiment("other")))

    reloaded = asyncio.run(keeper.reload())

    assert reloaded.changed
    assert reloaded.moved == ("experiments.mmr: its unit, layer, hash or seed is another",)
    assert names(keeper) == ["mmr", "other"]


def test_a_check_changes_nothing(tmp_path: Path) -> None:
    keeper = kept(tmp_path)
    (tmp_path / "experiments.yaml").write_text(text(experiment("other")))

    assert asyncio.run(keeper.reload(check_only=True)).changed
    assert names(keeper) == ["mmr"]


@pytest.mark.parametrize("wrong", ["experiments: [{name: mmr, surfce: home}]", None, "\udcff"])
def test_where_the_file_is_wrong_what_was_in_force_still_is(
    tmp_path: Path, wrong: str | None
) -> None:
    keeper = kept(tmp_path)
    path = tmp_path / "experiments.yaml"
    path.unlink()
    if wrong is not None:
        path.write_bytes(wrong.encode(errors="surrogateescape"))

    with pytest.raises(Refused):
        asyncio.run(keeper.reload())

    assert names(keeper) == ["mmr"]
    assert keeper.refused


def test_a_changed_file_is_followed_past_a_wrong_one(tmp_path: Path) -> None:
    keeper = kept(tmp_path)
    path = tmp_path / "experiments.yaml"

    async def followed() -> None:
        following = asyncio.create_task(keeper.follow(0.005))
        await asyncio.sleep(0.05)
        path.write_text("experiments: 42")
        await until(lambda: bool(keeper.refused))
        path.write_text(text(experiment("other")))
        await until(lambda: names(keeper) == ["other"])
        following.cancel()

    asyncio.run(followed())

    assert not keeper.refused


def test_a_stop_is_known_after_a_restart(tmp_path: Path) -> None:
    keeper = kept(tmp_path)

    assert asyncio.run(keeper.stop("mmr", "treatment", "it is slow"))

    assert stops.read(tmp_path / "kept" / "stopped.json") == [
        ("mmr", 1, "treatment", "it is slow", 7)
    ]


def test_a_stop_that_cannot_be_kept_holds_all_the_same_and_says_so(tmp_path: Path) -> None:
    keeper = kept(tmp_path)
    (tmp_path / "kept").write_text("no directory")

    assert not asyncio.run(keeper.stop("mmr", "", "errors"))

    assert not keeper.experiments.surfaces["home"].assign({"user_id": "u"}, {}).arms


def test_without_a_file_nothing_is_stopped(tmp_path: Path) -> None:
    assert stops.read(tmp_path / "stopped.json") == []


@pytest.mark.parametrize("said", ["", "[[1]]", '{"mmr": true}'])
def test_a_file_that_does_not_say_what_is_stopped_is_an_error(tmp_path: Path, said: str) -> None:
    (tmp_path / "stopped.json").write_text(said)

    with pytest.raises(ValueError, match=r"stopped\.json: it does not say what is stopped"):
        stops.read(tmp_path / "stopped.json")


async def until(so: Callable[[], bool]) -> None:
    """Wait, for as long as the test may take."""
    for _ in range(10_000):
        if so():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError
