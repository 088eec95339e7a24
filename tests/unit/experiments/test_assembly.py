"""Experiments as a server has them: out of its configuration, on real files."""

import asyncio
from pathlib import Path

import pytest

from inferd.app.experiments import made
from inferd.app.settings import ConfigError
from inferd.config import Config
from support.experiments import HOME, experiment, text


def configured(directory: Path, said: str) -> Config:
    (directory / "experiments.yaml").write_text(said)
    return Config.model_validate(
        {
            "experiments": {
                "definitions": directory / "experiments.yaml",
                "stops": directory / "stopped.json",
                "exposures": {"path": directory / "exposures"},
                "outcomes": {"path": directory / "outcomes"},
            }
        }
    )


def test_without_a_file_there_are_none() -> None:
    assert made(Config(), [HOME]) is None


def test_a_server_records_uses_and_outcomes_while_it_runs(tmp_path: Path) -> None:
    there = made(configured(tmp_path, text(experiment(when="country == 'FR'"))), [HOME])
    assert there is not None
    unit = {"user_id": "ann"}

    async def life() -> None:
        async with there.running():
            surface = there.in_force.surfaces["home"]
            there.exposures.used(surface.assign(unit, {"country": "FR"}), unit)
            there.exposures.used(surface.assign({"user_id": "bob"}, {"country": "DE"}), unit)
            there.outcomes.happened("user_id", "ann", "click")

    asyncio.run(life())

    (exposure,) = (tmp_path / "exposures" / "inferd.000000000001.jsonl").read_text().splitlines()
    (outcome,) = (tmp_path / "outcomes" / "inferd.000000000001.jsonl").read_text().splitlines()
    assert '"kind":"exposure","id":"ann","body":{"experiment":"mmr"' in exposure
    assert '"kind":"outcome","id":"ann","body":{"unit":"user_id","metric":"click"' in outcome
    assert there.exposures.log.written == {"exposure": 1}


def test_a_wrong_file_is_a_wrong_configuration(tmp_path: Path) -> None:
    config = configured(tmp_path, text(experiment(when="contry == 'FR'")))

    with pytest.raises(ConfigError, match=r"experiments\.definitions: experiments\.mmr\.when"):
        made(config, [HOME])


def test_no_file_where_one_is_named_is_a_wrong_configuration(tmp_path: Path) -> None:
    config = configured(tmp_path, "")
    (tmp_path / "experiments.yaml").unlink()

    with pytest.raises(ConfigError, match="No such file"):
        made(config, [HOME])


def test_a_server_does_not_start_where_nobody_knows_what_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "stopped.json").write_text("[")

    with pytest.raises(ConfigError, match=r"experiments\.stops"):
        made(configured(tmp_path, text(experiment())), [HOME])


def test_two_servers_do_not_write_one_log(tmp_path: Path) -> None:
    config = configured(tmp_path, text(experiment()))
    one, other = made(config, [HOME]), made(config, [HOME])
    assert one is not None
    assert other is not None

    async def both() -> None:
        async with one.running(), other.running():
            pass

    with pytest.raises(OSError, match="another process"):
        asyncio.run(both())
